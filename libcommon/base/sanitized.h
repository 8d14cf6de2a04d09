/* SPDX-License-Identifier: Apache-2.0
 * sanitized: was this compiled with a sanitizer of memory or of threads? gcc says so in a macro,
 * clang in a feature. What they add to a process (shadow, threads, memory kept back) is not ours to
 * limit. */
#ifndef QUERN_BASE_SANITIZED_H
#define QUERN_BASE_SANITIZED_H

#ifdef __has_feature
#define SANITIZED_FEATURE(name) __has_feature(name)
#else
#define SANITIZED_FEATURE(name) 0
#endif

#if defined(__SANITIZE_THREAD__) || SANITIZED_FEATURE(thread_sanitizer)
#define IS_THREAD_SANITIZED 1
#else
#define IS_THREAD_SANITIZED 0
#endif

#if defined(__SANITIZE_ADDRESS__) || SANITIZED_FEATURE(address_sanitizer) || IS_THREAD_SANITIZED
#define IS_SANITIZED 1
#else
#define IS_SANITIZED 0
#endif

#endif
