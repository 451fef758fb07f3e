/* SPDX-License-Identifier: MIT */
#include "ctl/metrics_events.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/memory.h"

/* ---- histograms */

const uint64_t metrics_durations_ms[] = { 1000,     10000,    60000,   300000,
					  900000,   1800000,  3600000, 14400000,
					  28800000, 86400000, 0 };
const uint64_t metrics_bytes[] = { 1000,      10000,      100000,      1000000, 10000000,
				   100000000, 1000000000, 10000000000, 0 };
static const uint64_t openings_ms[] = { 5,   10,   25,   50,   100,   250,
					500, 1000, 2500, 5000, 10000, 0 };

static const struct histogram {
	const char *name, *labels, *help;
	uint64_t scale; /* of the counted numbers: 1,000 for milliseconds, 1 for bytes */
	const uint64_t *bounds; /* 0: no more */
} histograms[] = {
	{ "novnc_gate_session_duration_seconds", "", "Durations of ended sessions.", 1000,
	  metrics_durations_ms },
	{ "novnc_gate_session_open_seconds", "",
	  "Time from a session's request until the master-controller accepted it.", 1000,
	  openings_ms },
	{ "novnc_gate_session_bytes", "direction=\"up\"",
	  "Bytes of ended sessions; up: from the client.", 1, metrics_bytes },
	{ "novnc_gate_session_bytes", "direction=\"down\"", NULL, 1, metrics_bytes },
};

enum { DURATION, OPENING, UP, DOWN };

static char *bound_text(const struct histogram *h, size_t i)
{
	uint64_t bound = h->bounds[i];

	if (bound == 0)
		return memory_copy(SLICE("+Inf"));
	if (h->scale == 1 || bound % h->scale == 0)
		return memory_print("%" PRIu64, bound / h->scale);
	return memory_print("%g", (double)bound / (double)h->scale);
}

static char *histogram_key(const struct histogram *h, const char *suffix,
			   const char *bound)
{
	const char *comma = h->labels[0] && bound ? "," : "";

	if (!h->labels[0] && !bound)
		return memory_print("%s_%s", h->name, suffix);
	return memory_print("%s_%s{%s%s%s%s%s}", h->name, suffix, h->labels, comma,
			    bound ? "le=\"" : "", bound ? bound : "", bound ? "\"" : "");
}

static void count_key(struct counters *c, char *key, uint64_t n)
{
	counters_add(c, key, n);
	free(key);
}

static size_t bounds_of(const struct histogram *h)
{
	size_t n = 0;

	while (h->bounds[n] > 0)
		n++;
	return n;
}

static void observe(struct counters *c, const struct histogram *h, uint64_t value)
{
	size_t n = bounds_of(h);

	for (size_t i = 0; i <= n; i++)
		if (i == n ||
		    value <= h->bounds[i]) { /* each bucket contains those before it */
			char *bound = bound_text(h, i);

			count_key(c, histogram_key(h, "bucket", bound), 1);
			free(bound);
		}
	count_key(c, histogram_key(h, "sum", NULL), value);
	count_key(c, histogram_key(h, "count", NULL), 1);
}

/* ---- entries */

static void count_label(struct counters *c, const char *name, const char *label,
			const char *value)
{
	count_key(c, memory_print("%s{%s=\"%s\"}", name, label, value), 1);
}

#define SESSIONS "novnc_gate_sessions_ended_total"
#define REFUSALS "novnc_gate_refusals_total"
#define FAILURES "novnc_gate_failures_total"

/* The longest time between both opening entries that is counted; UpgradeTimeoutSec= is 10 s by default. */
#define OPENING_US 600000000ULL

static void count_opened(struct counters *c, const struct entry *e)
{
	uint64_t begun = counters_end(c, e->request_id);

	if (begun > 0 && begun <= e->time_us)
		observe(c, &histograms[OPENING], (e->time_us - begun) / 1000);
}

