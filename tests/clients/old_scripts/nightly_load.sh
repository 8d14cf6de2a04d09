#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Loads the day's log, counts it, keeps a week: as cron has run it since the days of Hadoop 1.
set -e
. "$(dirname "$0")/expect.sh"
DAY=2012-11-05
HADOOP="hadoop --config ${HADOOP_CONF_DIR:-/etc/hadoop/conf}"

printf 'GET /a 200\nGET /b 404\nGET /a 200\n' >access.log
gzip -c access.log >access.log.gz

$HADOOP fs -mkdir -p /data/raw/$DAY
$HADOOP fs -copyFromLocal access.log.gz /data/raw/$DAY/
$HADOOP dfs -touchz /data/raw/$DAY/_DONE
expect "$($HADOOP fs -ls /data/raw/$DAY | grep -v ^Found | awk '{print $NF}' | xargs -n1 basename | sort | xargs)" "_DONE access.log.gz"
expect "$(hadoop fs -lsr /data 2>/dev/null | grep -c '^-')" 2
expect "$(hadoop fs -dus /data/raw/$DAY 2>/dev/null | awk '{print $1}')" "$(wc -c <access.log.gz | tr -d ' ')"
expect "$(hadoop fs -text /data/raw/$DAY/access.log.gz | wc -l | tr -d ' ')" 3
if hadoop fs -test -z /data/raw/$DAY/access.log.gz; then echo "empty input" >&2; exit 1; fi

hadoop fs -rmr -skipTrash /data/out/$DAY >/dev/null 2>&1 || true
hadoop jar /usr/lib/hadoop/hadoop-examples.jar wordcount -Dmapred.reduce.tasks=1 -Dmapred.job.name="words $DAY" \
    /data/raw/$DAY/access.log.gz /data/out/$DAY 2>job.log
grep -q 'map 100% *reduce 100%' job.log
JOB=$(sed -n 's/.*Running job: \(job_[0-9_]*\).*/\1/p' job.log)
hadoop job -status "$JOB" >/dev/null
hadoop fs -test -e /data/out/$DAY/_SUCCESS
hadoop fs -getmerge /data/out/$DAY merged.txt
expect "$(sort merged.txt | head -1)" "$(printf '/a\t2')"
hadoop fs -cat "/data/out/$DAY/part-*" | sort | diff - <(sort merged.txt)

# a week is kept
for d in 01 02 03 04; do hadoop fs -mkdir -p /data/raw/2012-10-$d; done
for dir in $(hadoop fs -ls /data/raw | grep '^d' | awk '{print $8}'); do
    [[ $(basename "$dir") < 2012-10-29 ]] && hadoop fs -rm -r -skipTrash "$dir" >/dev/null
done
expect "$(hadoop fs -ls /data/raw | head -1)" "Found 1 items"
hadoop fs -chown -R nobody:nogroup /data/out
hadoop fs -chmod -R 750 /data/out
expect "$(hadoop fs -stat '%u %g' /data/out/$DAY/_SUCCESS)" "nobody nogroup"
hadoop fs -moveFromLocal access.log /data/raw/$DAY/
[ ! -e access.log ]
hadoop fs -expunge
