#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The weekly round: quotas, replication, an image of the namespace and what is in it, the balancer.
set -e
. "$(dirname "$0")/expect.sh"

hdfs dfs -mkdir -p /projects/alpha /projects/beta
echo data >file
hdfs dfs -put file /projects/alpha/file
hdfs dfs -setrep -R 1 /projects >/dev/null
hdfs dfsadmin -setQuota 1000 /projects/alpha
hdfs dfsadmin -setSpaceQuota 10g /projects/alpha /projects/beta
hdfs dfs -count -q /projects/alpha /projects/beta | awk '{print $1, $3, $NF}' >quotas.txt
expect "$(cat quotas.txt)" "$(printf '1000 10737418240 /projects/alpha\nnone 10737418240 /projects/beta')"
hdfs dfsadmin -clrSpaceQuota /projects/beta
hdfs dfsadmin -clrQuota /projects/alpha
expect "$(hdfs dfs -count -q /projects/beta | awk '{print $3}')" none

hdfs dfsadmin -safemode enter >/dev/null
hdfs dfsadmin -saveNamespace | grep -q '^Save namespace successful'
hdfs dfsadmin -safemode leave >/dev/null
hdfs dfsadmin -rollEdits | grep -q '^Successfully rolled edit logs'
mkdir -p image
hdfs dfsadmin -fetchImage image
IMAGE=$(ls image/* | head -1)
hdfs oiv -p XML -i "$IMAGE" -o image.xml
grep -q '<name>alpha</name>' image.xml
hdfs oiv -p Delimited -i "$IMAGE" -o image.tsv
awk -F'\t' '$1 == "/projects/alpha/file" {found = $7} END {exit found != 5}' image.tsv
hdfs oiv -i "$IMAGE" -o sizes.txt -p FileDistribution
grep -q '^totalFiles = ' sizes.txt

hdfs dfsadmin -setBalancerBandwidth 10485760 | grep -q '^Balancer bandwidth is set to 10485760'
hadoop balancer -threshold 10 >balancer.txt 2>&1
grep -q '^The cluster is balanced. Exiting...' balancer.txt
hdfs dfsadmin -refreshNodes | grep -q '^Refresh nodes successful'
for key in dfs.replication dfs.namenode.handler.count fs.defaultFS; do
    [ -n "$(hdfs getconf -confKey $key 2>/dev/null)" ] || [ $key = dfs.namenode.handler.count ]
done
hadoop fs -rm -r -skipTrash /projects >/dev/null
