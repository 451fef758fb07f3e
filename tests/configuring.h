/* SPDX-License-Identifier: MIT */
/* Configurations from text, and the errors that are reported about them. */
#pragma once

#include <check.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "config/config_keys.h"
#include "config_text.h"
#include "testing.h"

#define DEFAULT_NOVNC \
	"/api/auth/session/*/novnc/websock /api/auth/session/*/novnc/websockify"

/* ---- the reports: a line "FILE:LINE: MESSAGE" or "FILE: MESSAGE" each */

static char reported[65536];
static size_t reports;

static inline void report(void *userdata, const char *error)
{
	const char *what = strchr(error, ' ');
	size_t len = strlen(reported);

	ck_assert_ptr_eq(userdata, &reports);
	ck_assert_uint_lt(strlen(what), 700); /* a sentence, whatever the file holds */
	(void)snprintf(reported + len, sizeof(reported) - len, "%s\n", error);
	reports++;
}

static inline void forget(void)
{
	reported[0] = '\0';
	reports = 0;
}

/* The reader copies the bytes into a heap block that ends behind them. */
static inline enum config_result parse_bytes(struct config *c, const char *text,
					     size_t len)
{
	enum config_result r;

	forget();
	r = config_from(text, len, report, &reports, c);
	ck_assert_int_eq(r, reports > 0 ? CONFIG_INVALID : CONFIG_OK);
	return r;
}

static inline enum config_result parse(struct config *c, const char *text)
{
	return parse_bytes(c, text, strlen(text));
}

static inline void parse_good(struct config *c, const char *text)
{
	ck_assert_msg(parse(c, text) == CONFIG_OK, "%s\nreports\n%s", text, reported);
}

/* Parses text on its own, and expects each of these strings in what is reported. */
static inline void expect_reports(const char *text, ...)
{
	struct config c;
	va_list ap;

	ck_assert_msg(parse(&c, text) != CONFIG_OK, "accepted: %s", text);
	va_start(ap, text);
	for (const char *part; (part = va_arg(ap, const char *));)
		ck_assert_msg(strstr(reported, part), "%s\nreports\n%snot: %s", text,
			      reported, part);
	va_end(ap);
	config_done(&c);
}

/* A list as words with a space in between. */
static inline const char *joined(config_list list)
{
	static char text[4096];

	text[0] = '\0';
	for (; *list; list++) {
		if (text[0] != '\0')
			strcat(text, " ");
		strcat(text, *list);
	}
	return text;
}

/* The output of config_print(); free() it. */
static inline char *printed(const struct config *c)
{
	int saved = dup(STDOUT_FILENO), fd = memfd_create("print", MFD_CLOEXEC);
	char *text = calloc(1, 65536);

	fflush(stdout);
	dup2(fd, STDOUT_FILENO);
	config_print(c);
	fflush(stdout);
	dup2(saved, STDOUT_FILENO);
	close(saved);
	ck_assert_int_gt(pread(fd, text, 65535, 0), 0);
	close(fd);
	return text;
}
