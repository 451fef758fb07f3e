/* SPDX-License-Identifier: MIT */
/* Sums for each of many texts, such as users. The number of texts is limited. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Peers choose some of the texts. When there are so many, all new ones share a row. */
#define TALLY_MAX 50000

struct tally_row {
	char *text; /* owned; NULL: the row that others share */
	uint64_t n, ms, up, down;
	uint64_t last_us; /* since 1970 */
};

/* All zero in the beginning. */
struct tally {
	void *tree; /* of tsearch(3) */
	size_t n;   /* texts in it */
	struct tally_row others;
};

/* The row of that text, for the caller to count in; it stays valid until tally_done(). */
struct tally_row *tally_row(struct tally *t, const char *text);

/*
 * Makes an array of n rows, the largest n first, then in order of their texts; without `others`. The caller calls
 * free().
 */
struct tally_row **tally_sort(const struct tally *t);
void tally_done(struct tally *t);
