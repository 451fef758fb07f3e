/* SPDX-License-Identifier: MIT */
#include "ctl/events.h"

#include <string.h>

#include "base/buf.h"
#include "log/ids.h"

const struct event events[] = {
	{ LOG_ID_HANDLING, EVENT_HANDLING },
	{ LOG_ID_PROXYING, EVENT_PROXYING },
	{ LOG_ID_CLOSED, EVENT_CLOSED },
	{ LOG_ID_REFUSED_PATH, EVENT_REFUSAL },
	{ LOG_ID_ORIGIN, EVENT_REFUSAL },
	{ LOG_ID_DENIED, EVENT_REFUSAL },
	{ LOG_ID_TLS, EVENT_REFUSAL },
	{ LOG_ID_NO_HEADER, EVENT_REFUSAL },
	{ LOG_ID_REFUSED, EVENT_REFUSAL },
	{ LOG_ID_WS_ERROR, EVENT_FAILURE },
	{ LOG_ID_UNDECIDED, EVENT_FAILURE },
	{ LOG_ID_BACKEND, EVENT_FAILURE },
	{ LOG_ID_CONFIG, EVENT_FAILURE },
	{ LOG_ID_FAULT, EVENT_FAILURE },
	{ EVENT_DISCONNECT_ID, EVENT_DISCONNECT },
	{ EVENT_KILLED_ID, EVENT_KILLED },
	{ NULL, EVENT_OTHER },
};

/* A label, and how an entry gets it: the first row that fits. */
struct row {
	const char *label;
	const char *text; /* in its reason; NULL: any */
	const char *id;   /* NULL: any */
	unsigned status;  /* 0: any */
};

/* How an open session ended. */
static const struct row ends[] = {
	{ .label = "stopped", .text = "stopped by SIGTERM" },
	{ .label = "unauthorized", .text = "no longer authorized" },
	{ .label = "vanished", .text = "answered no Ping" },
	{ .label = "idle_timeout", .text = "IdleTimeoutSec=" },
	{ .label = "session_timeout", .text = "SessionTimeoutSec=" },
	{ .label = "client_closed", .text = "closed by the client" },
	{ .label = "client_closed", .text = "the client closed" },
	{ .label = "controller_closed", .text = "closed by the " },
	{ .label = "controller_closed", .text = "master-controller closed" },
	{ .label = "both_closed", .text = "both sides closed" },
	{ .label = "connection_failed", .text = "the connection to " },
	{ .label = "other" },
	/* those without a closing entry */
	{ .label = "killed" },
	/* those that were not opened */
	{ .label = "not_opened" },
	{ .label = "abandoned" },
};

static const struct row failures[] = {
	{ .label = "configuration", .id = LOG_ID_CONFIG },
	{ .label = "internal", .id = LOG_ID_FAULT },
	{ .label = "tls", .text = "TLS handshake with" },
	{ .label = "resolve", .text = "cannot resolve" },
	{ .label = "connect_timeout", .text = "timed out connecting" },
	{ .label = "connect", .text = "cannot connect" },
	{ .label = "response_timeout", .text = "timed out" },
	{ .label = "stalled", .text = "stalled" },
	{ .label = "not_http", .text = "does not speak HTTP" },
	{ .label = "declined", .text = "instead of 101" },
	{ .label = "authorization", .text = "authoriz" },
	{ .label = "invalid_response", .text = "sent a" },
	{ .label = "closed", .text = "closed" },
	{ .label = "connection_failed", .text = "the connection to " },
	{ .label = "other" },
};

static const struct row refusals[] = {
	{ .label = "path", .id = LOG_ID_REFUSED_PATH },
	{ .label = "origin", .id = LOG_ID_ORIGIN },
	{ .label = "authorization", .id = LOG_ID_DENIED },
	{ .label = "tls", .id = LOG_ID_TLS },
	{ .label = "proxy_header", .id = LOG_ID_NO_HEADER },
	{ .label = "malformed", .id = LOG_ID_REFUSED, .status = 400 },
	{ .label = "method", .id = LOG_ID_REFUSED, .status = 405 },
	{ .label = "timeout", .id = LOG_ID_REFUSED, .status = 408 },
	{ .label = "too_large", .id = LOG_ID_REFUSED, .status = 414 },
	{ .label = "too_large", .id = LOG_ID_REFUSED, .status = 431 },
	{ .label = "websocket_version", .id = LOG_ID_REFUSED, .status = 426 },
	{ .label = "not_implemented", .id = LOG_ID_REFUSED, .status = 501 },
	{ .label = "stopped", .id = LOG_ID_REFUSED, .status = 503 },
	{ .label = "http_version", .id = LOG_ID_REFUSED, .status = 505 },
	{ .label = "plain_http", .id = LOG_ID_REFUSED, .status = 308 },
	{ .label = "other" },
};

static const struct table {
	const struct row *row;
	size_t n;
} tables[EVENT_OTHER] = {
	[EVENT_CLOSED] = { ends, COUNT(ends) },
	[EVENT_REFUSAL] = { refusals, COUNT(refusals) },
	[EVENT_FAILURE] = { failures, COUNT(failures) },
};

enum event_kind event_kind(const struct entry *e)
{
	const struct event *row = events;

	while (row->id && strcmp(e->id, row->id) != 0)
		row++;
	return row->kind;
}

bool event_is_not_opened(const struct entry *e)
{
	return strcmp(e->id, LOG_ID_WS_ERROR) == 0 && e->session[0];
}

/* In the reason of an end, a peer's text is in parentheses: "closed by the client (1000: bye)". */
static bool has_text(const struct entry *e, const char *text)
{
	const char *hit = strstr(e->reason, text), *peer = strchr(e->reason, '(');

	return hit && (event_kind(e) != EVENT_CLOSED || !peer || hit < peer);
}

static bool fits(const struct row *row, const struct entry *e)
{
	return (!row->text || has_text(e, row->text)) &&
	       (!row->id || strcmp(e->id, row->id) == 0) &&
	       (row->status == 0 || row->status == e->status);
}

const char *event_label(const struct entry *e)
{
	enum event_kind kind = event_kind(e);
	const struct row *row = tables[kind].row;

	if (kind == EVENT_KILLED)
		return "killed";
	if (kind == EVENT_CLOSED && e->status != 101)
		return "abandoned";
	while (!fits(row, e))
		row++;
	return row->label;
}

const char *event_label_at(enum event_kind kind, size_t i)
{
	const struct table *t = &tables[kind];

	for (size_t k = 0; k < t->n; k++)
		if ((k == 0 || strcmp(t->row[k].label, t->row[k - 1].label) != 0) &&
		    i-- == 0)
			return t->row[k].label;
	return NULL;
}
