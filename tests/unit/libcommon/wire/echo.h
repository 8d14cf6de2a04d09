/* SPDX-License-Identifier: Apache-2.0
 * echo: a small conversation for tests of rpc and chan, and for the benchmark. */
#ifndef QUERN_TEST_WIRE_ECHO_H
#define QUERN_TEST_WIRE_ECHO_H

#include "libcommon/wire/msg.h"

#define ECHO_TEXT_FIELDS(F, S, L) \
    F(STR, text)                  \
    F(U64, number)
MSG_STRUCT(echo_text, ECHO_TEXT_FIELDS)
MSG_DEFINE(echo_text, ECHO_TEXT_FIELDS)

#define ECHO_METHODS(M, P)                                                                    \
    M(P, 0x0f01, SAY, MSG_READS, echo_text, echo_text) /* the same comes back */              \
    M(P, 0x0f02, LATER, 0, echo_text, echo_text)       /* answered when the test says so */   \
    M(P, 0x0f03, FAIL, 0, echo_text, msg_void)         /* fails with code -number and text */ \
    M(P, 0x0f04, NOTE, MSG_ONEWAY, echo_text, msg_void)                                       \
    M(P, 0x0f05, RAW, 0, echo_text, echo_text)    /* then raw bytes */                        \
    M(P, 0x0f06, MISSING, 0, echo_text, msg_void) /* has no handler */                        \
    M(P, 0x0f07, ONCE, 0, echo_text, echo_text)   /* may not be asked twice */                \
    M(P, 0x0f08, RECORDED, MSG_RECORDED, echo_text, echo_text)
MSG_METHODS(ECHO, ECHO_METHODS)
MSG_METHODS_DEFINE(ECHO, ECHO_METHODS)

#define ECHO_METHOD(name) (&ECHO_methods[ECHO_AT_##name])

#endif
