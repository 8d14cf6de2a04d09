/* SPDX-License-Identifier: Apache-2.0 */
#include "client/up/program.h"
#include "libcommon/base/mem.h"
#include "libcommon/base/proc.h"

#include <sys/stat.h>
#include <unistd.h>

static bool is_program(struct buf *path)
{
    struct stat st;
    const char *name = buf_cstr(path);
    return name && stat(name, &st) == 0 && S_ISREG(st.st_mode) && access(name, X_OK) == 0;
}

static bool try_dir(const char *dir, size_t len, const char *name, struct buf *path)
{
    buf_clear(path);
    buf_append(path, dir, len);
    buf_printf(path, "%s%s", len ? "/" : "./", name); /* an empty word in PATH means here */
    return is_program(path);
}

int program_find(const char *name, struct buf *ret_path, struct err *err)
{
    char *own = proc_own_dir();
    bool is_beside = own && try_dir(own, strlen(own), name, ret_path);
    mem_free(own);
    if (is_beside)
        return 0;
    const char *at = getenv("PATH");
    while (at && *at) {
        size_t len = strcspn(at, ":");
        if (try_dir(at, len, name, ret_path))
            return 0;
        at += len + (at[len] == ':');
    }
    buf_clear(ret_path);
    return err_set(err, ERR_NOENT, "there is no program %s, neither beside this one nor in PATH",
                   name);
}
