/* SPDX-License-Identifier: MIT */
/* The table of events, and how an event becomes a log entry. */
#include "log/log.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <syslog.h>
#include <time.h>

#include "log/combined.h"
#include "log/ids.h"
#include "log/journal.h"

/* For room in the journal after a failed assertion. */
#define LOG_FAULT_ROOM_MS 1000

/*
 * The table of events. In a sentence, @NAME@ stands for the value of NOVNC_GATE_NAME=, as in
 * units/novnc-gate.catalog, which explains each event under the same MESSAGE_ID. @WHO@ stands for
 * the request and its client, @COMBINED@ for the line of combined.h.
 */
static const struct {
	int level;
	const char *id;
	const char *sentence;
} events[LOG_EVENTS] = {
	[LOG_HANDLING] = { LOG_NOTICE, LOG_ID_HANDLING,
			   "Handling noVNC connection: @PATH@ (client @CLIENT@)" },
	[LOG_PROXYING] = { LOG_NOTICE, LOG_ID_PROXYING,
			   "Proxying: @PATH@ (client @CLIENT@)" },
	[LOG_CLOSED] = { LOG_NOTICE, LOG_ID_CLOSED,
			 "noVNC session closed: @PATH@ (@REASON@; @UP_BYTES@ bytes up, "
			 "@DOWN_BYTES@ bytes down, @DURATION_PRETTY@; client @CLIENT@)" },
	[LOG_REFUSED_PATH] = { LOG_NOTICE, LOG_ID_REFUSED_PATH,
			       "Rejecting non-noVNC connection: @PATH@ (client @CLIENT@)" },
	[LOG_ORIGIN] = { LOG_NOTICE, LOG_ID_ORIGIN,
			 "Rejecting WebSocket from another site: @PATH@ (@REASON@; "
			 "client @CLIENT@)" },
	[LOG_DENIED] = { LOG_NOTICE, LOG_ID_DENIED,
			 "Refusing unauthorized request with @STATUS@@WHO@" },
	[LOG_TLS] = { LOG_NOTICE, LOG_ID_TLS,
		      "TLS handshake with @CLIENT@ failed: @REASON@" },
	[LOG_NO_HEADER] = { LOG_NOTICE, LOG_ID_NO_HEADER,
			    "Refusing connection from @CLIENT@: @REASON@" },
	[LOG_UNVERIFIED] = { LOG_NOTICE, LOG_ID_UNVERIFIED,
			     "The certificate of @BACKEND@ is not verified "
			     "(VerifyTls=no)@WHO@" },
	[LOG_REFUSED] = { LOG_NOTICE, LOG_ID_REFUSED,
			  "Refusing request with @STATUS@: @REASON@@WHO@" },
	[LOG_WS_ERROR] = { LOG_WARNING, LOG_ID_WS_ERROR,
			   "WebSocket proxy error: @REASON@@WHO@" },
	[LOG_UNDECIDED] = { LOG_WARNING, LOG_ID_UNDECIDED,
			    "Session cannot be authorized again: @REASON@@WHO@" },
	[LOG_BACKEND] = { LOG_WARNING, LOG_ID_BACKEND, "Proxy error: @REASON@@WHO@" },
	[LOG_PAGE] = { LOG_INFO, LOG_ID_PAGE, "@COMBINED@" },
	[LOG_DROPPED] = { LOG_DEBUG, LOG_ID_DROPPED,
			  "Dropping header fields with _ in their names: @REASON@@WHO@" },
	[LOG_SANDBOX] = { LOG_DEBUG, LOG_ID_SANDBOX, "Sandbox degraded: @REASON@@WHO@" },
	[LOG_CONFIG] = { LOG_ERR, LOG_ID_CONFIG, "@REASON@@WHO@" },
	[LOG_FAULT] = { LOG_ERR, LOG_ID_FAULT, "Internal error: @REASON@@WHO@" },
};

