/* SPDX-License-Identifier: Apache-2.0 */
#include "client/up/layout.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libcommon/base/str.h"
#include "libcommon/daemon/config.h"
#include "libcommon/daemon/options.h"

static const struct {
    const char *name, *program;
    unsigned http_offset;
} kinds[] = {
    [UP_NAMENODE] = {"namenode", "quern-namenode", 0},
    [UP_JOBTRACKER] = {"jobtracker", "quern-jobtracker", 2},
    [UP_DATANODE] = {"datanode", "quern-datanode", 0},
    [UP_WORKER] = {"worker", "quern-worker", 2},
};

/* ---- who there is ---- */

size_t up_daemon_count(const struct up_layout *layout)
{
    return 2 + (size_t)layout->datanodes + layout->workers;
}

struct up_daemon up_daemon_at(const struct up_layout *layout, size_t i)
{
    unsigned n = (unsigned)i;
    if (n == 0)
        return (struct up_daemon){UP_NAMENODE, 0};
    if (n <= layout->datanodes)
        return (struct up_daemon){UP_DATANODE, n};
    n -= layout->datanodes + 1;
    return n == 0 ? (struct up_daemon){UP_JOBTRACKER, 0} : (struct up_daemon){UP_WORKER, n};
}

char *up_daemon_name(struct up_daemon daemon, char out[32])
{
    if (daemon.index)
        snprintf(out, 32, "%s%u", kinds[daemon.kind].name, daemon.index);
    else
        snprintf(out, 32, "%s", kinds[daemon.kind].name);
    return out;
}

const char *up_daemon_program(struct up_daemon daemon)
{
    return kinds[daemon.kind].program;
}

unsigned up_daemon_http_port(const struct up_layout *layout, struct up_daemon daemon)
{
    return layout->port_base + 10 * daemon.index + kinds[daemon.kind].http_offset;
}

unsigned up_daemon_port(const struct up_layout *layout, struct up_daemon daemon)
{
    return up_daemon_http_port(layout, daemon) + 1;
}

unsigned up_last_port(const struct up_layout *layout)
{
    unsigned most = layout->datanodes > layout->workers ? layout->datanodes : layout->workers;
    return layout->port_base + 10 * most + 3;
}

char *up_daemon_path(const struct up_layout *layout, struct up_daemon daemon, const char *folder,
                     const char *suffix, char out[UP_PATH_MAX])
{
    char name[32];
    snprintf(out, UP_PATH_MAX, "%s/%s/%s.%s", layout->dir, folder, up_daemon_name(daemon, name),
             suffix);
    return out;
}

/* ---- where it lies ---- */

static int default_dir(struct buf *out, struct err *err)
{
    const char *home = getenv("HOME");
    const struct passwd *pw = home && *home ? NULL : getpwuid(getuid());
    if (pw)
        home = pw->pw_dir;
    if (!home || !*home)
        return err_set(err, ERR_USAGE, "no home directory: say -dir DIR");
    buf_printf(out, "%s/.local/share/quern", home);
    return 0;
}

static int make_dir(const char *path, struct err *err)
{
    if (mkdir(path, 0755) != 0 && errno != EEXIST)
        return err_errno(err, errno, "cannot make %s", path);
    return 0;
}

/* mkdir -p */
static int make_dirs(char *path, struct err *err)
{
    int rc = 0;
    for (char *at = path + 1; rc == 0 && (at = strchr(at, '/')); at++) {
        *at = 0;
        rc = make_dir(path, err);
        *at = '/';
    }
    return rc == 0 ? make_dir(path, err) : rc;
}

static int make_folders(struct up_layout *layout, struct err *err)
{
    static const char *const folders[] = {"conf", "log", "run", "name", "jobs", "data", "work"};
    char path[UP_PATH_MAX + 16];
    int rc = make_dirs(layout->dir, err);
    for (size_t i = 0; i < ARRAY_LEN(folders) && rc == 0; i++) {
        snprintf(path, sizeof(path), "%s/%s", layout->dir, folders[i]);
        rc = make_dir(path, err);
    }
    return rc;
}

