/* SPDX-License-Identifier: Apache-2.0
 * kit_new: the files of a plugin to begin with: a source that counts, a Makefile, a test. */
#ifndef QUERN_CLIENT_JOB_KIT_NEW_H
#define QUERN_CLIENT_JOB_KIT_NEW_H

#include "libcommon/base/err.h"

/* Makes the directory `name`, which must not exist. `language`: "c", "c++" or "rust"; NULL = c. */
int kit_new(const char *name, const char *language, struct err *err);

/* What is written for a language; @ and % as kit_texts.c says. */
struct kit_language {
    const char *name, *extension, *source, *makefile;
    const char *cargo; /* Cargo.toml; NULL where there is none */
};
extern const struct kit_language kit_languages[]; /* ends with a NULL name */

#endif