/* ---- text */

/* True for text that is written as it is. */
static bool is_plain(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.p[i] < ' ' || s.p[i] > '~' || s.p[i] == '\\')
			return false;
	return s.len <= LOG_VALUE_MAX;
}

/*
 * Appends a peer's text. All but printable ASCII becomes \xNN, and so does the backslash, so that
 * the text can neither control a terminal, nor start a new line, nor look like another text. Valid
 * UTF-8 is escaped too: it may contain C1 controls, and marks that change the reading direction.
 */
static void put_escaped(struct buf *b, struct slice s)
{
	/* cut_at: the last place at which "..." still fits */
	size_t start = b->end, cut_at = b->end;

	if (is_plain(s)) { /* most texts */
		(void)buf_put_slice(b, s);
		return;
	}
	for (size_t i = 0; i < s.len && b->end - start <= LOG_VALUE_MAX; i++) {
		unsigned char c = (unsigned char)s.p[i];
		char hex[sizeof("\\xNN")];

		if (b->end - start <= LOG_VALUE_MAX - 3)
			cut_at = b->end;
		if (c < ' ' || c > '~' || c == '\\') {
			(void)snprintf(hex, sizeof(hex), "\\x%02x", c);
			(void)buf_put(b, hex, 4);
		} else {
			(void)buf_put(b, &s.p[i], 1);
		}
	}
	if (b->end - start > LOG_VALUE_MAX) {
		b->end = cut_at;
		(void)buf_put_slice(b, SLICE("..."));
	}
}

/* ---- fields, as NAME=value lines. All have room: entry_write() asserts the sum. */

/* A field with a peer's text, if there is any. */
static void field_text(struct buf *b, const char *name, struct slice value)
{
	if (value.len == 0)
		return;
	(void)BUF_PUT(b, slice_str(name), SLICE("="));
	put_escaped(b, value);
	(void)buf_put_slice(b, SLICE("\n"));
}

/* A field with our own text, which needs no escaping. */
static void field_own(struct buf *b, const char *name, struct slice value)
{
	(void)BUF_PUT(b, slice_str(name), SLICE("="), value, SLICE("\n"));
}

static void field_number(struct buf *b, const char *name, uint64_t value)
{
	(void)BUF_PUT(b, slice_str(name), SLICE("="));
	(void)buf_put_number(b, value, 10);
	(void)buf_put_slice(b, SLICE("\n"));
}

/* The value of NOVNC_GATE_<name>= in lines that all begin with NOVNC_GATE_; p is NULL if not there. */
static struct slice field_value(struct slice lines, struct slice name)
{
	const size_t prefix = sizeof("NOVNC_GATE_") - 1;
	struct slice line;

	while (slice_split(&lines, '\n', &line)) {
		size_t eq = slice_find(line, '='); /* 0 in the empty last piece */

		if (eq > prefix &&
		    slice_eq((struct slice){ line.p + prefix, eq - prefix }, name))
			return slice_from(line, eq + 1);
	}
	return (struct slice){ 0 };
}

/* Appends " (GET /path, session 4711, client 192.0.2.1:51234)", without the parts that are not known. */
static void put_who(struct buf *b, struct slice fields)
{
	static const struct {
		struct slice name, between, word;
	} parts[] = {
		{ SLICE_INIT("METHOD"), SLICE_INIT(""), SLICE_INIT("") },
		{ SLICE_INIT("PATH"), SLICE_INIT(" "), SLICE_INIT("") },
		{ SLICE_INIT("SESSION"), SLICE_INIT(", "), SLICE_INIT("session ") },
		{ SLICE_INIT("CLIENT"), SLICE_INIT(", "), SLICE_INIT("client ") },
	};
	bool begun = false;

	for (size_t i = 0; i < COUNT(parts); i++) {
		struct slice value = field_value(fields, parts[i].name);

		if (!value.p)
			continue;
		(void)BUF_PUT(b, begun ? parts[i].between : SLICE(" ("), parts[i].word,
			      value);
		begun = true;
	}
	if (begun)
		(void)buf_put_slice(b, SLICE(")"));
}

