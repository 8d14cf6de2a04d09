/* SPDX-License-Identifier: Apache-2.0 */
#include "datanode/storage/suspect.h"

#include "datanode/storage/depart.h"
#include "libcommon/base/log.h"
#include "libcommon/base/mem.h"

#define PROBE_BYTES 4096U

struct trial {
    struct work work;
    struct dn_storage *storage;
    struct dn_volume *volume;
    int code;
};

/* ---- on a thread ---- */

static int write_and_read(struct disk *disk, int fd)
{
    uint8_t out[PROBE_BYTES], in[PROBE_BYTES] = {0};
    memset(out, 0xa5, sizeof(out));
    int rc = disk_pwrite(disk, fd, out, sizeof(out), 0);
    if (rc == 0)
        rc = disk_fdatasync(disk, fd);
    if (rc != 0)
        return rc;
    int64_t n = disk_pread(disk, fd, in, sizeof(in), 0);
    if (n < 0)
        return (int)n;
    return (size_t)n == sizeof(in) && memcmp(in, out, sizeof(in)) == 0 ? 0 : ERR_CORRUPT;
}

static int try_volume(const struct dn_volume *volume)
{
    int fd = -1;
    char *path = fsutil_join(volume->current, "probe.tmp");
    if (!path)
        return ERR_NOMEM;
    int rc = disk_open(volume->disk, path, DISK_READ | DISK_WRITE | DISK_CREATE | DISK_TRUNC, &fd);
    if (rc == 0)
        rc = write_and_read(volume->disk, fd);
    disk_close(volume->disk, fd);
    int gone = disk_unlink(volume->disk, path);
    mem_free(path);
    return rc != 0 ? rc : gone;
}

static void run_trial(struct work *work)
{
    struct trial *t = CONTAINER_OF(work, struct trial, work);
    t->code = try_volume(t->volume);
}

/* ---- on the loop ---- */

/* Ours are the lacks of room, memory and descriptors. */
static bool is_the_disks(int code)
{
    return code != 0 && code != ERR_NOSPC && code != ERR_NOMEM && code != ERR_LIMIT;
}

static void trial_done(struct work *work)
{
    struct trial *t = CONTAINER_OF(work, struct trial, work);
    const struct dn_storage_conf *conf = &t->storage->conf;
    t->volume->is_suspect = false;
    if (is_the_disks(t->code)) {
        atomic_store(&t->volume->has_failed, true);
        log_error("dn.storage", "%s has failed: %s: its blocks will be replaced from other nodes",
                  t->volume->path, err_text(t->code));
        if (conf->on_volume_failed)
            conf->on_volume_failed(conf->arg, t->volume);
        if (dn_depart(t->storage, t->volume, NULL, NULL) != 0) /* then a copy of one is refused */
            log_warn("dn.storage", "%s: out of memory", t->volume->path);
    }
    mem_free(t);
}

/* Errors, files that are gone (with the whole disk?), a filesystem that became read-only. */
static bool may_be_the_disks(int code)
{
    return code == ERR_IO || code == ERR_NOENT || code == ERR_ACCESS;
}

void dn_suspect_volume(struct dn_storage *storage, struct dn_volume *volume, int code)
{
    if (!may_be_the_disks(code) || volume->is_suspect || atomic_load(&volume->has_failed))
        return;
    struct trial *t = mem_calloc(1, sizeof(*t));
    if (!t)
        return; /* the next error will do */
    t->storage = storage;
    t->volume = volume;
    volume->is_suspect = true;
    workq_submit(storage->conf.disk_work, &t->work, run_trial, trial_done);
}
