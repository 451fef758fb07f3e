/* SPDX-License-Identifier: MIT */
/* Times: on the command line, and now. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

/* In microseconds since 1970. */
uint64_t timestamp_us(struct timespec time);
uint64_t timestamp_now_us(void);

/* How long ago that was; 0 if it is later than now, because the clock was set back. */
uint64_t timestamp_ago_ms(uint64_t us);

/*
 * Reads a time in each of the forms that journalctl(1) accepts, in microseconds since 1970. Returns false after a
 * message on standard error, which names the option.
 */
bool timestamp_parse(const char *option, const char *text, uint64_t *ret_us);
