// SPDX-License-Identifier: Apache-2.0
// longest: the longest word for each first letter. The contract in C++20; for tests, and for
// docs/first-job.md.
#include <quern/job.h>

#include <string_view>

namespace {

std::string_view view(qn_slice s)
{
    return {static_cast<const char *>(s.data), s.len};
}

qn_slice slice(std::string_view v)
{
    return qn_bytes(v.data(), v.size());
}

int map(qn_task *task, qn_slice line, qn_slice)
{
    qn_slice word;
    while (qn_next_word(&line, &word))
        if (int rc = qn_emit(task, slice(view(word).substr(0, 1)), word); rc != 0)
            return rc;
    return 0;
}

// The longest; of equally long ones the first in order of bytes. Also what combines.
int longest(qn_task *task, qn_slice letter, qn_values *words)
{
    char best[256];
    std::string_view found;
    for (qn_slice word; qn_next(words, &word);) {
        auto w = view(word).substr(0, sizeof best);
        if (w.size() > found.size() || (w.size() == found.size() && w < found))
            found = {static_cast<const char *>(memmove(best, w.data(), w.size())), w.size()};
    }
    return qn_emit(task, letter, slice(found));
}

} // namespace

const struct qn_job qn_job = {
    .head = QN_JOB_HEAD,
    .name = "longest",
    .about = "the longest word for each first letter",
    .map = map,
    .combine = longest,
    .reduce = longest,
};
