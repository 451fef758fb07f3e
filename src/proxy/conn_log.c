/* SPDX-License-Identifier: MIT */
#include "proxy/conn_log.h"

#include <stdio.h>

#include "http/fields.h"
#include "log/journal.h"

/* A noVNC session, in contrast to Next.js' own WebSockets. */
static bool is_session(const struct verdict *v)
{
	return v->kind == ROUTE_UPGRADE && v->backend == CONFIG_CONTROLLER;
}

void conn_log_init(struct conn_request *ret, const char *peer)
{
	*ret = (struct conn_request){ .peer = slice_str(peer) };
	ret->fields.client = ret->peer;
}

/* The client of this request: the proxy that sends it may send the next one for somebody else. */
static struct slice client_text(struct conn_request *q)
{
	if (!q->verdict.said.has_client)
		return q->peer;
	network_format(&q->verdict.said.client, q->client);
	return slice_str(q->client);
}

static struct slice copy(char *ret, size_t size, struct slice s)
{
	size_t len = s.len < size ? s.len : size;

	if (len > 0)
		memcpy(ret, s.p, len);
	return (struct slice){ ret, len };
}

/*
 * Writes the line of X-Request-Id, and returns the id: that of a trusted proxy, or the log id, which error
 * responses show, and the number of the request.
 */
static struct slice identify(struct conn_request *q)
{
	struct slice given = q->verdict.said.request_id, id;
	struct buf line = { .data = q->id_line, .cap = sizeof(q->id_line) };
	int r = 0;

	q->number++;
	if (given.len > 0) {
		r = BUF_PUT(&line, SLICE(CONN_LOG_ID), given);
		q->id_prefix = 0;
	} else {
		if (q->id_prefix == 0) { /* the same for all requests of the connection */
			r = BUF_PUT(&line, SLICE(CONN_LOG_ID), slice_str(journal_id()),
				    SLICE("-"));
			q->id_prefix = line.end;
		}
		line.end = q->id_prefix;
		if (r == 0)
			r = buf_put_number(&line, q->number, 10);
	}
	id = slice_from(buf_slice(&line), strlen(CONN_LOG_ID));
	if (r == 0)
		r = buf_put_slice(&line, SLICE("\r\n"));
	assert(r == 0);
	q->verdict.id_line = buf_slice(&line);
	return id;
}

void conn_log_begin(struct conn_request *q, const struct config *cfg, struct slice method)
{
	const struct verdict *v = &q->verdict;

	q->start_ms = clock_ms();
	q->fields = (struct log_fields){
		.client = client_text(q),
		.request_id = identify(q),
		.session = copy(q->session, sizeof(q->session), v->session),
		.path = copy(q->path, sizeof(q->path), v->path),
		.method = copy(q->method, sizeof(q->method), method),
	};
	if (v->kind == ROUTE_PLAIN || v->kind == ROUTE_UPGRADE)
		q->fields.backend = slice_str(cfg->backend[v->backend].name);
}

struct slice conn_log_user(struct conn_request *q, const char *user)
{
	q->fields.user = copy(q->user, sizeof(q->user), slice_str(user));
	return q->fields.user;
}

/* Empty if there is no such field. */
static struct slice value_of(const struct http1_head *h, struct slice name)
{
	const struct field *f = http1_field(h, name);

	return f ? f->value : (struct slice){ 0 };
}

/* Cuts the query and the fragment. Empty if it has a user's name, which may stand beside a password. */
static struct slice referer_of(const struct http1_head *h)
{
	struct slice referer = value_of(h, SLICE("Referer")), authority;
	const char *scheme;

	for (size_t i = 0; i < referer.len; i++)
		if (referer.p[i] == '?' || referer.p[i] == '#')
			referer.len = i;
	scheme = referer.len > 0 ? memmem(referer.p, referer.len, "//", 2) : NULL;
	if (!scheme)
		return referer;
	authority = slice_from(referer, (size_t)(scheme + 2 - referer.p));
	authority.len = slice_find(authority, '/');
	return slice_find(authority, '@') < authority.len ? (struct slice){ 0 } : referer;
}

void conn_log_page(struct conn_request *q, const struct http1_head *h,
		   struct conn_page *page)
{
	if (!log_enabled(LOG_PAGE))
		return;
	q->fields.protocol = h->minor == 0 ? SLICE("HTTP/1.0") : SLICE("HTTP/1.1");
	q->fields.referer = copy(page->referer, sizeof(page->referer), referer_of(h));
	q->fields.user_agent = copy(page->user_agent, sizeof(page->user_agent),
				    value_of(h, SLICE("User-Agent")));
}

