/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/daemon/privilege.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <unistd.h>

int privilege_become(const char *user, struct err *err)
{
    if (!*user)
        return 0;
    errno = 0;
    const struct passwd *pw = getpwnam(user);
    if (!pw)
        return err_set(err, ERR_NOENT, "user = %s: there is no such user here", user);
    if (pw->pw_uid == geteuid() && pw->pw_uid == getuid())
        return 0;
    if (geteuid() != 0)
        return err_set(err, ERR_NOTPERM, "user = %s: only root can become another user", user);
    if (initgroups(user, pw->pw_gid) != 0 || setgid(pw->pw_gid) != 0 || setuid(pw->pw_uid) != 0)
        return err_errno(err, errno, "user = %s", user);
    if (setuid(0) == 0)
        BUG("still root after becoming %s", user);
    prctl(PR_SET_DUMPABLE, 1); /* a crash of an ordinary user's process may leave a core */
    return 0;
}
