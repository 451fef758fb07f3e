/* SPDX-License-Identifier: MIT */
/* The page: its frame, its numbers and charts. */
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "ctl/chart.h"
#include "ctl/html.h"
#include "ctl/metrics_events.h"
#include "ctl/report.h"
#include "ctl/report_style.h"
#include "ctl/report_tables.h"

#define DAY_S 86400

/* ---- the summary */

static void fact(FILE *to, const char *name, const char *value)
{
	(void)fprintf(to, "<div><dt>%s</dt><dd>%s</dd></div>\n", name, value);
}

static void fact_number(FILE *to, const char *name, uint64_t n)
{
	char text[TEXT_MAX];

	(void)snprintf(text, sizeof(text), "%" PRIu64, n);
	fact(to, name, text);
}

static void fact_distinct(FILE *to, const char *name, const struct tally *t)
{
	char text[TEXT_MAX];

	(void)snprintf(text, sizeof(text), "%s%zu", t->others.n > 0 ? "more than " : "",
		       t->n);
	fact(to, name, text);
}

static void write_summary(const struct report *r, FILE *to)
{
	char time[TEXT_MAX], up[TEXT_MAX], down[TEXT_MAX];
	uint64_t most = 0;

	for (size_t i = 0; i < r->slots.n; i++)
		most = r->slots.slot[i].most > most ? r->slots.slot[i].most : most;
	text_span(r->ms, time);
	text_bytes(r->up, up);
	text_bytes(r->down, down);
	(void)fputs("<dl>\n", to);
	fact_number(to, "Sessions begun", r->begun);
	fact_number(to, "Most at the same time", most);
	fact_number(to, "Open at the end", r->open_at_end);
	fact_number(to, "Not opened", r->not_opened);
	fact_distinct(to, "Users", &r->users);
	fact_distinct(to, "Client addresses", &r->clients);
	fact(to, "Time of all sessions", time);
	fact(to, "Bytes up", up);
	fact(to, "Bytes down", down);
	fact_number(to, "Disconnected", r->cuts_made);
	(void)fputs("</dl>\n", to);
}

/* ---- charts over time */

static void time_text(uint64_t us, const char *format, char ret[static TEXT_MAX])
{
	time_t t = (time_t)(us / 1000000);
	struct tm tm;

	if (!localtime_r(&t, &tm) || strftime(ret, TEXT_MAX, format, &tm) == 0)
		ret[0] = '\0';
}

static const char *tick_format(const struct slots *s)
{
	if (s->width_s >= DAY_S)
		return "%Y-%m-%d";
	if (s->width_s * s->n > DAY_S + s->width_s)
		return "%m-%d %H:%M";
	return s->width_s >= 60 ? "%H:%M" : "%H:%M:%S";
}

static void write_times(const struct report *r, FILE *to)
{
	struct chart_bar open[SLOTS_MAX], begun[SLOTS_MAX];
	struct chart chart = {
		.id = "open",
		.title = "Sessions open at the same time",
		.description = "The largest number of sessions that were open at the "
			       "same time, over time.",
		.label = "From",
		.series = { "at the same time" },
		.form = CHART_STEPS,
		.bar = open,
		.n = r->slots.n,
	};

	for (size_t i = 0; i < r->slots.n; i++) {
		const struct slot *slot = &r->slots.slot[i];

		time_text(slot->begin_us, tick_format(&r->slots), open[i].tick);
		time_text(slot->begin_us,
			  r->slots.width_s >= 60 ? "%Y-%m-%d %H:%M" : "%Y-%m-%d %H:%M:%S",
			  open[i].label);
		begun[i] = open[i];
		open[i].value[0] = slot->most;
		begun[i].value[0] = slot->begun;
	}
	chart_write(&chart, to);
	chart.id = "begun";
	chart.title = "Sessions begun";
	chart.description = "The number of sessions that began, over time.";
	chart.series[0] = "begun";
	chart.form = CHART_TIMES;
	chart.bar = begun;
	chart_write(&chart, to);
}

/* ---- charts of durations and bytes */

