/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/wire/hello.h"

#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libcommon/base/mem.h"

MSG_DEFINE(hello, HELLO_FIELDS)

static const char *const role_names[] = {
    [WIRE_CLIENT] = "client",     [WIRE_DATANODE] = "datanode",
    [WIRE_NAMENODE] = "namenode", [WIRE_JOBTRACKER] = "jobtracker",
    [WIRE_WORKER] = "worker",     [WIRE_TASK] = "task",
    [WIRE_TOOL] = "tool",
};

const char *wire_role_name(uint32_t role)
{
    return role < ARRAY_LEN(role_names) && role_names[role] ? role_names[role] : "unknown";
}

/* ---- who we are ---- */

char *identity_user_of(uid_t uid, char *out, size_t cap)
{
    struct passwd entry, *found = NULL;
    char room[4096];
    if (getpwuid_r(uid, &entry, room, sizeof(room), &found) == 0 && found)
        snprintf(out, cap, "%s", found->pw_name);
    else
        snprintf(out, cap, "%u", (unsigned)uid);
    return out;
}

static void read_boot_id(char *out, size_t cap)
{
    FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");
    if (!file)
        return; /* unknown: nobody will take us for a neighbour */
    char line[HELLO_TEXT_MAX];
    if (fgets(line, sizeof(line), file))
        snprintf(out, cap, "%.*s", (int)strcspn(line, "\n"), line);
    fclose(file);
}

void identity_init(struct identity *identity, enum wire_role role, const char *node)
{
    static char user[HELLO_TEXT_MAX + 1], host[HELLO_TEXT_MAX + 1], boot[HELLO_TEXT_MAX + 1];
    static uid_t user_uid = (uid_t)-1; /* whom `user` is the name of */
    const char *wanted = getenv("HADOOP_USER_NAME");
    struct stat netns;
    if (wanted && *wanted) {
        snprintf(user, sizeof(user), "%s", wanted);
        user_uid = (uid_t)-1;
    } else if (user_uid != geteuid()) {
        user_uid = geteuid();
        identity_user_of(user_uid, user, sizeof(user));
    }
    if (gethostname(host, sizeof(host) - 1) != 0)
        snprintf(host, sizeof(host), "localhost");
    if (!*boot)
        read_boot_id(boot, sizeof(boot));
    *identity =
        (struct identity){.role = role, .node = node ? node : host, .user = user, .boot = boot};
    if (stat("/proc/self/ns/net", &netns) == 0)
        identity->netns = netns.st_ino;
}

/* ---- saying it ---- */

static struct slice text_of(const char *s)
{
    struct slice text = slice_str(s ? s : "");
    if (text.len > HELLO_TEXT_MAX)
        text.len = HELLO_TEXT_MAX;
    return text;
}

int hello_put(struct buf *out, const struct identity *self, uint16_t flags)
{
    struct frame frame = {.type = FRAME_HELLO, .flags = flags};
    struct hello hello = {.magic = slice_str(WIRE_MAGIC),
                          .version_min = WIRE_VERSION_MIN,
                          .version_max = WIRE_VERSION_MAX,
                          .role = self->role,
                          .cluster = text_of(self->cluster),
                          .node = text_of(self->node),
                          .user = text_of(self->user),
                          .boot = text_of(self->boot),
                          .netns = self->netns};
    return frame_put(out, &frame, &hello_desc, &hello);
}

/* ---- checking theirs ---- */

/* Names go into logs, tables and paths: printable, no blanks, no slash. */
static bool is_name(struct slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.data[i] <= ' ' || s.data[i] == 0x7f || s.data[i] == '/')
            return false;
    return s.len <= HELLO_TEXT_MAX;
}

static int check_error_answer(const struct frame *frame, const char *peer, struct arena *arena,
                              struct err *err)
{
    struct frame_error error;
    int rc = msg_decode(&frame_error_desc, frame->body, arena, &error, err);
    if (rc != 0) {
        err_wrap(err, "%s", peer);
        return rc;
    }
    int code = error.code < 0 && error.code > -1000 ? (int)error.code : ERR_PROTO;
    return err_set(err, code, "%s refuses: " SLICE_FMT, peer, SLICE_ARG(error.text));
}

static int check_version(const struct hello *hello, const char *peer, struct err *err)
{
    if (hello->version_min <= WIRE_VERSION_MAX && hello->version_max >= WIRE_VERSION_MIN)
        return 0;
    return err_set(err, ERR_VERSION,
                   "%s speaks protocol %u to %u, this program %u to %u: update the older one", peer,
                   hello->version_min, hello->version_max, WIRE_VERSION_MIN, WIRE_VERSION_MAX);
}

