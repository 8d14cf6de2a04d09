#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What a monitoring system runs every five minutes, and what it cuts out of the answers.
set -e
. "$(dirname "$0")/expect.sh"

hadoop dfsadmin -safemode wait >/dev/null
expect "$(hdfs dfsadmin -safemode get)" "Safe mode is OFF"
hdfs dfsadmin -report >report.txt
LIVE=$(sed -n 's/^Live datanodes (\([0-9]*\)):.*/\1/p' report.txt)
[ "$LIVE" -ge 1 ]
grep -q '^Configured Capacity: [0-9]* (' report.txt
USED=$(awk -F'[:%]' '/^DFS Used%/ {print $3; exit}' report.txt)
[ "${USED%.*}" -lt 90 ]
expect "$(awk '/Under replicated blocks/ {print $4; exit}' report.txt)" 0
expect "$(awk '/Missing blocks:/ {print $3; exit}' report.txt)" 0
expect "$(hdfs dfsadmin -report -dead | grep -c '^Name:')" 0
expect "$(hdfs dfsadmin -printTopology | grep -c 'Rack:')" 1

hadoop fsck / >fsck.txt 2>fsck.err
grep -q '^Connecting to namenode via' fsck.err
grep -q "^The filesystem under path '/' is HEALTHY" fsck.txt
expect "$(awk '/Corrupt blocks:/ {print $3; exit}' fsck.txt)" 0
hdfs fsck / -list-corruptfileblocks 2>/dev/null | grep -q 'has 0 CORRUPT blocks'
hdfs fsck / -files -blocks -locations >/dev/null 2>&1

hdfs getconf -confKey dfs.blocksize | grep -qx '[0-9]*'
[ -n "$(hdfs getconf -namenodes)" ]
hdfs getconf -nnRpcAddresses | grep -q ':[0-9]*$'
hdfs dfsadmin -metasave meta.txt | grep -q '^Created metasave file meta.txt'
expect "$(hdfs dfsadmin -D dfs.client.retry=1 -safemode get)" "Safe mode is OFF"

hadoop job -list >jobs.txt
grep -q '^Total jobs:0$' jobs.txt
mapred queue -list | grep -q 'Queue State : running'
yarn node -list 2>/dev/null | awk -F: '/^Total Nodes/ { exit $2 < 1 }'
yarn application -list -appStates ALL 2>/dev/null | grep -q '^Total number of applications'
hadoop version | head -1 >/dev/null
df=$(hadoop fs -df / | tail -1 | awk '{print $5}')
[ "${df%\%}" -lt 90 ]
if hdfs fsck /no/such/path >/dev/null 2>&1; then :; fi
