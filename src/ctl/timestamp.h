/* SPDX-License-Identifier: MIT */
/* Times on the command line. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/*
 * Reads a time in each of the forms that journalctl(1) accepts, in microseconds since 1970. Returns false after a
 * message on standard error, which names the option.
 */
bool timestamp_parse(const char *option, const char *text, uint64_t *ret_us);
