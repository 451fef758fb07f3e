/* SPDX-License-Identifier: MIT */
#include "ctl/table.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/memory.h"
#include "ctl/text.h"

#define COLUMN_MIN 6 /* a column is shortened to that, or the text would say nothing */
#define ELLIPSIS   "\xe2\x80\xa6"
#define BOLD       "\x1b[0;1m"
#define NORMAL     "\x1b[0m"

void table_init(struct table *ret, const struct table_column *columns, size_t n)
{
	*ret = (struct table){ .columns = columns, .n = n };
}

void table_done(struct table *t)
{
	for (size_t i = 0; i < t->used; i++) {
		free(t->cells[i].text);
		json_decref(t->cells[i].json);
	}
	free(t->cells);
	*t = (struct table){ 0 };
}

/* ---- cells */

static void append(struct table *t, const char *text, json_t *json)
{
	if (t->used == t->room)
		t->cells = memory_array(t->cells, t->room = t->room ? 2 * t->room : 64,
					sizeof(t->cells[0]));
	t->cells[t->used++] = (struct table_cell){
		.text = text ? memory_copy(slice_str(text)) : NULL,
		.json = json,
	};
}

void table_text(struct table *t, const char *text)
{
	if (!text || text[0] == '\0')
		append(t, NULL, NULL);
	else
		append(t, text, table_json_text(text));
}

/* scale: JSON has n multiplied by this. */
static void append_number(struct table *t, bool known, uint64_t n, json_int_t scale,
			  void (*format)(uint64_t, char[static TEXT_MAX]))
{
	char text[TEXT_MAX];

	if (!known) {
		append(t, NULL, NULL);
		return;
	}
	format(n, text);
	append(t, text, json_integer((json_int_t)n * scale));
}

void table_bytes(struct table *t, bool known, uint64_t bytes)
{
	append_number(t, known, bytes, 1, text_bytes);
}

void table_span(struct table *t, bool known, uint64_t ms)
{
	append_number(t, known, ms, 1000, text_span);
}

void table_time(struct table *t, bool known, uint64_t us)
{
	append_number(t, known, us, 1, text_time);
}

/* ---- for people: all text is ASCII, one column for each byte */

static const char *shown(const struct table_cell *c)
{
	return c->text ? c->text : "-";
}

static void widths_wanted(const struct table *t, bool legend, size_t *ret)
{
	for (size_t i = 0; i < t->n; i++)
		ret[i] = legend ? strlen(t->columns[i].name) : 1;
	for (size_t i = 0; i < t->used; i++) {
		size_t len = strlen(shown(&t->cells[i]));

		if (len > ret[i % t->n])
			ret[i % t->n] = len;
	}
	for (size_t i = 0; i < t->n; i++)
		if (t->columns[i].kind == TABLE_HIDDEN)
			ret[i] = 0;
}

/* The widest column gives way first. Numbers are never shortened. */
static void widths_fit(const struct table *t, size_t columns, size_t *widths)
{
	for (;;) {
		size_t sum = 0, widest = t->n;

		for (size_t i = 0; i < t->n; i++) {
			if (widths[i] == 0)
				continue;
			sum += widths[i] + (sum > 0);
			if (t->columns[i].kind != TABLE_RIGHT && widths[i] > COLUMN_MIN &&
			    (widest == t->n || widths[i] > widths[widest]))
				widest = i;
		}
		if (columns == 0 || sum <= columns || widest == t->n)
			return;
		widths[widest]--;
	}
}

static void write_spaces(size_t n, FILE *to)
{
	(void)fprintf(to, "%*s", (int)n, "");
}

/* Writes the text shortened to that width, which is less than its length. */
static void write_short(const struct table_column *c, const char *text, size_t width,
			bool utf8, FILE *to)
{
	size_t left = width - (utf8 ? 1 : strlen("..."));
	size_t head = c->kind == TABLE_MIDDLE ? left / 3 : left;

	(void)fprintf(to, "%.*s%s%s", (int)head, text, utf8 ? ELLIPSIS : "...",
		      text + strlen(text) - (left - head));
}

static void write_cell(const struct table_column *c, const char *text, size_t width,
		       bool last, bool utf8, FILE *to)
{
	size_t len = strlen(text);

	if (len > width) {
		write_short(c, text, width, utf8, to);
		return;
	}
	if (c->kind == TABLE_RIGHT)
		write_spaces(width - len, to);
	(void)fputs(text, to);
	if (c->kind != TABLE_RIGHT && !last)
		write_spaces(width - len, to);
}

static void write_row(const struct table *t, const struct table_cell *cells,
		      const size_t *widths, bool utf8, FILE *to)
{
	size_t last = t->n;
	bool begun = false;

	while (last > 0 && widths[last - 1] == 0)
		last--;
	for (size_t i = 0; i < last; i++) {
		if (widths[i] == 0)
			continue;
		if (begun)
			(void)fputc(' ', to);
		begun = true;
		write_cell(&t->columns[i], cells ? shown(&cells[i]) : t->columns[i].name,
			   widths[i], i + 1 == last, utf8, to);
	}
}

void table_write(const struct table *t, const struct table_style *style, FILE *to)
{
	size_t *widths = memory_array(NULL, t->n, sizeof(*widths));
	size_t rows = style->rows > 0 ? style->rows - style->legend : SIZE_MAX;

	widths_wanted(t, style->legend, widths);
	widths_fit(t, style->columns, widths);
	if (style->legend) {
		(void)fputs(style->colour ? BOLD : "", to);
		write_row(t, NULL, widths, style->utf8, to);
		(void)fputs(style->colour ? NORMAL "\n" : "\n", to);
	}
	for (size_t i = 0; i < t->used && rows > 0; i += t->n, rows--) {
		write_row(t, &t->cells[i], widths, style->utf8, to);
		(void)fputc('\n', to);
	}
	free(widths);
}

/* ---- JSON */

json_t *table_json_text(const char *text)
{
	json_t *json = json_string(text);
	char *copy;

	if (json)
		return json;
	copy = memory_copy(slice_str(text));
	for (char *p = copy; *p; p++)
		if (*p & 0x80)
			*p = '?';
	json = json_string(copy);
	free(copy);
	return json;
}

json_t *table_json(const struct table *t)
{
	json_t *rows = json_array(), *row = NULL;

	for (size_t i = 0; i < t->used; i++) {
		const struct table_column *c = &t->columns[i % t->n];
		char key[TEXT_MAX] = "";

		if (i % t->n == 0) {
			row = json_object();
			(void)json_array_append_new(rows, row);
		}
		for (size_t k = 0; c->name[k] && k < sizeof(key) - 1; k++)
			key[k] = (char)tolower((unsigned char)c->name[k]);
		(void)json_object_set_new(row, key,
					  t->cells[i].json ? json_incref(t->cells[i].json)
							   : json_null());
	}
	return rows;
}

void table_print_json(enum ctl_json form, json_t *json)
{
	size_t flags = form == CTL_JSON_PRETTY ? JSON_INDENT(8) : JSON_COMPACT;

	(void)json_dumpf(json, stdout, flags); /* main() looks for errors */
	(void)putchar('\n');
	json_decref(json);
}
