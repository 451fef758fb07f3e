/* SPDX-License-Identifier: MIT */
#include "ctl/events.h"

#include <string.h>

#include "base/buf.h"

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

const struct event events[] = {
	{ HANDLING, EVENT_HANDLING },
	{ PROXYING, EVENT_PROXYING },
	{ CLOSED, EVENT_CLOSED },
	{ PATH, EVENT_REFUSAL },
	{ ORIGIN, EVENT_REFUSAL },
	{ DENIED, EVENT_REFUSAL },
	{ TLS, EVENT_REFUSAL },
	{ PROXY, EVENT_REFUSAL },
	{ REFUSED, EVENT_REFUSAL },
	{ WS_ERROR, EVENT_FAILURE },
	{ UNCHECKED, EVENT_FAILURE },
	{ BACKEND, EVENT_FAILURE },
	{ CONFIG, EVENT_FAILURE },
	{ FAULT, EVENT_FAILURE },
	{ EVENT_DISCONNECT_ID, EVENT_DISCONNECT },
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
	{ .label = "connection_failed", .text = "the connection to " },
	{ .label = "client_closed", .text = "closed by the client" },
	{ .label = "client_closed", .text = "the client closed" },
	{ .label = "controller_closed", .text = "closed by the " },
	{ .label = "controller_closed", .text = "master-controller closed" },
	{ .label = "both_closed", .text = "both sides closed" },
	{ .label = "other" },
	/* those that were not opened */
	{ .label = "not_opened" },
	{ .label = "abandoned" },
};

static const struct row failures[] = {
	{ .label = "configuration", .id = CONFIG },
	{ .label = "internal", .id = FAULT },
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
	{ .label = "path", .id = PATH },
	{ .label = "origin", .id = ORIGIN },
	{ .label = "authorization", .id = DENIED },
	{ .label = "tls", .id = TLS },
	{ .label = "proxy_header", .id = PROXY },
	{ .label = "malformed", .id = REFUSED, .status = 400 },
	{ .label = "method", .id = REFUSED, .status = 405 },
	{ .label = "timeout", .id = REFUSED, .status = 408 },
	{ .label = "too_large", .id = REFUSED, .status = 414 },
	{ .label = "too_large", .id = REFUSED, .status = 431 },
	{ .label = "websocket_version", .id = REFUSED, .status = 426 },
	{ .label = "not_implemented", .id = REFUSED, .status = 501 },
	{ .label = "stopped", .id = REFUSED, .status = 503 },
	{ .label = "http_version", .id = REFUSED, .status = 505 },
	{ .label = "plain_http", .id = REFUSED, .status = 308 },
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
	return strcmp(e->id, WS_ERROR) == 0 && e->session[0];
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
