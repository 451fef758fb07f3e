/* SPDX-License-Identifier: MIT */
/* `novnc-gatectl metrics`: what Prometheus wants to know, from the journal and from systemd. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "ctl/entries.h"
#include "ctl/gate.h"
#include "ctl/memory.h"
#include "ctl/metrics_events.h"
#include "ctl/scrape.h"
#include "ctl/sessions.h"
#include "ctl/sockets.h"

/* ---- the journal */

#define AT_ONCE 20000 /* entries, between two saves */

static void count_entry(void *counters, const struct entry *e)
{
	metrics_count(counters, e);
}

/* Returns as entries_each(). */
static int count_some(struct counters *c)
{
	const struct entries_query q = {
		.kinds = 1 << EVENT_HANDLING | 1 << EVENT_PROXYING | 1 << EVENT_CLOSED |
			 1 << EVENT_KILLED | 1 << EVENT_REFUSAL | 1 << EVENT_FAILURE,
		.cursor = counters_text(c, "cursor"),
		.until_us = UINT64_MAX,
		.most = AT_ONCE,
	};
	char *cursor;
	int r = entries_each(&q, count_entry, c, &cursor);

	if (r >= 0 && cursor)
		counters_set_text(c, "cursor", cursor);
	free(cursor);
	return r;
}

/* Saves in between: if a large journal takes too long, the next call continues there. */
static int count_journal(struct counters *c)
{
	int r;

	while ((r = count_some(c)) > 0) {
		r = counters_save(c);
		if (r < 0)
			break;
	}
	return r;
}

/* ---- systemd */

struct state {
	struct sockets kinds[SOCKETS_KINDS];
	size_t sessions;
	uint64_t started_us;       /* when this systemd was started */
	int64_t certificate_until; /* 0: there is none */
};

static const char *const kind_names[SOCKETS_KINDS] = { "http", "tls", "proxy" };

static int units_read(sd_bus *bus, void *userdata)
{
	struct state *to = userdata;
	struct sessions s = { 0 };
	/* constant when systemd re-executes itself; the boot id differs between a container and a unit's sandbox in it */
	const struct systemd_get started = { SYSTEMD_PATH, SYSTEMD_MANAGER,
					     "UserspaceTimestamp", 't', &to->started_us };
	int r = systemd_read(bus, &started, 1);

	sockets_done(to->kinds); /* of an earlier call */
	if (r == 0)
		r = sockets_installed(bus);
	if (r == 0)
		r = sockets_read(bus, to->kinds);
	if (r == 0)
		r = sessions_read(bus, SESSIONS_ONLY, false, &s);
	to->sessions = s.n;
	sessions_done(&s);
	return r;
}

static int state_read(const struct ctl *o, struct state *ret)
{
	struct gate_report report;
	sd_bus *bus = NULL;
	int r = systemd_open(o->user, &bus);

	*ret = (struct state){ 0 };
	if (r == 0)
		r = systemd_again(o->user, &bus, NULL, units_read, ret);
	sd_bus_flush_close_unref(bus);
	if (r < 0)
		return r;
	/* a certificate that cannot be read is in the output of `novnc-gatectl check` */
	if (gate_check(o, GATE_CHECK_CERTIFICATE, &report) == 0 && report.certificate)
		ret->certificate_until = report.certificate_until;
	gate_report_done(&report);
	return 0;
}

#define ACCEPTED "novnc_gate_connections_accepted_total"
#define REFUSED  "novnc_gate_connections_refused_total"

static char *kind_key(const char *name, size_t kind)
{
	return memory_print("%s{kind=\"%s\"}", name, kind_names[kind]);
}

static void follow_kind(struct counters *c, const struct sockets *kind, size_t i)
{
	char *accepted = kind_key(ACCEPTED, i), *refused = kind_key(REFUSED, i);

	for (size_t k = 0; k < kind->n; k++) {
		const struct sockets_count *count = &kind->count[k];

		counters_follow(c, accepted, count->unit, count->accepted);
		counters_follow(c, refused, count->unit, count->refused);
	}
	free(accepted);
	free(refused);
}

static void follow(struct counters *c, const struct state *s)
{
	const char *last = counters_text(c, "started");
	char *now = memory_print("%" PRIu64, s->started_us);

	/* a file without this time is of an earlier version */
	counters_follow_begin(c, last ? strcmp(last, now) != 0
				      : c->saved_us < s->started_us);
	counters_set_text(c, "started", now);
	counters_set_text(c, "boot", NULL); /* as well */
	free(now);
	for (size_t i = 0; i < SOCKETS_KINDS; i++)
		follow_kind(c, &s->kinds[i], i);
}

static void write_kinds(FILE *to, const char *name, const uint64_t values[])
{
	for (size_t i = 0; i < SOCKETS_KINDS; i++) {
		char *key = kind_key(name, i);

		(void)fprintf(to, "%s %" PRIu64 "\n", key, values[i]);
		free(key);
	}
}

