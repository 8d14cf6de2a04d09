# SPDX-License-Identifier: Apache-2.0
# expect GOT WANT: end the script, and say where, when they differ.
expect() {
    [ "$1" = "$2" ] && return 0
    echo "$0 line ${BASH_LINENO[0]}: got '$1', want '$2'" >&2
    exit 1
}
