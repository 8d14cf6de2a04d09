#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# offsite_copy.sh SOURCE TARGET: copies what changed to another cluster, and checks it there.
set -e
. "$(dirname "$0")/expect.sh"
SRC=$1
DST=$2
export HADOOP_CLIENT_OPTS="-Xmx2g"

mkdir -p tree/sub
echo one >tree/1
echo two >tree/sub/2
hadoop fs -put tree $SRC/warehouse
hadoop distcp -Dmapred.job.queue.name=default -m 20 -p $SRC/warehouse $DST/backup/warehouse
expect "$(hadoop fs -ls -R $DST/backup/warehouse | grep -c '^-')" 2
echo changed >tree/1
hadoop fs -put -f tree/1 $SRC/warehouse/1
hadoop fs -rm -skipTrash $SRC/warehouse/sub/2
hadoop distcp -update -delete -log /tmp/distcp $SRC/warehouse $DST/backup/warehouse 2>distcp.log
expect "$(hadoop fs -cat $DST/backup/warehouse/1)" changed
if hadoop fs -test -e $DST/backup/warehouse/sub/2; then echo "was not deleted" >&2; exit 1; fi
expect "$(hadoop fs -checksum $SRC/warehouse/1 | cut -f 2-)" "$(hadoop fs -checksum $DST/backup/warehouse/1 | cut -f 2-)"
expect "$(hdfs dfs -du -s $SRC/warehouse | awk '{print $1}')" "$(hdfs dfs -du -s $DST/backup/warehouse | awk '{print $1}')"
hadoop fs -fs $DST -ls /backup | grep -q warehouse
hdfs dfs -D dfs.replication=1 -put -f tree/1 /replicated
expect "$(hdfs dfs -stat %r /replicated)" 1
hadoop fs -cp $SRC/warehouse/1 $DST/backup/again
hadoop fs -cat $DST/backup/again | cmp - tree/1
hadoop fs -rm -r -skipTrash $SRC/warehouse $DST/backup >/dev/null