/* Not inlined, since other entries do not need it. */
__attribute__((noinline)) static void put_combined(struct buf *b, struct slice fields)
{
	struct timespec now = { 0 };
	struct combined line = {
		.client = field_value(fields, SLICE("CLIENT")),
		.user = field_value(fields, SLICE("USER")),
		.method = field_value(fields, SLICE("METHOD")),
		.path = field_value(fields, SLICE("PATH")),
		.protocol = field_value(fields, SLICE("PROTOCOL")),
		.status = field_value(fields, SLICE("STATUS")),
		.bytes = field_value(fields, SLICE("DOWN_BYTES")),
		.referer = field_value(fields, SLICE("REFERER")),
		.user_agent = field_value(fields, SLICE("USER_AGENT")),
	};

	/* not time(2), which the sandbox forbids: it is called where there is no vDSO */
	(void)clock_gettime(CLOCK_REALTIME, &now);
	line.time_s = (uint64_t)now.tv_sec;
	combined_put(b, &line);
}

/* Appends the text for @name@ in a sentence. */
static void put_named(struct buf *b, struct slice fields, struct slice name)
{
	struct slice value = field_value(fields, name);

	if (slice_eq(name, SLICE("WHO")))
		put_who(b, fields);
	else if (slice_eq(name, SLICE("COMBINED")))
		put_combined(b, fields);
	else
		(void)buf_put_slice(b, value.p ? value : SLICE("-"));
}

/* A duration is in two fields: the number, and a text for the sentence and the catalog. */
static void field_duration(struct buf *b, uint64_t ms)
{
	unsigned long s = (unsigned long)(ms / 1000), min = s / 60, h = min / 60;
	char pretty[64];

	if (h > 0)
		(void)snprintf(pretty, sizeof(pretty), "%luh %lumin %lus", h, min % 60,
			       s % 60);
	else if (min > 0)
		(void)snprintf(pretty, sizeof(pretty), "%lumin %lus", min, s % 60);
	else
		(void)snprintf(pretty, sizeof(pretty), "%lu.%03us", s,
			       (unsigned)(ms % 1000));
	field_number(b, "NOVNC_GATE_DURATION_MS", ms);
	field_own(b, "NOVNC_GATE_DURATION_PRETTY", slice_str(pretty));
}

/* The fields of all that is known of the event. */
static void entry_describe(struct buf *b, const struct log_fields *f)
{
	struct slice path = { f->path.p,
			      slice_find(f->path, '?') }; /* a query may be secret */

	field_text(b, "NOVNC_GATE_CLIENT", f->client);
	field_text(b, "NOVNC_GATE_REQUEST_ID", f->request_id);
	field_text(b, "NOVNC_GATE_SESSION", f->session);
	field_text(b, "NOVNC_GATE_USER", f->user);
	field_text(b, "NOVNC_GATE_PATH", path);
	field_text(b, "NOVNC_GATE_METHOD", f->method);
	field_text(b, "NOVNC_GATE_PROTOCOL", f->protocol);
	field_text(b, "NOVNC_GATE_REFERER", f->referer);
	field_text(b, "NOVNC_GATE_USER_AGENT", f->user_agent);
	field_text(b, "NOVNC_GATE_BACKEND", f->backend);
	field_text(b, "NOVNC_GATE_ORIGIN", f->origin);
	field_text(b, "NOVNC_GATE_REASON", f->reason);
	field_text(b, "NOVNC_GATE_CLOSED_BY", f->closed_by);
	if (f->close_code != 0)
		field_number(b, "NOVNC_GATE_CLOSE_CODE", f->close_code);
	if (f->status != 0)
		field_number(b, "NOVNC_GATE_STATUS", f->status);
	if (!f->ended)
		return;
	field_number(b, "NOVNC_GATE_UP_BYTES", f->up_bytes);
	field_number(b, "NOVNC_GATE_DOWN_BYTES", f->down_bytes);
	field_duration(b, f->duration_ms);
}