/* "10k" for 10000, as in the names of metrics: powers of 1000. */
static void decimal_text(uint64_t n, char ret[static TEXT_MAX])
{
	static const char units[] = " kMGT";
	size_t i = 0;

	for (; n >= 1000; n /= 1000)
		i++;
	(void)snprintf(ret, TEXT_MAX, "%" PRIu64 "%.*s", n, i > 0, units + i);
}

/* Returns the number of bars. */
static size_t name_buckets(const uint64_t bounds[],
			   void (*format)(uint64_t, char ret[static TEXT_MAX]),
			   struct chart_bar bar[static REPORT_BUCKETS])
{
	char previous[TEXT_MAX] = "0";
	size_t i = 0;

	for (; bounds[i] > 0; i++) {
		char bound[TEXT_MAX];

		format(bounds[i], bound);
		(void)snprintf(bar[i].tick, TEXT_MAX, "\xe2\x89\xa4%.24s", bound);
		(void)snprintf(bar[i].label, TEXT_MAX, "%.24s to %.24s", previous, bound);
		(void)strcpy(previous, bound);
	}
	(void)strcpy(bar[i].tick, "more");
	(void)snprintf(bar[i].label, TEXT_MAX, "more than %.24s", previous);
	return i + 1;
}

static void write_durations(const struct report *r, FILE *to)
{
	struct chart_bar bar[REPORT_BUCKETS] = { 0 };
	struct chart chart = {
		.id = "durations",
		.title = "Durations",
		.description = "The number of sessions that have ended, by how long they "
			       "were open.",
		.label = "Duration",
		.series = { "sessions" },
		.bar = bar,
		.n = name_buckets(metrics_durations_ms, text_span, bar),
	};

	for (size_t i = 0; i < chart.n; i++)
		bar[i].value[0] = r->durations[i];
	chart_write(&chart, to);
}

static void write_bytes(const struct report *r, FILE *to)
{
	struct chart_bar bar[REPORT_BUCKETS] = { 0 };
	struct chart chart = {
		.id = "bytes",
		.title = "Bytes of each session",
		.description =
			"The number of sessions that have ended, by the bytes from "
			"the client (up) and to it (down).",
		.label = "Bytes",
		.series = { "sessions, up", "sessions, down" },
		.bar = bar,
		.n = name_buckets(metrics_bytes, decimal_text, bar),
	};

	for (size_t i = 0; i < chart.n; i++) {
		bar[i].value[0] = r->ups[i];
		bar[i].value[1] = r->downs[i];
	}
	chart_write(&chart, to);
}

/* ---- the page */

static void write_head(const struct report *r, const char *host, FILE *to)
{
	char since[TEXT_MAX], until[TEXT_MAX];

	text_time_long(r->since_us, since);
	text_time_long(r->until_us, until);
	(void)fprintf(to,
		      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta "
		      "charset=\"utf-8\">\n<meta http-equiv=\"Content-Security-Policy\" "
		      "content=\"%s\">\n<meta name=\"viewport\" content=\"width=device-"
		      "width\">\n<meta name=\"color-scheme\" content=\"light dark\">\n"
		      "<meta name=\"generator\" content=\"novnc-gatectl %s\">\n"
		      "<style>%s</style>\n<title>noVNC sessions on ",
		      report_policy, NOVNC_GATE_VERSION, report_style);
	html_text(to, host);
	(void)fputs("</title>\n</head>\n<body>\n<main>\n<h1>noVNC sessions on ", to);
	html_text(to, host);
	(void)fputs("</h1>\n<p><span class=\"time\">", to);
	html_text(to, since);
	(void)fputs("</span> to <span class=\"time\">", to);
	html_text(to, until);
	(void)fputs("</span></p>\n", to);
}

void report_write(const struct report *r, const char *host, FILE *to)
{
	write_head(r, host, to);
	if (r->empty) {
		(void)fputs("<p>The journal has no entries of novnc-gate from this time."
			    "</p>\n",
			    to);
	} else {
		write_summary(r, to);
		(void)fputs("<h2>Over time</h2>\n", to);
		write_times(r, to);
		(void)fputs("<h2>How long, how much</h2>\n", to);
		write_durations(r, to);
		write_bytes(r, to);
		report_tables_write(r, to);
	}
	(void)fputs("</main>\n</body>\n</html>\n", to);
}
