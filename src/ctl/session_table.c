/* SPDX-License-Identifier: MIT */
#include "ctl/session_table.h"

#include <stdlib.h>

#include "ctl/memory.h"

static const struct table_column columns[] = {
	{ "SESSION", TABLE_LEFT },      { "USER", TABLE_LEFT },
	{ "CLIENT", TABLE_LEFT },       { "SINCE", TABLE_RIGHT },
	{ "IDLE", TABLE_RIGHT },        { "UP", TABLE_RIGHT },
	{ "DOWN", TABLE_RIGHT },        { "UNIT", TABLE_MIDDLE },
	{ "INVOCATION", TABLE_HIDDEN },
};

static int by_time(const void *a, const void *b)
{
	const struct session *x = *(struct session *const *)a,
			     *y = *(struct session *const *)b;

	if (x->since_us != y->since_us)
		return x->since_us < y->since_us ? -1 : 1;
	return strcmp(x->unit.name, y->unit.name);
}

void session_table(const struct sessions *s, struct table *ret)
{
	struct session **sorted = memory_array(NULL, s->n, sizeof(*sorted));

	table_init(ret, columns, sizeof(columns) / sizeof(columns[0]));
	for (size_t i = 0; i < s->n; i++)
		sorted[i] = &s->session[i];
	if (s->n > 0)
		qsort(sorted, s->n, sizeof(*sorted), by_time);
	for (size_t i = 0; i < s->n; i++) {
		const struct session *one = sorted[i];

		table_text(ret, one->id);
		table_text(ret, one->user);
		table_text(ret, one->client);
		table_time(ret, one->since_us > 0, one->since_us);
		table_span(ret, one->counted, one->idle_ms);
		table_bytes(ret, one->counted, one->up);
		table_bytes(ret, one->counted, one->down);
		table_text(ret, one->unit.name);
		table_text(ret, one->invocation);
	}
	free(sorted);
}
