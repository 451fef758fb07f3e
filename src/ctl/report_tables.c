/* SPDX-License-Identifier: MIT */
#include "ctl/report_tables.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/html.h"
#include "ctl/memory.h"
#include "ctl/text.h"

/* The rows of a table; what is left is in one more. */
#define ROWS_MAX 20

#define NOT_KNOWN "-"

static const char *or_not_known(const char *text)
{
	return text[0] ? text : NOT_KNOWN;
}

static void number_text(uint64_t n, char ret[static TEXT_MAX])
{
	(void)snprintf(ret, TEXT_MAX, "%" PRIu64, n);
}

static void percent_text(uint64_t n, uint64_t of, char ret[static TEXT_MAX])
{
	number_text((n * 100 + of / 2) / of, ret);
}

/* The sum of all but the first rows. */
static struct tally_row rest_of(const struct tally *t, struct tally_row *const row[])
{
	struct tally_row rest = t->others;

	for (size_t i = ROWS_MAX; i < t->n; i++) {
		rest.n += row[i]->n;
		rest.ms += row[i]->ms;
		rest.up += row[i]->up;
		rest.down += row[i]->down;
		if (row[i]->last_us > rest.last_us)
			rest.last_us = row[i]->last_us;
	}
	return rest;
}

/* Calls write() for each row, with the sum of all, and for all others together with that text. */
static void write_rows(const struct tally *t, const char *others, FILE *to,
		       void (*write)(const struct tally_row *row, const char *text,
				     uint64_t sum, FILE *to))
{
	struct tally_row **row = tally_sort(t), rest = rest_of(t, row);
	uint64_t sum = rest.n;

	for (size_t i = 0; i < t->n && i < ROWS_MAX; i++)
		sum += row[i]->n;
	for (size_t i = 0; i < t->n && i < ROWS_MAX; i++)
		write(row[i], row[i]->text, sum, to);
	if (rest.n > 0)
		write(&rest, others, sum, to);
	free(row);
}

/* ---- who */

static const struct html_column who_columns[] = {
	{ "", HTML_TEXT },       { "Sessions", HTML_NUMBER },
	{ "Share", HTML_SHARE }, { "Time open", HTML_NUMBER },
	{ "Up", HTML_NUMBER },   { "Down", HTML_NUMBER },
	{ "Last", HTML_LABEL },
};

static void write_who_row(const struct tally_row *row, const char *text, uint64_t sum,
			  FILE *to)
{
	char n[TEXT_MAX], share[TEXT_MAX], time[TEXT_MAX], up[TEXT_MAX], down[TEXT_MAX];
	char last[TEXT_MAX];

	number_text(row->n, n);
	percent_text(row->n, sum, share);
	text_span(row->ms, time);
	text_bytes(row->up, up);
	text_bytes(row->down, down);
	text_time(row->last_us, last);
	html_table_row(
		to, who_columns, COUNT(who_columns),
		(const char *[]){ or_not_known(text), n, share, time, up, down, last });
}

static void write_who(const struct tally *t, const char *caption, const char *name,
		      FILE *to)
{
	struct html_column columns[COUNT(who_columns)];

	memcpy(columns, who_columns, sizeof(columns));
	columns[0].name = name;
	html_table_begin(to, caption, columns, COUNT(columns));
	write_rows(t, "all others", to, write_who_row);
	html_table_end(to);
}

/* ---- reasons */

static const struct html_column reason_columns[] = {
	{ "Reason", HTML_LABEL }, { "Sentence", HTML_TEXT }, { "Number", HTML_NUMBER },
	{ "Share", HTML_SHARE },  { "Last", HTML_LABEL },
};

/* The text is a label, a tab and a sentence. */
static void write_reason_row(const struct tally_row *row, const char *text, uint64_t sum,
			     FILE *to)
{
	size_t len = slice_find(slice_str(text), '\t');
	char *label = memory_copy((struct slice){ text, len });
	char n[TEXT_MAX], share[TEXT_MAX], last[TEXT_MAX];

	for (char *p = label; *p; p++)
		if (*p == '_')
			*p = ' ';
	number_text(row->n, n);
	percent_text(row->n, sum, share);
	text_time(row->last_us, last);
	html_table_row(to, reason_columns, COUNT(reason_columns),
		       (const char *[]){ label,
					 or_not_known(text[len] ? text + len + 1 : ""), n,
					 share, last });
	free(label);
}

static void write_reasons(const struct tally *t, const char *caption, FILE *to)
{
	if (t->n == 0) {
		(void)fprintf(to, "<p>%s: none.</p>\n", caption);
		return;
	}
	html_table_begin(to, caption, reason_columns, COUNT(reason_columns));
	write_rows(t, "all others\t", to, write_reason_row);
	html_table_end(to);
}

/* ---- administrators */

static const struct html_column cut_columns[] = {
	{ "Time", HTML_LABEL },  { "Session", HTML_TEXT }, { "User", HTML_TEXT },
	{ "Client", HTML_TEXT }, { "By", HTML_TEXT },      { "Why", HTML_TEXT },
};

static void write_cuts(const struct report *r, FILE *to)
{
	uint64_t n = r->cuts_made < REPORT_CUTS ? r->cuts_made : REPORT_CUTS;

	if (n == 0) {
		(void)fputs("<p>Ended with novnc-gatectl disconnect: none.</p>\n", to);
		return;
	}
	html_table_begin(to, "Ended with novnc-gatectl disconnect", cut_columns,
			 COUNT(cut_columns));
	for (uint64_t i = 1; i <= n; i++) { /* the last one first */
		const struct report_cut *c = &r->cuts[(r->cuts_made - i) % REPORT_CUTS];
		char time[TEXT_MAX];

		text_time(c->time_us, time);
		html_table_row(
			to, cut_columns, COUNT(cut_columns),
			(const char *[]){ time, or_not_known(c->session),
					  or_not_known(c->user), or_not_known(c->client),
					  or_not_known(c->by), or_not_known(c->reason) });
	}
	html_table_end(to);
	if (r->cuts_made > n)
		(void)fprintf(to, "<p>%" PRIu64 " earlier ones are not listed.</p>\n",
			      r->cuts_made - n);
}

void report_tables_write(const struct report *r, FILE *to)
{
	(void)fputs("<h2>Who</h2>\n", to);
	write_who(&r->users, "Users", "User", to);
	write_who(&r->clients, "Clients", "Address", to);
	(void)fputs("<h2>How sessions ended</h2>\n", to);
	write_reasons(&r->ends, "Ends of sessions", to);
	write_cuts(r, to);
	(void)fputs("<h2>What failed</h2>\n", to);
	write_reasons(&r->failures, "Failures", to);
	write_reasons(&r->refusals, "Refusals", to);
}
