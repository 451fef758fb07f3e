/* SPDX-License-Identifier: MIT */
/* Numbers and times as people read them, in the forms of systemctl(1). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* The user's locale has UTF-8, so that more than ASCII can be printed. */
bool text_is_utf8(void);

/* Room for each of these texts, in bytes. */
#define TEXT_MAX 64

/* "712B", "1.2K", "3.4G": powers of 1024. */
void text_bytes(uint64_t bytes, char ret[static TEXT_MAX]);

/* "0s", "5s", "12min 5s", "3h 12min", "2d 3h": the two largest units. */
void text_span(uint64_t ms, char ret[static TEXT_MAX]);

/* Local time, from microseconds since 1970: "2026-11-30 09:37:12". */
void text_time(uint64_t us, char ret[static TEXT_MAX]);

/* The same with the day of the week and the time zone: "Mon 2026-11-30 09:37:12 UTC". */
void text_time_long(uint64_t us, char ret[static TEXT_MAX]);
