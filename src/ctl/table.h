/* SPDX-License-Identifier: MIT */
/* A table, for people or as JSON. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "ctl/ctl.h"

struct table_column {
	const char *name; /* "SESSION"; as a key of JSON in lower case */
	enum {
		TABLE_LEFT,
		TABLE_RIGHT,
		TABLE_MIDDLE, /* left, and a long text is shortened in its middle */
		TABLE_HIDDEN, /* in JSON only */
	} kind;
};

struct table_cell {
	char *text;   /* owned; NULL: "-" */
	json_t *json; /* owned; NULL: null */
};

struct table {
	const struct table_column *columns; /* borrowed */
	size_t n;                           /* columns */
	struct table_cell *cells;           /* owned, row after row */
	size_t used, room;
};

struct table_style {
	bool legend; /* a header */
	bool colour;
	bool utf8;        /* else a shortened cell has three dots */
	unsigned columns; /* the width at most; 0: any */
	unsigned rows;    /* lines at most; 0: any */
};

void table_init(struct table *ret, const struct table_column *columns, size_t n);
void table_done(struct table *t);

/* Append a cell. If `known` is false or the text is NULL or "", it is "-", in JSON null. */
void table_text(struct table *t, const char *text);
void table_bytes(struct table *t, bool known, uint64_t bytes);
void table_span(struct table *t, bool known, uint64_t ms); /* JSON: microseconds */
void table_time(struct table *t, bool known,
		uint64_t us); /* JSON: microseconds since 1970 */

/* Writes it for people. */
void table_write(const struct table *t, const struct table_style *style, FILE *to);

/* A string; bytes that are not ASCII are replaced if the text is not UTF-8. The caller calls json_decref(). */
json_t *table_json_text(const char *text);

/* An array with an object for each row. The caller calls json_decref(). */
json_t *table_json(const struct table *t);

/* Prints JSON in the form of --json=, and takes the reference. */
void table_print_json(enum ctl_json form, json_t *json);
