/* SPDX-License-Identifier: MIT */
/* Text and tables in HTML. All texts are escaped here. */
#pragma once

#include <stddef.h>
#include <stdio.h>

/*
 * Writes a text, for content and for values of attributes in double quotes. Bytes that are not allowed in HTML, or
 * are no UTF-8, become \xNN.
 */
void html_text(FILE *to, const char *text);

struct html_column {
	const char *name;
	enum {
		HTML_TEXT,
		HTML_NUMBER, /* at the right */
		HTML_LABEL,  /* a time or a short text, never broken into two lines */
		HTML_SHARE, /* "0" to "100", drawn as a bar; only screen readers get the column's name */
	} kind;
};

void html_table_begin(FILE *to, const char *caption, const struct html_column *columns,
		      size_t n);
void html_table_row(FILE *to, const struct html_column *columns, size_t n,
		    const char *const cells[]);
void html_table_end(FILE *to);
