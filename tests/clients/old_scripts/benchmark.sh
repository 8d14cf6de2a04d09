#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Tries out a new cluster: pi, the sort benchmark, grep, streaming.
set -e
. "$(dirname "$0")/expect.sh"
EXAMPLES=$(echo "${HADOOP_HOME:-/usr/lib/hadoop}"/share/hadoop/mapreduce/hadoop-mapreduce-examples-2.7.3.jar)
STREAMING=/usr/lib/hadoop-0.20/contrib/streaming/hadoop-streaming-0.20.2-cdh3u6.jar

PI=$(hadoop jar "$EXAMPLES" pi 4 250 2>/dev/null | awk '/^Estimated value of Pi is/ {print $NF}')
expect "${PI:0:4}" 3.14
hadoop jar "$EXAMPLES" pi 2 10 2>/dev/null | grep -q '^Number of Maps  = 2$'

hadoop jar "$EXAMPLES" teragen -Dmapred.map.tasks=2 2000 /bench/in
expect "$(hadoop fs -du '/bench/in/part*' | awk '{s += $1} END {print s}')" 200000
hadoop jar "$EXAMPLES" terasort -Dmapred.reduce.tasks=2 /bench/in /bench/out 2>/dev/null
hadoop jar "$EXAMPLES" teravalidate /bench/out /bench/valid 2>/dev/null
expect "$(hadoop fs -cat '/bench/valid/part*' | grep -ci misorder)" 0

printf 'dfs.replication dfs.blocksize\nmapred dfs.replication\n' >conf.txt
hadoop fs -put conf.txt /bench/conf
hadoop jar "$EXAMPLES" grep /bench/conf /bench/grep 'dfs[a-z.]+' 2>/dev/null
expect "$(hadoop fs -cat '/bench/grep/*' | head -1)" "$(printf '2\tdfs.replication')"
if hadoop jar "$EXAMPLES" grep /bench/conf /bench/grep x >/dev/null 2>&1; then echo "output was overwritten" >&2; exit 1; fi

printf '#!/bin/sh\ntr " " "\\n"\n' >mapper.sh
printf '#!/bin/sh\nsort | uniq -c\n' >reducer.sh
chmod +x mapper.sh reducer.sh
hadoop jar $STREAMING -Dmapred.reduce.tasks=1 -input /bench/conf -output /bench/stream \
    -mapper mapper.sh -reducer reducer.sh -file mapper.sh -file reducer.sh >stream.log 2>&1
expect "$(hadoop fs -cat /bench/stream/part-00000 2>/dev/null | awk '$2 == "dfs.replication" {print $1}')" 2

hadoop jar "$EXAMPLES" >list.txt 2>&1 || expect $? 255
grep -q '^  wordcount: ' list.txt
hadoop job -list all | awk -F'\t' 'NR > 2 && $3 !~ /SUCCEEDED/ {exit 1}'
hadoop fs -rm -r -skipTrash /bench >/dev/null
