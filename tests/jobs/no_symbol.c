/* SPDX-License-Identifier: Apache-2.0
 * no_symbol: a shared object that is no job. For tests. */
int no_symbol(void);
int no_symbol(void)
{
    return 0;
}