void conn_log(struct conn_request *q, enum log_event ev, unsigned status,
	      const char *reason)
{
	q->fields.status = status;
	q->fields.reason = slice_str(reason);
	log_event(ev, &q->fields);
}

void conn_log_fault(struct conn_request *q, const char *failure, int error)
{
	char reason[256];

	(void)snprintf(reason, sizeof(reason), "%s: %s", failure, strerror(-error));
	conn_log(q, LOG_FAULT, 0, reason);
}

void conn_log_refused_head(struct conn_request *q, const struct http1_head *h,
			   const struct http1_fault *fault)
{
	/* not copied, because an unknown method may be long */
	if (h)
		q->fields.method = h->method;
	/* another form may have a password */
	if (h && (h->target.p[0] == '/' || slice_eq(h->target, SLICE("*"))))
		q->fields.path = h->target;
	conn_log(q, LOG_REFUSED, fault->status, fault->why);
}

/* Cuts all before "@" (the scheme, too) and all after "?" or "#"; these characters stay. */
static struct slice without_secrets(struct slice origin)
{
	const char *at = origin.len > 0 ? memrchr(origin.p, '@', origin.len) : NULL;

	if (at)
		origin = slice_from(origin, (size_t)(at - origin.p));
	for (size_t i = 0; i < origin.len; i++)
		if (origin.p[i] == '?' || origin.p[i] == '#')
			origin.len = i + 1;
	return origin;
}

static void log_origin(struct conn_request *q, const struct http1_head *h, bool https)
{
	const struct verdict *v = &q->verdict;
	char reason[3 * LOG_VALUE_MAX]; /* longer, so the log marks a cut */

	q->fields.origin = without_secrets(http1_field(h, SLICE("Origin"))->value);
	if (http1_count(h, SLICE("Origin")) > 1)
		(void)snprintf(reason, sizeof(reason),
			       "more than one Origin, the first is %.*s",
			       SLICE_FMT(q->fields.origin));
	else
		(void)snprintf(reason, sizeof(reason),
			       "Origin %.*s does not match %s%.*s",
			       SLICE_FMT(q->fields.origin), https ? "https://" : "Host ",
			       SLICE_FMT(route_host(v)));
	conn_log(q, LOG_ORIGIN, v->status, reason);
}

void conn_log_refused(struct conn_request *q, const struct http1_head *h, bool https)
{
	const struct verdict *v = &q->verdict;

	if (v->kind == ROUTE_REFUSED_ORIGIN)
		log_origin(q, h, https);
	else if (v->kind == ROUTE_REFUSED_PATH)
		conn_log(q, LOG_REFUSED_PATH, v->status, v->why);
	else
		conn_log(q, LOG_REFUSED, v->status, v->why);
}

/* Logs the names of the fields that are left out because of a "_"; their values may be secret. */
static void log_dropped(struct conn_request *q, const struct http1_head *h)
{
	char names[LOG_VALUE_MAX + 2]; /* longer, so the log marks a cut */
	size_t len = 0;

	if (!log_enabled(LOG_DROPPED))
		return;
	for (size_t i = 0; i < h->fields && len < sizeof(names); i++) {
		struct slice name = h->field[i].name;

		if (fields_rules(name) & FIELDS_AMBIGUOUS)
			len += (size_t)snprintf(names + len, sizeof(names) - len,
						"%s%.*s", len > 0 ? ", " : "",
						SLICE_FMT(name));
	}
	if (len > 0)
		conn_log(q, LOG_DROPPED, 0, names);
}

void conn_log_forwarded(struct conn_request *q, const struct backend *be,
			const struct http1_head *h)
{
	if (is_session(&q->verdict)) {
		conn_log(q, LOG_HANDLING, 0, "");
		if (be->tls && !be->trust.verify)
			conn_log(q, LOG_UNVERIFIED, 0, "");
	}
	log_dropped(q, h);
}

/* novnc-gatectl reads this (src/ctl/parse.c). The id and the user come last, because they are text of others. */
static void status_of_session(const struct log_fields *f, int upstream_fd)
{
	char ends[CLIENT_ENDS_MAX];
	bool has_ends = client_ends(upstream_fd, ends);
	const struct slice parts[] = {
		SLICE("noVNC session, client "),
		f->client,
		has_ends ? SLICE(", connection ") : SLICE(""),
		has_ends ? slice_str(ends) : SLICE(""),
		SLICE(", id "),
		f->session,
		f->user.len > 0 ? SLICE(", user ") : SLICE(""),
		f->user,
	};

	/* of these, client, id and user can be long */
	log_status(parts, COUNT(parts));
}

