/* SPDX-License-Identifier: MIT */
#include "ctl/metrics_events.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/memory.h"

/* As in the table of events in log/log.c. */
#define HANDLING  "72d0afd52f154dfeb3a0b56188c70f13"
#define PROXYING  "f6f9792c04fb43ac86cbf1932436eb7b"
#define CLOSED    "930ee7b5ab8f48f2b1fb9892c90e56b8"
#define PATH      "9dd68c76318b4b9b83f916c91559c17c"
#define ORIGIN    "207d5b6cb83f4258a744161287c60e3e"
#define DENIED    "cedf267f466b41c1bf9bfbc775bbbd76"
#define TLS       "762047d94182474d8ff0aabe5a53e569"
#define PROXY     "0817c2f0710e49d1b95da35f65c319d6"
#define REFUSED   "172f8e3d92354f67b33d181747e5601f"
#define WS_ERROR  "3f3a3d11331348c7ae8f7499bb3e7f7e"
#define UNCHECKED "1623bc7d2dae4f5abeeae007e38d09d4"
#define BACKEND   "6a41f540a2854f87b431e3a36b6c8097"
#define CONFIG    "e4230f61c2d94f63ab11f3179af458cb"
#define FAULT     "338945922f3743d38e9eb3f55f014def"

const char *const metrics_ids[] = { HANDLING,  PROXYING, CLOSED, PATH,    ORIGIN,
				    DENIED,    TLS,      PROXY,  REFUSED, WS_ERROR,
				    UNCHECKED, BACKEND,  CONFIG, FAULT,   NULL };

/* ---- reasons, in few words: a label must not have as many values as there are sentences */

struct word {
	const char *label,
		*text; /* the label for a reason with this text; text NULL: for any other */
};

/* How an open session ended; the first that fits. */
static const struct word outcomes[] = {
	{ "stopped", "stopped by SIGTERM" },
	{ "unauthorized", "no longer authorized" },
	{ "vanished", "answered no Ping" },
	{ "idle_timeout", "IdleTimeoutSec=" },
	{ "session_timeout", "SessionTimeoutSec=" },
	{ "connection_failed", "the connection to " },
	{ "client_closed", "closed by the client" },
	{ "client_closed", "the client closed" },
	{ "controller_closed", "closed by the " },
	{ "controller_closed", "master-controller closed" },
	{ "both_closed", "both sides closed" },
	{ "other", NULL },
	/* those that were not opened */
	{ "not_opened", NULL },
	{ "abandoned", NULL },
};

static const struct word failures[] = {
	{ "tls", "TLS handshake with" },
	{ "resolve", "cannot resolve" },
	{ "connect_timeout", "timed out connecting" },
	{ "connect", "cannot connect" },
	{ "response_timeout", "timed out" },
	{ "stalled", "stalled" },
	{ "not_http", "does not speak HTTP" },
	{ "declined", "instead of 101" },
	{ "authorization", "authoriz" },
	{ "invalid_response", "sent a" },
	{ "closed", "closed" },
	{ "connection_failed", "the connection to " },
	{ "other", NULL },
	/* of the gate itself */
	{ "configuration", NULL },
	{ "internal", NULL },
};