/* Appends MESSAGE=, the sentence with each @NAME@ replaced. Returns its value. */
static struct slice entry_message(struct buf *b, const char *sentence)
{
	struct slice fields = buf_slice(b), rest = slice_str(sentence), part;
	size_t start;

	(void)buf_put_slice(b, SLICE("MESSAGE="));
	start = b->end;
	for (bool is_name = false; slice_split(&rest, '@', &part); is_name = !is_name) {
		if (is_name)
			put_named(b, fields, part);
		else
			(void)buf_put_slice(b, part);
	}
	(void)buf_put_slice(b, SLICE("\n"));
	return (struct slice){ b->data + start, b->end - start - 1 };
}

/* LogLevelMax=notice in the units drops systemd's own entries at level info. Ours are notices there. */
static int priority(enum log_event ev)
{
	return events[ev].level == LOG_INFO ? LOG_NOTICE : events[ev].level;
}

static void entry_write(enum log_event ev, const struct log_fields *f)
{
	char storage[JOURNAL_ENTRY_MAX];
	struct buf b = { .data = storage, .cap = sizeof(storage) };
	struct journal_entry out = {
		.level = priority(ev),
	};

	/* at most thirteen texts, seven of them again in the sentence, and the rest */
	_Static_assert(LOG_VALUE_MAX == COMBINED_COLUMN_MAX,
		       "the columns of a page, too");
	_Static_assert(20 * LOG_VALUE_MAX + 1024 <= JOURNAL_ENTRY_MAX, "an entry fits");
	_Static_assert(7 * LOG_VALUE_MAX + 512 <= PIPE_BUF, "a message fits");

	entry_describe(&b, f);
	out.message = entry_message(&b, events[ev].sentence);
	field_own(&b, "MESSAGE_ID", slice_str(events[ev].id));
	field_number(&b, "PRIORITY", (uint64_t)out.level);
	field_own(&b, "SYSLOG_IDENTIFIER", SLICE("novnc-gate"));
	out.datagram = buf_slice(&b);
	journal_write(&out);
}

/* ---- the functions of log.h */

bool log_enabled(enum log_event ev)
{
	return journal_enabled(events[ev].level);
}

/* Each event passes here, even if its level is not logged; only for LOG_DROPPED, the caller asks first. */
void log_event(enum log_event ev, const struct log_fields *f)
{
	if (log_enabled(ev))
		entry_write(ev, f);
}

void log_status(const struct slice parts[], size_t n)
{
	/* an escape may go past the limit before the text is cut */
	char line[sizeof("STATUS=") + LOG_STATUS_MAX + 3];
	struct buf b = { .data = line, .cap = sizeof(line) };

	_Static_assert(sizeof(line) <= PIPE_BUF, "systemd takes it");
	(void)buf_put_slice(&b, SLICE("STATUS="));
	for (size_t i = 0; i < n; i++)
		put_escaped(&b, parts[i]);
	journal_notify(buf_slice(&b));
}

/* Called by assert(). The original writes only to standard error, which is /dev/null in the units. */
void __assert_fail(const char *assertion, const char *file, unsigned line,
		   const char *function)
{
	char reason[LOG_VALUE_MAX + 2];

	(void)snprintf(reason, sizeof(reason), "%s:%u: %s: assertion failed: %s", file,
		       line, function, assertion);
	journal_open(); /* it is not open with --check */
	log_event(LOG_FAULT, &(struct log_fields){ .reason = slice_str(reason) });
	journal_wait(LOG_FAULT_ROOM_MS);
	journal_close();
	abort();
}