void conn_log_opened(struct conn_request *q, int upstream_fd)
{
	const struct log_fields *f = &q->fields;
	const struct slice other[] = { SLICE("WebSocket of "), f->client, SLICE(" to "),
				       f->backend };

	if (is_session(&q->verdict))
		conn_log(q, LOG_PROXYING, 101, "");
	if (!journal_has_manager())
		return;
	if (is_session(&q->verdict))
		status_of_session(f, upstream_fd);
	else
		log_status(other, COUNT(other));
}

void conn_log_undecided(struct conn_request *q, const struct recheck *r)
{
	struct slice backend = q->fields.backend;

	q->fields.backend = slice_str(r->upstream.be->name);
	conn_log(q, LOG_UNDECIDED, 0, r->fault.reason);
	q->fields.backend = backend;
}

/* The backend has declined an upgrade: it sent another status than 101. */
static bool was_declined(const struct verdict *v, enum exchange_end end,
			 const struct exchange *x)
{
	return v->kind == ROUTE_UPGRADE && !x->tunnel && !x->denied &&
	       end != EXCHANGE_NO_RESPONSE && x->status != 0;
}

/* The event to log at the end of an exchange. */
static enum log_event end_event(const struct verdict *v, enum exchange_end end,
				const struct exchange *x)
{
	if (x->fault.blame == FAULT_CONFIG)
		return LOG_CONFIG;
	if (x->fault.blame == FAULT_GATE)
		return LOG_FAULT;
	if (x->denied)
		return LOG_DENIED;
	if (x->tunnel)
		return is_session(v) ? LOG_CLOSED : LOG_PAGE;
	if (x->fault.blame == FAULT_BACKEND)
		return v->kind == ROUTE_UPGRADE ? LOG_WS_ERROR : LOG_BACKEND;
	if (is_session(v) && !x->authorizes) /* whose tunnel was not opened */
		return was_declined(v, end, x) ? LOG_WS_ERROR : LOG_CLOSED;
	return end == EXCHANGE_NO_RESPONSE ? LOG_REFUSED : LOG_PAGE;
}

/* Whose Close ended the tunnel. */
static void note_close(struct log_fields *f, const struct tunnel *t)
{
	const struct frames *first = tunnel_first_close(t);

	if (first) {
		f->closed_by = t->closed_first == TUNNEL_CLIENT
				       ? SLICE("client")
				       : slice_str(t->setup.backend);
		f->close_code = frames_close_code(first);
	} else if (t->client.close == TUNNEL_CLOSE_PUT) {
		f->closed_by = SLICE("novnc-gate");
		f->close_code = t->client.code;
	} else if (t->backend.close == TUNNEL_CLOSE_PUT) {
		f->closed_by = SLICE("novnc-gate");
		f->close_code = t->backend.code;
	}
}

void conn_log_ended(struct conn_request *q, enum exchange_end end,
		    const struct exchange *x)
{
	const struct verdict *v = &q->verdict;
	struct log_fields *f = &q->fields;
	enum log_event ev = end_event(v, end, x);
	const char *reason = x->fault.reason;
	char declined[sizeof(x->fault.reason) + 128];

	/* Next.js, if only the authorization request was sent */
	f->backend = slice_str(x->upstream->be->name);
	f->ended = true;
	f->up_bytes = x->relay.up.bytes;
	f->down_bytes = x->relay.down.bytes;
	f->duration_ms = clock_ms() - q->start_ms;
	if (x->tunnel)
		note_close(f, &x->relay.tunnel);
	/* the declined upgrade first, then the fault that followed, if any */
	if (was_declined(v, end, x)) {
		(void)snprintf(declined, sizeof(declined),
			       "%.*s responded with %u instead of 101%s%s",
			       SLICE_FMT(f->backend), x->status,
			       reason[0] ? ", then: " : "", reason);
		reason = declined;
	}
	conn_log(q, ev, x->status, reason);
	if (x->tunnel && is_session(v) && ev != LOG_CLOSED) /* one for each tunnel */
		conn_log(q, LOG_CLOSED, x->status, reason);
	if (v->kind == ROUTE_PLAIN && ev != LOG_PAGE) /* one for each page */
		conn_log(q, LOG_PAGE, x->status, reason);
}
