/* SPDX-License-Identifier: MIT */
/* Helpers for the suites: inputs that end where their heap block ends, and heads from text. */
#pragma once

#include <check.h>
#include <stdlib.h>
#include <valgrind/valgrind.h>

#include "http/http1.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

/*
 * How often a test repeats itself with other inputs. Under valgrind, where each round takes a hundred times as
 * long, the first ones are enough: the others run without it, and with the sanitizers.
 */
static inline size_t rounds(size_t n)
{
	return RUNNING_ON_VALGRIND && n > 100 ? 100 + n / 200 : n;
}

/* Hands a descriptor on: returns it and leaves -1 behind. */
static inline int fd_take(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

/* A copy in a heap block of exactly its size, for ASan and valgrind; free() it. */
static inline char *exact(const void *p, size_t len)
{
	char *copy = malloc(len);

	ck_assert(copy || len == 0);
	if (len > 0)
		memcpy(copy, p, len);
	return copy;
}

static inline struct slice exact_str(const char *text)
{
	return (struct slice){ exact(text, strlen(text)), strlen(text) };
}

static inline void slice_free(struct slice s)
{
	free((char *)s.p);
}

/* As ck_assert_str_eq(), for what has no NUL. */
#define ck_assert_slice_eq(s, text)                                              \
	do {                                                                     \
		struct slice s_ = (s), text_ = slice_str(text);                  \
		ck_assert_msg(slice_eq(s_, text_), "%s is '%.*s', not '%s'", #s, \
			      SLICE_FMT(s_), text_.p);                           \
	} while (0)

/* A whole head, which must be one to lines_scan(), in a block of its own. */
static inline struct slice head_raw(const char *text)
{
	struct slice raw = exact_str(text);
	struct lines_scan scan = { 0 };

	ck_assert_msg(lines_scan(&scan, raw, raw.len) == (ssize_t)raw.len, "no head: %s",
		      text);
	return raw;
}

/* Reads a request, which must be fine, from the block that it returns; slice_free() it. */
static inline struct slice request_read(const char *text, struct http1_head *ret)
{
	struct slice raw = head_raw(text);
	struct http1_fault fault;

	ck_assert_msg(http1_parse_request(raw, ret, &fault) == 0, "%u %s: %s",
		      fault.status, fault.why, text);
	return raw;
}

/* Likewise a response to a GET. */
static inline struct slice answer_read(const char *text, struct http1_head *ret)
{
	struct slice raw = head_raw(text);
	struct http1_fault fault;

	ck_assert_msg(http1_parse_response(raw, SLICE("GET"), ret, &fault) == 0, "%s: %s",
		      fault.why, text);
	return raw;
}

/* The exit code of a suite's main(). */
static inline int suite_run(Suite *suite)
{
	SRunner *runner = srunner_create(suite);
	int failed;

	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
