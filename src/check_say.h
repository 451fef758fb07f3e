/* SPDX-License-Identifier: MIT */
/* `--check`: prints results, for people or as lines that novnc-gatectl reads. */
#pragma once

#include <stdbool.h>
#include <stdio.h>

enum check_level {
	CHECK_SAY_GOOD,
	CHECK_SAY_NOTE,
	CHECK_SAY_WARNING,
	CHECK_SAY_ERROR,
};

/*
 * One result. For people, the text is a line on `to`. With `report` it is a line on standard output: level,
 * subject, text and hint (what to do, or ""), with tabs in between.
 */
void check_say(bool report, FILE *to, enum check_level level, const char *subject,
	       const char *hint, const char *format, ...)
	__attribute__((format(printf, 6, 7)));
