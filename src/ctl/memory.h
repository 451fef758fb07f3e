/* SPDX-License-Identifier: MIT */
/*
 * Memory that is always there: these end the program if there is none, with a message and exit code 1.
 * Nothing that novnc-gatectl holds would be worth an attempt to go on.
 */
#pragma once

#include <stddef.h>

#include "base/buf.h"

/* A copy, with a NUL at its end; free() it. */
char *memory_copy(struct slice text);

/* The array p, NULL at first, with room for n elements of that size; free() it. */
void *memory_array(void *p, size_t n, size_t size);

/* Ends the program, for functions that report that there is none. */
void memory_none(void) __attribute__((noreturn));

/* As asprintf(3); free() it. */
char *memory_print(const char *format, ...) __attribute__((format(printf, 1, 2)));