static void count_closed(struct counters *c, const struct entry *e)
{
	(void)counters_end(c, e->request_id);
	count_label(c, SESSIONS, "outcome", event_label(e));
	if (e->status != 101)
		return;
	observe(c, &histograms[DURATION], e->duration_ms);
	observe(c, &histograms[UP], e->up);
	observe(c, &histograms[DOWN], e->down);
}

/* Nobody knows its bytes. */
static void count_killed(struct counters *c, const struct entry *e)
{
	count_label(c, SESSIONS, "outcome", event_label(e));
	observe(c, &histograms[DURATION], e->duration_ms);
}

static void count_failure(struct counters *c, const struct entry *e)
{
	(void)counters_end(c, e->request_id);
	if (event_is_not_opened(e))
		count_label(c, SESSIONS, "outcome", "not_opened");
	count_label(c, FAILURES, "reason", event_label(e));
}

void metrics_count(struct counters *c, const struct entry *e)
{
	switch (event_kind(e)) {
	case EVENT_HANDLING:
		counters_begin(c, e->request_id, e->time_us);
		counters_forget(c, e->time_us > OPENING_US ? e->time_us - OPENING_US : 0);
		break;
	case EVENT_PROXYING: count_opened(c, e); break;
	case EVENT_CLOSED: count_closed(c, e); break;
	case EVENT_KILLED: count_killed(c, e); break;
	case EVENT_REFUSAL: count_label(c, REFUSALS, "reason", event_label(e)); break;
	case EVENT_FAILURE: count_failure(c, e); break;
	case EVENT_DISCONNECT:
	case EVENT_OTHER: break;
	}
}

/* ---- text */

void metrics_write_head(FILE *to, const char *name, const char *type, const char *help)
{
	(void)fprintf(to, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void write_labels(const struct counters *c, FILE *to, const char *name,
			 const char *label, enum event_kind kind)
{
	const char *value;

	for (size_t i = 0; (value = event_label_at(kind, i)); i++) {
		char *key = memory_print("%s{%s=\"%s\"}", name, label, value);

		(void)fprintf(to, "%s %" PRIu64 "\n", key, counters_get(c, key));
		free(key);
	}
}

static void write_number(const struct counters *c, FILE *to, char *key, uint64_t scale)
{
	uint64_t n = counters_get(c, key);

	if (scale == 1)
		(void)fprintf(to, "%s %" PRIu64 "\n", key, n);
	else
		(void)fprintf(to, "%s %" PRIu64 ".%03" PRIu64 "\n", key, n / scale,
			      n % scale);
	free(key);
}

static void write_histogram(const struct counters *c, FILE *to, const struct histogram *h)
{
	size_t n = bounds_of(h);

	if (h->help)
		metrics_write_head(to, h->name, "histogram", h->help);
	for (size_t i = 0; i <= n; i++) {
		char *bound = bound_text(h, i);

		write_number(c, to, histogram_key(h, "bucket", bound), 1);
		free(bound);
	}
	write_number(c, to, histogram_key(h, "sum", NULL), h->scale);
	write_number(c, to, histogram_key(h, "count", NULL), 1);
}

void metrics_write_counted(const struct counters *c, FILE *to)
{
	metrics_write_head(to, SESSIONS, "counter",
			   "Sessions that have ended or could not be opened.");
	write_labels(c, to, SESSIONS, "outcome", EVENT_CLOSED);
	for (size_t i = 0; i < COUNT(histograms); i++)
		write_histogram(c, to, &histograms[i]);
	metrics_write_head(to, REFUSALS, "counter",
			   "Requests and connections that were refused.");
	write_labels(c, to, REFUSALS, "reason", EVENT_REFUSAL);
	metrics_write_head(to, FAILURES, "counter",
			   "Failures of a backend, of the configuration or of the gate.");
	write_labels(c, to, FAILURES, "reason", EVENT_FAILURE);
}