/* A configuration written by hand would be lost. */
static int check_ours(const struct up_layout *layout, struct err *err)
{
    char path[UP_PATH_MAX + 16], line[64] = "";
    snprintf(path, sizeof(path), "%s/quern.conf", layout->dir);
    FILE *f = fopen(path, "re");
    if (!f)
        return 0;
    bool is_ours =
        fgets(line, sizeof(line), f) && strncmp(line, UP_SIGNATURE, sizeof(UP_SIGNATURE) - 1) == 0;
    fclose(f);
    return is_ours ? 0
                   : err_set(err, ERR_EXIST,
                             "%s was not written by `quern up`, which would write over it: choose "
                             "another -dir",
                             path);
}

static int make_site(const struct up_layout *layout, struct err *err)
{
    static const char text[] = "# Keys of your own for this cluster.\n";
    char path[UP_PATH_MAX + 16];
    snprintf(path, sizeof(path), "%s/site.conf", layout->dir);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0 && errno == EEXIST)
        return 0;
    int rc = fd < 0 || write(fd, text, sizeof(text) - 1) != (ssize_t)sizeof(text) - 1
                 ? err_errno(err, errno, "cannot write %s", path)
                 : 0;
    if (fd >= 0)
        close(fd);
    return rc;
}

static int take_dir(struct up_layout *layout, struct buf *path, struct err *err)
{
    const char *text = buf_cstr(path);
    if (!text)
        return err_set(err, ERR_NOMEM, "out of memory");
    if (path->len >= sizeof(layout->dir))
        return err_set(err, ERR_TOOBIG, "the name of the directory is too long: %s", text);
    if (text[strcspn(text, ",;\n")])
        return err_set(err, ERR_USAGE,
                       "a comma, semicolon or line break in the directory's name cannot be written "
                       "into quern.conf: %s",
                       text);
    memcpy(layout->dir, text, path->len + 1);
    return 0;
}

int up_layout_open(struct up_layout *layout, const char *dir, bool make, struct err *err)
{
    struct buf path = BUF_INIT;
    char here[UP_PATH_MAX];
    *layout = (struct up_layout){.port_base = 0};
    int rc = 0;
    if (dir && !*dir)
        rc = err_set(err, ERR_USAGE, "-dir needs DIR");
    else if (!dir)
        rc = default_dir(&path, err);
    else if (dir[0] == '/')
        buf_append_str(&path, dir);
    else if (getcwd(here, sizeof(here)))
        buf_printf(&path, "%s/%s", here, dir);
    else
        rc = err_errno(err, errno, "where are we?");
    while (path.len > 1 && path.data[path.len - 1] == '/')
        path.len--;
    if (rc == 0)
        rc = take_dir(layout, &path, err);
    buf_release(&path);
    if (rc != 0 || !make)
        return rc;
    rc = check_ours(layout, err);
    if (rc == 0)
        rc = make_folders(layout, err);
    return rc == 0 ? make_site(layout, err) : rc;
}

/* ---- what is there ---- */

/* The highest I of files KIND<I>.conf. */
static unsigned count_confs(const char *folder, const char *kind)
{
    unsigned most = 0;
    size_t n = strlen(kind);
    DIR *dir = opendir(folder);
    const struct dirent *entry;
    while (dir && (entry = readdir(dir))) {
        char number[16];
        uint64_t index;
        if (strncmp(entry->d_name, kind, n) != 0)
            continue;
        snprintf(number, sizeof(number), "%.*s", (int)strcspn(entry->d_name + n, "."),
                 entry->d_name + n);
        if (str_to_u64(number, &index) == 0 && index <= UP_NODES_MAX && index > most)
            most = (unsigned)index;
    }
    if (dir)
        closedir(dir);
    return most;
}

static int read_conf(struct up_layout *layout, const char *path, struct err *err)
{
    struct conf *conf = conf_new();
    int rc = conf ? options_register(conf, err) : err_set(err, ERR_NOMEM, "out of memory");
    if (rc == 0)
        rc = config_read_file(conf, path, err);
    if (rc == 0) {
        layout->port_base = conf_address(conf, "dfs.namenode.http-address").port;
        layout->replication = (unsigned)conf_int(conf, "dfs.replication");
    }
    conf_free(conf);
    return rc;
}

int up_layout_read(struct up_layout *layout, struct err *err)
{
    char path[UP_PATH_MAX + 16];
    snprintf(path, sizeof(path), "%s/conf", layout->dir);
    layout->datanodes = count_confs(path, "datanode");
    layout->workers = count_confs(path, "worker");
    snprintf(path, sizeof(path), "%s/quern.conf", layout->dir);
    return access(path, F_OK) == 0 ? read_conf(layout, path, err) : 0;
}
