/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/daemon/options.h"

/* Hadoop's names that tune what quern does not have (a JVM, YARN, handler threads) or decides by
 * itself. Nothing of security is here: who asks for encryption must not be told it was ignored. */
static const char *const ignored[] = {
    "dfs.datanode.handler.count",
    "dfs.namenode.handler.count",
    "dfs.namenode.service.handler.count",
    "dfs.webhdfs.enabled",
    "file.*",
    "hadoop.http.staticuser.user",
    "hadoop.tmp.dir",
    "io.compression.codecs",
    "io.file.buffer.size",
    "io.serializations",
    "ipc.*",
    "mapred.child.java.opts",
    "mapred.map.tasks",
    "mapreduce.am.*",
    "mapreduce.app-submission.*",
    "mapreduce.application.*",
    "mapreduce.client.*",
    "mapreduce.fileoutputcommitter.*",
    "mapreduce.framework.name",
    "mapreduce.job.classloader",
    "mapreduce.job.maps",
    "mapreduce.job.ubertask.*",
    "mapreduce.job.user.classpath.first",
    "mapreduce.jobhistory.*",
    "mapreduce.map.combine.minspills",
    "mapreduce.map.java.opts",
    "mapreduce.map.output.compress.codec",
    "mapreduce.map.sort.spill.percent",
    "mapreduce.reduce.input.buffer.percent",
    "mapreduce.reduce.java.opts",
    "mapreduce.reduce.merge.inmem.threshold",
    "mapreduce.reduce.shuffle.input.buffer.percent",
    "mapreduce.reduce.shuffle.merge.percent",
    "mapreduce.shuffle.port",
    "yarn.*",
};

int options_register(struct conf *conf, struct err *err)
{
    static const struct options_table *const tables[] = {&options_fs, &options_job, &options_node};
    for (size_t i = 0; i < ARRAY_LEN(tables); i++) {
        int rc = conf_register(conf, tables[i]->rows, tables[i]->count, err);
        if (rc == ERR_CONFIG)
            BUG("%s", err ? err->msg : "bad option table");
        if (rc != 0)
            return rc;
    }
    int rc = conf_register_ignored(conf, ignored, ARRAY_LEN(ignored));
    return rc == 0 ? 0 : err_set(err, rc, "out of memory");
}
