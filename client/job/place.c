/* SPDX-License-Identifier: Apache-2.0 */
#include "client/job/place.h"

#include "client/lib/handle.h"
#include "client/lib/uri.h"
#include "libcommon/base/str.h"
#include "libcommon/wire/chan.h"

static int nothing_named(struct err *err)
{
    return err_set(err, ERR_USAGE, "\"\" names no input or output");
}

static int elsewhere(const struct fs_volume *volume, const char *word, struct err *err)
{
    return err_set(err, ERR_USAGE,
                   "%s: the job reads and writes %s (another one with -fs, local files with "
                   "-jt local)",
                   word, volume->uri);
}

/* One cluster may be typed in several ways (localhost, an alias): who answers there tells. */
static int ask_who_that_is(const struct fs_volume *volume, const struct conf *conf,
                           const char *address, const char *word, struct err *err)
{
    struct qn_error error = {0};
    char *uri = str_printf("quern://%s", address);
    struct qn_fs *other = uri ? cl_fs_open(conf, uri, NULL, &error) : NULL;
    bool is_same = other && strcmp(chan_peer_cluster(other->namenode.chan),
                                   chan_peer_cluster(volume->qn->namenode.chan)) == 0;
    int rc = is_same ? 0
             : other ? elsewhere(volume, word, err)
             : uri   ? err_set(err, error.code, "%s: %s", word, error.message)
                     : err_set(err, ERR_NOMEM, "out of memory");
    qn_fs_close(other);
    mem_free(uri);
    return rc;
}

int job_place_check(const struct fs_volume *volume, const struct conf *conf, const char *word,
                    struct err *err)
{
    char address[512];
    struct cl_uri uri;
    cl_uri_parse(slice_str(word), &uri);
    if (!*word)
        return nothing_named(err);
    if (uri.scheme.len == 0)
        return 0;
    if (!cl_uri_is_ours(uri.scheme))
        return elsewhere(volume, word, err);
    if (uri.authority.len == 0)
        return 0;
    int rc = cl_uri_address(uri.authority, address, sizeof(address), err);
    if (rc != 0 || strcmp(address, volume->qn->address) == 0)
        return rc;
    return ask_who_that_is(volume, conf, address, word, err);
}

int job_place_check_local(const char *word, struct err *err)
{
    struct cl_uri uri;
    cl_uri_parse(slice_str(word), &uri);
    if (!*word)
        return nothing_named(err);
    if (uri.scheme.len == 0 ||
        (slice_is(uri.scheme, "file") && uri.authority.len == 0 && uri.path.len))
        return 0;
    return err_set(err, ERR_USAGE, "%s: with -jt local a job reads and writes local files", word);
}
