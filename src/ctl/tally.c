/* SPDX-License-Identifier: MIT */
#include "ctl/tally.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/memory.h"

static int by_text(const void *a, const void *b)
{
	return strcmp(((const struct tally_row *)a)->text,
		      ((const struct tally_row *)b)->text);
}

struct tally_row *tally_row(struct tally *t, const char *text)
{
	struct tally_row wanted = { .text = (char *)text }, *row;
	struct tally_row **found = tfind(&wanted, &t->tree, by_text);

	if (found)
		return *found;
	if (t->n == TALLY_MAX)
		return &t->others;
	row = memory_array(NULL, 1, sizeof(*row));
	*row = (struct tally_row){ .text = memory_copy(slice_str(text)) };
	if (!tsearch(row, &t->tree, by_text))
		memory_none();
	t->n++;
	return row;
}

struct list {
	struct tally_row **row;
	size_t n;
};

static void collect(const void *node, VISIT visit, void *list)
{
	struct list *l = list;

	if (visit == postorder || visit == leaf) /* once for each */
		l->row[l->n++] = *(struct tally_row *const *)node;
}

static int by_number(const void *a, const void *b)
{
	const struct tally_row *x = *(struct tally_row *const *)a,
			       *y = *(struct tally_row *const *)b;

	return x->n != y->n ? (x->n < y->n ? 1 : -1) : strcmp(x->text, y->text);
}

struct tally_row **tally_sort(const struct tally *t)
{
	struct list l = { .row = memory_array(NULL, t->n, sizeof(*l.row)) };

	twalk_r(t->tree, collect, &l);
	qsort(l.row, l.n, sizeof(*l.row), by_number);
	return l.row;
}

static void row_free(void *p)
{
	struct tally_row *row = p;

	free(row->text);
	free(row);
}

void tally_done(struct tally *t)
{
	tdestroy(t->tree, row_free);
	*t = (struct tally){ 0 };
}