static int check_place(const struct hello *hello, const struct hello_want *want, struct err *err)
{
    struct slice mine = slice_str(want->self->cluster ? want->self->cluster : "");
    if (want->roles && (hello->role >= 32 || !(want->roles & HELLO_ROLE(hello->role))))
        return err_set(err, ERR_ACCESS, "%s is a %s, which this %s does not talk to", want->peer,
                       wire_role_name(hello->role), wire_role_name(want->self->role));
    if (mine.len > 0 && hello->cluster.len > 0 && !slice_eq(mine, hello->cluster))
        return err_set(err, ERR_FOREIGN,
                       "%s %s belongs to cluster " SLICE_FMT ", this %s to " SLICE_FMT,
                       wire_role_name(hello->role), want->peer, SLICE_ARG(hello->cluster),
                       wire_role_name(want->self->role), SLICE_ARG(mine));
    return 0;
}

int hello_check(const struct frame *frame, const struct hello_want *want, struct arena *arena,
                struct hello *ret, struct err *err)
{
    struct hello hello;
    if (frame->type != FRAME_HELLO)
        return err_set(err, ERR_PROTO, "%s does not begin with a hello: not quern, or too old",
                       want->peer);
    if (frame->flags & FRAME_ERROR)
        return check_error_answer(frame, want->peer, arena, err);
    int rc = msg_decode(&hello_desc, frame->body, arena, &hello, err);
    if (rc != 0) {
        err_wrap(err, "%s", want->peer);
        return rc;
    }
    if (!slice_is(hello.magic, WIRE_MAGIC))
        return err_set(err, ERR_PROTO, "%s says hello, but not quern's", want->peer);
    rc = check_version(&hello, want->peer, err);
    if (rc != 0)
        return rc;
    if (!is_name(hello.cluster) || !is_name(hello.node) || !is_name(hello.user) ||
        !is_name(hello.boot))
        return err_set(err, ERR_PROTO, "%s names itself, its user or its cluster impossibly",
                       want->peer);
    rc = check_place(&hello, want, err);
    if (rc == 0)
        *ret = hello;
    return rc;
}

/* ---- strangers ---- */

static bool contains(struct slice in, const char *word)
{
    return in.len > 0 && memmem(in.data, in.len, word, strlen(word)) != NULL;
}

static bool begins(struct slice in, const char *word)
{
    return slice_has_prefix(in, slice_str(word));
}

static bool begins_any(struct slice in, const char *const *words)
{
    for (; *words; words++)
        if (begins(in, *words))
            return true;
    return false;
}

int hello_stranger(struct slice in, const char *peer, struct err *err)
{
    static const char *const http[] = {"GET ",    "HEAD ",    "POST ",    "PUT ",
                                       "DELETE ", "OPTIONS ", "CONNECT ", NULL};
    const char *colon = strrchr(peer, ':');
    if (begins(in, "hrpc"))
        return err_set(err, ERR_PROTO, "%s is a Hadoop client: this port speaks quern's protocol",
                       peer);
    if (contains(in, "org.apache.hadoop") || contains(in, "Server IPC version"))
        return err_set(err, ERR_PROTO,
                       "%s speaks Hadoop's protocol, not quern's: reach it as webhdfs://%.*s:9870",
                       peer, colon ? (int)(colon - peer) : 0, peer);
    if (begins(in, "HTTP/"))
        return err_set(err, ERR_PROTO, "%s is a web server's port, not quern's RPC port", peer);
    if (begins_any(in, http))
        return err_set(err, ERR_PROTO, "%s asks for a web page: this is quern's RPC port", peer);
    if (begins(in, "\x16\x03") || begins(in, "\x15\x03"))
        return err_set(err, ERR_PROTO, "%s speaks TLS, which is not expected here", peer);
    if (begins(in, "SSH-"))
        return err_set(err, ERR_PROTO, "%s is an SSH server", peer);
    return 0;
}

int hello_unreachable(struct err *err, int code, const char *address, uint32_t roles)
{
    bool is_one = roles && !(roles & (roles - 1));
    const char *role = is_one ? wire_role_name((uint32_t)__builtin_ctz(roles)) : "server";
    if (code == ERR_EOF)
        return err_set(err, code, "%s closed the connection instead of saying hello: is it a %s?",
                       address, role);
    if (code == ERR_REFUSED || code == ERR_NOENT)
        return err_set(err, code, "cannot reach %s: %s: is the %s running?", address,
                       err_text(code), role);
    return err_set(err, code, "cannot reach %s: %s", address, err_text(code));
}
