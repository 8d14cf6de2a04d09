/* SPDX-License-Identifier: Apache-2.0
 * local: a whole job on this machine, without a cluster: what stands behind `quern run -jt local`.
 *
 *   command line, plugin's probe, inputs --> splits --> maps --> reduces --> _MANIFEST --> publish
 *
 * The tasks are the cluster's own: the same runner processes, messages, map, run and reduce
 * objects; only their scheduling is a loop over what is left, on all cores. With
 * local.inprocess=true the tasks run in this very thread, one after another, for a debugger or a
 * sanitizer. Map outputs are kept in memory while there is room. The output directory appears
 * whole, with one rename, or not at all. */
#ifndef QUERN_WORKER_LOCAL_LOCAL_H
#define QUERN_WORKER_LOCAL_LOCAL_H

/* argv[0] is "-local". Prints; the exit code: 0, 1 the job failed, 2 usage, 130 interrupted. */
int local_main(int argc, char **argv);

#endif
