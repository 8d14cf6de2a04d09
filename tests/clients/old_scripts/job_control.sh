#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What looks after jobs: starts one, asks after it, tells wrong calls from failed jobs, clears up.
set -e
. "$(dirname "$0")/expect.sh"
EXAMPLES=/usr/lib/hadoop-mapreduce/hadoop-mapreduce-examples.jar
code_of() { "$@" >said.txt 2>&1 && echo 0 || echo $?; }

printf 'a b a\n' >words.txt
hadoop fs -mkdir -p /control/in
hadoop fs -put words.txt /control/in
hadoop jar $EXAMPLES wordcount /control/in /control/out 2>console.txt
JOB=$(sed -n 's/.*Running job: \(job_[0-9_]*\)$/\1/p' console.txt)
APP=application_${JOB#job_}

mapred job -status "$JOB" >status.txt
expect "$(sed -n 's/^Job state: //p' status.txt)" SUCCEEDED
expect "$(sed -n 's/^map() completion: //p' status.txt)" 1.0
expect "$(mapred job -counter "$JOB" org.apache.hadoop.mapreduce.TaskCounter MAP_INPUT_RECORDS)" 1
expect "$(code_of mapred job -kill "$JOB")" 255
grep -q "^Could not kill the job $JOB, as it has already succeeded" said.txt
expect "$(code_of mapred job -kill job_1_0001)" 255
grep -qx 'Could not find job job_1_0001' said.txt
expect "$(code_of mapred job -status job_1_0001)" 255
expect "$(code_of mapred job -nosuch)" 255
expect "$(mapred job -list-attempt-ids "$JOB" MAP completed)" "attempt_${JOB#job_}_m_000000_0"
expect "$(mapred job -list-attempt-ids "$JOB" REDUCE completed)" "attempt_${JOB#job_}_r_000000_0"
expect "$(mapred job -list-attempt-ids "$JOB" MAP failed)" ""
expect "$(code_of mapred job -list-attempt-ids "$JOB" MAPS completed)" 255
mapred job -events "$JOB" 0 10 >events.txt
expect "$(sed -n 2p events.txt)" "Number of events (from 0) are: 2"
expect "$(awk 'NR > 2 { print $1, $2 }' events.txt | tail -1)" "SUCCEEDED attempt_${JOB#job_}_r_000000_0"
expect "$(mapred job -events "$JOB" 1 1 | sed 1,2d | wc -l)" 1
expect "$(code_of mapred job -events job_1_0001 0 10)" 255
mapred job -list-active-trackers | grep -q .
expect "$(mapred job -list-blacklisted-trackers | wc -l)" 1

expect "$(yarn application -status "$APP" | awk '$1 == "Final-State" {print $3}')" SUCCEEDED
yarn application -kill "$APP" | grep -q 'has already finished'
expect "$(code_of yarn application -kill application_1_0001)" 255
expect "$(yarn node -list 2>/dev/null | sed -n 's/^Total Nodes://p')" 1
yarn node -list | awk 'NR == 3 && $2 != "RUNNING" { exit 1 }'

expect "$(code_of hadoop jar $EXAMPLES wordcount /control/in /control/out)" 1
grep -q 'Output directory .*/control/out already exists' said.txt
expect "$(code_of hadoop jar $EXAMPLES wordcount /control/none /control/out2)" 1
grep -q 'Input path does not exist: .*/control/none' said.txt
expect "$(code_of hadoop jar $EXAMPLES wordcount)" 2
expect "$(code_of hadoop jar no-such.jar)" 255
grep -q 'JAR does not exist or is not a normal file' said.txt
expect "$(code_of mapred streaming)" 1
expect "$(code_of mapred streaming -input /control/in)" 1
expect "$(code_of hdfs nosuch)" 1
expect "$(code_of hdfs)" 1
for name in hadoop hdfs mapred yarn; do
    expect "$(code_of $name -help)" 0
    grep -q "^  $name " said.txt
done
hdfs debug recoverLease -path /control/in/words.txt -retries 3 | grep -q SUCCEEDED
hadoop fs -rm -r -skipTrash /control >/dev/null
