/* SPDX-License-Identifier: Apache-2.0
 * clock: the only place that asks what time it is. Pure modules are handed `now`. */
#ifndef QUERN_BASE_CLOCK_H
#define QUERN_BASE_CLOCK_H

#include <stdint.h>

uint64_t clock_mono_ms(void); /* monotonic: leases, time-outs, deadlines */
uint64_t clock_mono_us(void); /* monotonic: measuring */
uint64_t clock_cpu_us(void);  /* that this thread has computed; a system call, unlike the others */
uint64_t clock_wall_ms(void); /* since 1970: mtimes and logs only */

#endif
