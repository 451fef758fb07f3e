/* SPDX-License-Identifier: MIT */
/* Helpers for the suites of the report: entries, and what the page has. */
#pragma once

#include <stdio.h>
#include <time.h>

#include "ctl/report.h"
#include "testing.h"

#define PROXYING     "f6f9792c04fb43ac86cbf1932436eb7b"
#define CLOSED       "930ee7b5ab8f48f2b1fb9892c90e56b8"
#define WS_ERROR     "3f3a3d11331348c7ae8f7499bb3e7f7e"
#define REFUSED      "172f8e3d92354f67b33d181747e5601f"
#define KILLED       "d9b373ed55a64feb8242e02dbe79a49c"
#define DISCONNECTED "5a5fc13451c94dc991b50c878634f521"

#define SECOND 1000000ULL
#define HOUR   (3600 * SECOND)
#define DAY    (24 * HOUR)
#define BEGIN  (1795996800 * SECOND) /* 2026-11-30 00:00:00 UTC */

static const struct entry plain = {
	.id = "",
	.message = "",
	.program = "",
	.pid = "",
	.uid = "0",
	.boot = "1",
	.invocation = "",
	.session = "4711",
	.request_id = "1",
	.user = "alice",
	.client = "192.0.2.1:51234",
	.reason = "",
	.by = "",
	.ended = "",
	.result = "",
};

static inline void opened(struct report *r, uint64_t time_us, const char *request_id)
{
	struct entry e = plain;

	e.id = PROXYING;
	e.time_us = time_us;
	e.request_id = (char *)request_id;
	report_add(r, &e);
}

static inline void closed(struct report *r, uint64_t time_us, const char *request_id,
			  uint64_t duration_ms)
{
	struct entry e = plain;

	e.id = CLOSED;
	e.time_us = time_us;
	e.request_id = (char *)request_id;
	e.duration_ms = duration_ms;
	e.status = 101;
	e.reason = "closed by the client (1000)";
	e.up = 1000;
	e.down = 1001;
	report_add(r, &e);
}

static inline void failed(struct report *r, uint64_t time_us, const char *id,
			  const char *reason)
{
	struct entry e = plain;

	e.id = (char *)id;
	e.time_us = time_us;
	e.status = 400;
	e.reason = (char *)reason;
	report_add(r, &e);
}

static inline struct report begun_at(uint64_t since_us, uint64_t until_us)
{
	struct report r;

	ck_assert_int_eq(setenv("TZ", "UTC", true), 0);
	report_init(&r, since_us, until_us);
	return r;
}

/* free() it. */
static inline char *page_of(const struct report *r)
{
	char *text = NULL;
	size_t len;
	FILE *to = open_memstream(&text, &len);

	report_write(r, "host.example", to);
	ck_assert_int_eq(fclose(to), 0);
	ck_assert_uint_eq(strlen(text), len);
	return text;
}

static inline void has(const struct report *r, const char *part)
{
	char *page = page_of(r);

	ck_assert_msg(strstr(page, part) != NULL, "%s is not in:\n%s", part, page);
	free(page);
}

static inline const struct tally_row *row(const struct tally *t, const char *text)
{
	return tally_row((struct tally *)t, text);
}