static void write_counted_kinds(const struct counters *c, FILE *to, const char *name)
{
	uint64_t values[SOCKETS_KINDS];

	for (size_t i = 0; i < SOCKETS_KINDS; i++) {
		char *key = kind_key(name, i);

		values[i] = counters_get(c, key);
		free(key);
	}
	write_kinds(to, name, values);
}

static void write_state(const struct counters *c, const struct state *s, FILE *to)
{
	uint64_t open[SOCKETS_KINDS], limit[SOCKETS_KINDS], listening[SOCKETS_KINDS];

	for (size_t i = 0; i < SOCKETS_KINDS; i++) {
		open[i] = s->kinds[i].open;
		limit[i] = s->kinds[i].limit;
		listening[i] = s->kinds[i].listening;
	}
	metrics_write_head(to, "novnc_gate_build_info", "gauge",
			   "The version of novnc-gatectl.");
	(void)fprintf(to, "novnc_gate_build_info{version=\"%s\"} 1\n",
		      NOVNC_GATE_VERSION);
	metrics_write_head(to, "novnc_gate_sessions_open", "gauge",
			   "Sessions that are open.");
	(void)fprintf(to, "novnc_gate_sessions_open %zu\n", s->sessions);
	metrics_write_head(to, "novnc_gate_connections_open", "gauge",
			   "Connections that are open, those of sessions included.");
	write_kinds(to, "novnc_gate_connections_open", open);
	metrics_write_head(to, "novnc_gate_connections_limit", "gauge",
			   "MaxConnections= of all sockets together.");
	write_kinds(to, "novnc_gate_connections_limit", limit);
	metrics_write_head(to, "novnc_gate_sockets_listening", "gauge",
			   "Sockets that listen.");
	write_kinds(to, "novnc_gate_sockets_listening", listening);
	metrics_write_head(to, ACCEPTED, "counter",
			   "Connections that systemd has accepted.");
	write_counted_kinds(c, to, ACCEPTED);
	metrics_write_head(to, REFUSED, "counter",
			   "Connections that systemd has closed at a limit.");
	write_counted_kinds(c, to, REFUSED);
	if (s->certificate_until == 0)
		return;
	metrics_write_head(to, "novnc_gate_certificate_expiry_timestamp_seconds", "gauge",
			   "The last second of the certificate, since 1970.");
	(void)fprintf(to, "novnc_gate_certificate_expiry_timestamp_seconds %" PRId64 "\n",
		      s->certificate_until);
}

/* ---- the command */

static int metrics_collect(const struct ctl *o, FILE *to)
{
	struct counters c;
	struct state s = { 0 };
	int r = counters_open(counters_directory(), &c);

	if (r == 0)
		r = count_journal(&c);
	if (r >= 0)
		r = state_read(o, &s);
	if (r == 0) {
		follow(&c, &s);
		/* saved before it is printed: no number that was seen may shrink later */
		r = counters_save(&c);
	}
	if (r == 0) {
		write_state(&c, &s, to);
		metrics_write_counted(&c, to);
	}
	sockets_done(s.kinds);
	counters_done(&c);
	return r;
}

int ctl_metrics(const struct ctl *o, char *args[])
{
	char *text = NULL;
	size_t len = 0;
	struct scrape scrape;
	struct stat st;
	FILE *to;
	int r;

	(void)args;
	if (o->user) {
		(void)fputs(
			"metrics --user: there are metrics only of the system's gate\n",
			stderr);
		return EXIT_FAILURE;
	}
	if (o->http && (fstat(STDIN_FILENO, &st) < 0 || !S_ISSOCK(st.st_mode))) {
		(void)fprintf(stderr, "--http: standard input is no socket\n");
		return EXIT_FAILURE;
	}
	if (o->http && !scrape_read(&scrape, STDIN_FILENO))
		return EXIT_SUCCESS; /* an error response was sent, or nothing came */
	to = open_memstream(&text, &len);
	r = to ? metrics_collect(o, to) : -errno;
	if (to && fclose(to) != 0 && r == 0)
		r = -ENOMEM;
	if (r < 0)
		(void)fprintf(stderr, "Cannot collect the metrics: %s\n",
			      systemd_strerror(r));
	if (o->http)
		scrape_respond(
			&scrape, r < 0 ? 503 : 200,
			r < 0 ? slice_str(
					"The metrics cannot be collected; see the log.\n")
			      : (struct slice){ text, len });
	else if (r == 0)
		(void)fwrite(text, 1, len, stdout);
	free(text);
	return r == 0 ? EXIT_SUCCESS : r == -ENOPKG ? CTL_NO_SUCH : EXIT_FAILURE;
}