static const struct refusal {
	const char *label, *id;
	unsigned status; /* 0: any */
} refusals[] = {
	{ "path", PATH, 0 },
	{ "origin", ORIGIN, 0 },
	{ "authorization", DENIED, 0 },
	{ "tls", TLS, 0 },
	{ "proxy_header", PROXY, 0 },
	{ "malformed", REFUSED, 400 },
	{ "method", REFUSED, 405 },
	{ "timeout", REFUSED, 408 },
	{ "too_large", REFUSED, 414 },
	{ "too_large", REFUSED, 431 },
	{ "websocket_version", REFUSED, 426 },
	{ "not_implemented", REFUSED, 501 },
	{ "stopped", REFUSED, 503 },
	{ "http_version", REFUSED, 505 },
	{ "plain_http", REFUSED, 308 },
	{ "other", REFUSED, 0 },
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const char *label_of(const struct word *words, const char *reason)
{
	while (words->text && !strstr(reason, words->text))
		words++;
	return words->label;
}

/* ---- histograms */

static const struct histogram {
	const char *name, *labels, *help;
	uint64_t scale; /* of the counted numbers: 1,000 for milliseconds, 1 for bytes */
	uint64_t bounds[12]; /* 0: no more */
} histograms[] = {
	{ "novnc_gate_session_duration_seconds",
	  "",
	  "Durations of ended sessions.",
	  1000,
	  { 1000, 10000, 60000, 300000, 900000, 1800000, 3600000, 14400000, 28800000,
	    86400000 } },
	{ "novnc_gate_session_open_seconds",
	  "",
	  "Time from a session's request until the master-controller accepted it.",
	  1000,
	  { 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000 } },
	{ "novnc_gate_session_bytes",
	  "direction=\"up\"",
	  "Bytes of ended sessions; up: from the client.",
	  1,
	  { 1000, 10000, 100000, 1000000, 10000000, 100000000, 1000000000,
	    10000000000 } },
	{ "novnc_gate_session_bytes",
	  "direction=\"down\"",
	  NULL,
	  1,
	  { 1000, 10000, 100000, 1000000, 10000000, 100000000, 1000000000,
	    10000000000 } },
};

enum { DURATION, OPENING, UP, DOWN };

static char *bound_text(const struct histogram *h, size_t i)
{
	uint64_t bound = i < COUNT(h->bounds) ? h->bounds[i] : 0;

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

	while (n < COUNT(h->bounds) && h->bounds[n] > 0)
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

static void count_opened(struct counters *c, const struct metrics_entry *e)
{
	uint64_t begun = counters_end(c, e->request_id);

	if (begun > 0 && begun <= e->time_us)
		observe(c, &histograms[OPENING], (e->time_us - begun) / 1000);
}

static void count_closed(struct counters *c, const struct metrics_entry *e)
{
	(void)counters_end(c, e->request_id);
	if (e->status != 101) {
		count_label(c, SESSIONS, "outcome", "abandoned");
		return;
	}
	count_label(c, SESSIONS, "outcome", label_of(outcomes, e->reason));
	observe(c, &histograms[DURATION], e->duration_ms);
	observe(c, &histograms[UP], e->up);
	observe(c, &histograms[DOWN], e->down);
}

static void count_failure(struct counters *c, const struct metrics_entry *e)
{
	(void)counters_end(c, e->request_id);
	if (strcmp(e->id, WS_ERROR) == 0 && e->session[0])
		count_label(c, SESSIONS, "outcome", "not_opened");
	count_label(c, FAILURES, "reason",
		    strcmp(e->id, CONFIG) == 0  ? "configuration"
		    : strcmp(e->id, FAULT) == 0 ? "internal"
						: label_of(failures, e->reason));
}

void metrics_count(struct counters *c, const struct metrics_entry *e)
{
	if (strcmp(e->id, HANDLING) == 0) {
		counters_begin(c, e->request_id, e->time_us);
		counters_forget(c, e->time_us > OPENING_US ? e->time_us - OPENING_US : 0);
		return;
	}
	if (strcmp(e->id, PROXYING) == 0) {
		count_opened(c, e);
		return;
	}
	if (strcmp(e->id, CLOSED) == 0) {
		count_closed(c, e);
		return;
	}
	for (size_t i = 0; i < COUNT(refusals); i++)
		if (strcmp(e->id, refusals[i].id) == 0 &&
		    (refusals[i].status == 0 || refusals[i].status == e->status)) {
			count_label(c, REFUSALS, "reason", refusals[i].label);
			return;
		}
	count_failure(c, e);
}

/* ---- text */

void metrics_write_head(FILE *to, const char *name, const char *type, const char *help)
{
	(void)fprintf(to, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void write_label(const struct counters *c, FILE *to, const char *name,
			const char *label, const char *value)
{
	char *key = memory_print("%s{%s=\"%s\"}", name, label, value);

	(void)fprintf(to, "%s %" PRIu64 "\n", key, counters_get(c, key));
	free(key);
}

static void write_words(const struct counters *c, FILE *to, const char *name,
			const char *label, const struct word *words, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (i == 0 || strcmp(words[i].label, words[i - 1].label) != 0)
			write_label(c, to, name, label, words[i].label);
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
	write_words(c, to, SESSIONS, "outcome", outcomes, COUNT(outcomes));
	for (size_t i = 0; i < COUNT(histograms); i++)
		write_histogram(c, to, &histograms[i]);
	metrics_write_head(to, REFUSALS, "counter",
			   "Requests and connections that were refused.");
	for (size_t i = 0; i < COUNT(refusals); i++)
		if (i == 0 || strcmp(refusals[i].label, refusals[i - 1].label) != 0)
			write_label(c, to, REFUSALS, "reason", refusals[i].label);
	metrics_write_head(to, FAILURES, "counter",
			   "Failures of a backend, of the configuration or of the gate.");
	write_words(c, to, FAILURES, "reason", failures, COUNT(failures));
}
