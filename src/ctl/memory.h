/* SPDX-License-Identifier: MIT */
/*
 * Allocation without failures: if there is no memory, these functions print a message and end the program with
 * exit code 1. Nothing has to be saved then, because files are written as a whole.
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
