/* SPDX-License-Identifier: Apache-2.0
 * scan: what is in a volume when the process begins. Reads names and lengths of everything, and all
 * bytes of what was being written; puts right what a crash left between two steps of settle.h:
 *
 *   data and checksums in finalized         a finalized replica
 *   data and checksums in rbw               was being written: as long as its checksums agree
 *   one in rbw, the other in finalized      a finalize cut short: both back to rbw
 *   a second, older checksum file           a restamp cut short: removed
 *   an unfinished checksum file (.tmp)      likewise
 *   in both, complete                       the greater stamp counts, else the finalized one; the
 *                                           other is removed
 *   checksums without data                  a removal cut short: removed
 *   an empty data file without checksums    a write that had just begun: removed
 *   data without checksums                  kept and told about: nobody can say what it is worth
 *   anything in tmp                         removed
 *   a directory by the name of a file       set aside (settle.h): the file is gone
 *
 * Nothing is removed that could be the only copy of anything. Blocks; run before serving. */
#ifndef QUERN_DN_STORAGE_SCAN_H
#define QUERN_DN_STORAGE_SCAN_H

#include "datanode/storage/replica.h"
#include "datanode/storage/volume.h"

struct dn_scan_result {
    struct dn_replica *replicas; /* mem_free it; by id */
    size_t count, cap;
    uint64_t bytes;    /* of their files */
    uint64_t orphans;  /* block files without checksums */
    uint64_t repaired; /* things put right */
};

/* FINALIZED and RWR replicas; is_bad where data and checksums have lengths that cannot belong
 * together. On failure nothing needs releasing. */
int dn_scan_volume(struct dn_volume *volume, struct dn_scan_result *ret, struct err *err);

/* What lies in finalized, by names and lengths only; nothing is changed, but that directories by
 * the names of files are set aside. Any thread. */
struct dn_scan_file {
    uint64_t id, gs; /* gs: of the newest checksum file */
    uint64_t data_bytes, sums_bytes;
    bool has_data, has_sums;
};
/* All of it, in order of id (mem_free it), or one block. On failure nothing needs releasing. */
int dn_scan_files(struct dn_volume *volume, struct dn_scan_file **ret, size_t *ret_count,
                  struct err *err);
int dn_scan_file(struct dn_volume *volume, uint64_t id, struct dn_scan_file *ret, struct err *err);

#endif
