/* SPDX-License-Identifier: Apache-2.0
 * stream_args: `quern run -stream ...`, in our words or those of Hadoop's streaming, as the words
 * that run the bundled job `stream`:
 *
 *   -stream -mapper M -reducer R -cmdenv A=1 -file F IN OUT
 *   -D stream.map.command=M -D stream.reduce.command=R -D stream.addenvironment=A=1 -file F stream
 *     IN OUT
 *
 * Hadoop gives inputs and output by -input and -output, too. Where its KeyFieldBasedPartitioner or
 * KeyFieldBasedComparator is asked for, the job is `streamfields`. */
#ifndef QUERN_CLIENT_JOB_STREAM_ARGS_H
#define QUERN_CLIENT_JOB_STREAM_ARGS_H

#include "libcommon/base/err.h"

struct stream_args {
    int argc;
    char **argv; /* ends with NULL; its words are the caller's or in `own` */
    char **own;
    size_t own_count;
};

/* Is one of the words -stream? */
bool stream_args_is(int argc, char **argv);
int stream_args_translate(int argc, char **argv, struct stream_args *ret, struct err *err);
void stream_args_release(struct stream_args *args);

#endif
