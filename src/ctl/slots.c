/* SPDX-License-Identifier: MIT */
#include "ctl/slots.h"

#include <stdbool.h>
#include <time.h>

#define SECOND_US 1000000ULL
#define HOUR_S    3600
#define DAY_S     86400

/* Few enough for a chart and its table. */
#define SLOTS_WANTED 72

/* A day and more are whole days, and the last one is enough for a hundred years. */
static const uint64_t widths_s[] = { 1,         5,          15,          60,
				     300,       900,        1800,        HOUR_S,
				     10800,     21600,      43200,       DAY_S,
				     7 * DAY_S, 28 * DAY_S, 364 * DAY_S, 3640 * DAY_S };

/* The begin of that day: midnight, in winter or in summer, or later where the clocks skip it. */
static time_t day_begin(struct tm *tm)
{
	time_t t;

	tm->tm_hour = tm->tm_min = tm->tm_sec = 0;
	tm->tm_isdst = -1;
	t = mktime(tm);
	return tm->tm_hour == 23 ? t + HOUR_S : t;
}

/* The begin of the local day, or of this width in it. */
static time_t begin_of(time_t t, uint64_t width_s)
{
	struct tm tm;
	time_t day;

	if (!localtime_r(&t, &tm))
		return t;
	day = day_begin(&tm);
	return width_s >= DAY_S ? day
				: day + (t - day) / (time_t)width_s * (time_t)width_s;
}

static time_t next_begin(time_t t, uint64_t width_s)
{
	struct tm tm;

	if (width_s < DAY_S || !localtime_r(&t, &tm))
		return t + (time_t)width_s;
	tm.tm_mday += (int)(width_s / DAY_S);
	return day_begin(&tm);
}

void slots_init(struct slots *ret, uint64_t since_us, uint64_t until_us)
{
	time_t t = (time_t)(since_us / SECOND_US);
	uint64_t span_s = (until_us - since_us) / SECOND_US;
	size_t i = 0;

	while (i + 1 < sizeof(widths_s) / sizeof(widths_s[0]) &&
	       span_s / widths_s[i] > SLOTS_WANTED)
		i++;
	*ret = (struct slots){ .width_s = widths_s[i] };
	t = begin_of(t, ret->width_s);
	do {
		ret->slot[ret->n++].begin_us = (uint64_t)t * SECOND_US;
		t = next_begin(t, ret->width_s);
	} while ((uint64_t)t * SECOND_US < until_us && ret->n < SLOTS_MAX);
	ret->slot[ret->n].begin_us = (uint64_t)t * SECOND_US;
}

size_t slots_find(const struct slots *s, uint64_t time_us)
{
	size_t i = 0;

	while (i + 1 < s->n && s->slot[i + 1].begin_us <= time_us)
		i++;
	return i;
}
