/* SPDX-License-Identifier: MIT */
/* One connection, request after request: read a head, decide, carry out, log, reply. */
#include "conn.h"

#include <stdio.h>

#include "compose.h"
#include "exchange.h"
#include "journal.h"
#include "log.h"
#include "pages.h"
#include "wire.h"

/* One request, as the log and a reply need it once its head is gone. */
struct request {
	struct verdict verdict;
	bool head_request;
	uint64_t start_ms;
	char path[LOG_VALUE_MAX + 1], session[LOG_VALUE_MAX + 1], method[32];
	struct log_fields fields; /* into the members above */
};

struct conn {
	struct wire wire;
	const struct conn_setup *setup;
	struct http1_head head;
	struct request request;
	uint64_t start_ms;
	bool served;   /* a request has been answered: the next one may take its time */
	bool insecure; /* plain HTTP where TLS was to be spoken */
	bool misconfigured; /* which only this request has shown */
};

/* Log and replies. */

static struct slice keep(char *room, size_t size, struct slice s)
{
	size_t len = s.len < size ? s.len : size;

	if (len > 0)
		memcpy(room, s.p, len);
	return (struct slice){ room, len };
}

/* What outlives the head. */
static void request_begin(struct conn *c, const struct verdict *v)
{
	struct request *q = &c->request;
	const struct backend *be = &c->wire.cfg->backend[v->backend];

	q->verdict = *v;
	q->start_ms = stream_clock_ms();
	q->fields = (struct log_fields){
		.client = slice_str(c->setup->client->text),
		.session = keep(q->session, sizeof(q->session), v->session),
		.path = keep(q->path, sizeof(q->path), v->path),
		.method = keep(q->method, sizeof(q->method), c->head.method),
	};
	if (v->kind == ROUTE_PLAIN || v->kind == ROUTE_UPGRADE)
		q->fields.backend = slice_str(be->name);
}

static void conn_log(struct conn *c, enum log_event ev, unsigned status,
		     const char *reason)
{
	struct log_fields *f = &c->request.fields;

	f->status = status;
	f->reason = slice_str(reason);
	log_event(ev, f);
}

/* The gate's own reply, after which the connection ends. */
static void conn_reply(struct conn *c, unsigned status, const char *prefix,
		       const char *reason)
{
	char sentence[640];
	struct compose_reply reply = {
		.status = status,
		.log_id = journal_id(),
		.head_request = c->request.head_request,
		.host = c->request.verdict.host,
		.target = c->request.verdict.target,
	};

	(void)snprintf(sentence, sizeof(sentence), "%s: %s", prefix, reason);
	reply.sentence = slice_str(sentence);
	if (compose_reply(&reply, &c->wire.down_out) == 0 && wire_flush(&c->wire) == 0)
		wire_linger(&c->wire);
}

#define CONN_REFUSED "The request was refused"

/* A request that never got as far as a verdict. */
static void conn_refuse_head(struct conn *c, unsigned status, const char *why)
{
	struct verdict none = { .kind = ROUTE_REFUSED };

	c->head.method = SLICE("");
	request_begin(c, &none);
	conn_log(c, LOG_REFUSED, status, why);
	conn_reply(c, status, CONN_REFUSED, why);
}

/*
 * An Origin from its user's name and password on, up to its query: browsers send neither. The
 * "@" and the "?" stay, to show that something is missing.
 */
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

/* A verdict that forwards nothing. */
static void conn_refuse(struct conn *c)
{
	struct verdict *v = &c->request.verdict;
	const struct field *origin = http1_field(&c->head, SLICE("Origin"));
	char both[3 * LOG_VALUE_MAX]; /* the log cuts it where it shows */
	struct slice shown;

	if (v->kind == ROUTE_REFUSED_PATH) {
		conn_log(c, LOG_REJECTED, v->status, v->why);
	} else if (v->kind == ROUTE_REFUSED_ORIGIN) {
		shown = without_secrets(origin->value);
		c->request.fields.origin = shown;
		(void)snprintf(both, sizeof(both), "Origin %.*s is not that of Host %.*s",
			       SLICE_FMT(shown), SLICE_FMT(v->host));
		conn_log(c, LOG_ORIGIN, v->status, both);
	} else {
		conn_log(c, LOG_REFUSED, v->status, v->why);
	}
	conn_reply(c, v->status, CONN_REFUSED, v->why);
}

/* A noVNC session, in contrast to Next.js' own WebSockets. */
static bool is_session(const struct verdict *v)
{
	return v->kind == ROUTE_UPGRADE && v->backend == CONFIG_CONTROLLER;
}

/* Whether OpenSSL may be loaded: it wants its calls until exit(), whatever speaks TLS by then. */
static bool conn_has_tls(const struct conn *c)
{
	bool tls = c->wire.client.tls;

	for (size_t i = 0; i < CONFIG_BACKENDS; i++)
		tls |= c->wire.cfg->backend[i].tls;
	return tls;
}

/* A tunnel stands: the second of a session's opening sentences, and the second wall. */
static int on_opened(void *userdata)
{
	struct conn *c = userdata;
	const struct log_fields *f = &c->request.fields;
	char status[LOG_VALUE_MAX + 128]; /* the log cuts it where it shows */

	if (is_session(&c->request.verdict)) {
		conn_log(c, LOG_PROXYING, 101, "");
		(void)snprintf(status, sizeof(status), "noVNC session %.*s of %.*s",
			       SLICE_FMT(f->session), SLICE_FMT(f->client));
	} else {
		(void)snprintf(status, sizeof(status), "WebSocket of %.*s to %.*s",
			       SLICE_FMT(f->client), SLICE_FMT(f->backend));
	}
	log_status(slice_str(status));
	pages_release(c->head.field, sizeof(c->head.field)); /* no other one follows */
	return sandbox_narrow(c->setup->sandbox, conn_has_tls(c));
}

/* Whether an upgrade got an answer, of whatever status, that is no 101. */
static bool was_denied(const struct verdict *v, enum exchange_end end,
		       const struct exchange *x)
{
	return v->kind == ROUTE_UPGRADE && !x->tunnel && end != EXCHANGE_REFUSED &&
	       x->status != 0;
}

/* Which entry an exchange that has ended leaves. */
static enum log_event end_event(const struct verdict *v, enum exchange_end end,
				const struct exchange *x)
{
	if (x->blame == EXCHANGE_CONFIG)
		return LOG_CONFIG;
	if (x->blame == EXCHANGE_GATE)
		return LOG_FAULT;
	if (x->tunnel)
		return is_session(v) ? LOG_CLOSED : LOG_PAGE;
	if (x->blame == EXCHANGE_BACKEND)
		return v->kind == ROUTE_UPGRADE ? LOG_WS_ERROR : LOG_BACKEND;
	if (is_session(v)) /* that never opened */
		return was_denied(v, end, x) ? LOG_WS_ERROR : LOG_CLOSED;
	return end == EXCHANGE_REFUSED ? LOG_REFUSED : LOG_PAGE;
}

static void conn_log_end(struct conn *c, enum exchange_end end, const struct exchange *x)
{
	const struct verdict *v = &c->request.verdict;
	struct log_fields *f = &c->request.fields;
	enum log_event ev = end_event(v, end, x);
	const char *reason = x->reason;
	char denied[sizeof(x->reason) + 128];

	f->ended = true;
	f->up_bytes = x->up_bytes;
	f->down_bytes = x->down_bytes;
	f->duration_ms = stream_clock_ms() - c->request.start_ms;
	if (was_denied(v, end, x)) { /* whatever happened behind it, this is the reason */
		(void)snprintf(denied, sizeof(denied),
			       "%.*s answered %u instead of 101%s%s",
			       SLICE_FMT(f->backend), x->status,
			       reason[0] ? ", then: " : "", reason);
		reason = denied;
	}
	conn_log(c, ev, x->status, reason);
	if (x->tunnel && is_session(v) && ev != LOG_CLOSED) /* each session has one */
		conn_log(c, LOG_CLOSED, x->status, reason);
}

/* The first of a session's opening sentences. */
static void conn_log_opening(struct conn *c)
{
	const struct backend *be = &c->wire.cfg->backend[CONFIG_CONTROLLER];

	conn_log(c, LOG_HANDLING, 0, "");
	if (be->tls && !be->trust.verify)
		conn_log(c, LOG_UNVERIFIED, 0, "");
}

/* Which fields a backend does not get, by their names: what they say may be a secret. */
static void conn_log_dropped(struct conn *c)
{
	char names[LOG_VALUE_MAX + 2]; /* the log cuts it where it shows */
	size_t len = 0;

	if (!log_takes(LOG_DROPPED))
		return;
	for (size_t i = 0; i < c->head.fields && len < sizeof(names); i++) {
		struct slice name = c->head.field[i].name;

		if (compose_drops(name))
			len += (size_t)snprintf(names + len, sizeof(names) - len,
						"%s%.*s", len > 0 ? ", " : "",
						SLICE_FMT(name));
	}
	if (len > 0)
		conn_log(c, LOG_DROPPED, 0, names);
}

/* Carries out a verdict that forwards; true when another request may follow. */
static bool conn_forward(struct conn *c, size_t head_len)
{
	bool upgrade = c->request.verdict.kind == ROUTE_UPGRADE;
	struct exchange x;
	enum exchange_end end;

	if (is_session(&c->request.verdict))
		conn_log_opening(c);
	conn_log_dropped(c);
	end = exchange_run(&c->wire, &c->head, head_len, &c->request.verdict, on_opened,
			   c, &x);
	conn_log_end(c, end, &x);
	c->misconfigured |= x.blame == EXCHANGE_CONFIG;
	switch (end) {
	case EXCHANGE_NEXT: return true;
	case EXCHANGE_LAST: wire_linger(&c->wire); break;
	case EXCHANGE_REFUSED:
		conn_reply(c, x.status,
			   x.blame == EXCHANGE_CLIENT ? CONN_REFUSED
			   : upgrade                  ? "WebSocket proxy error"
						      : "Proxy error",
			   x.reply[0] ? x.reply : x.reason);
		break;
	case EXCHANGE_RESET: stream_reset(&c->wire.client); break;
	case EXCHANGE_CUT:
	case EXCHANGE_GONE: break;
	}
	return false;
}

/* Heads. */

/*
 * Reads until a head is complete. Returns its length, 0 where the connection ends without
 * a word, -EBADMSG, -EMSGSIZE, -ETIMEDOUT or -ECONNABORTED where a reply is due.
 */
static ssize_t conn_read_head(struct conn *c, struct lines_scan *scan)
{
	const struct config *cfg = c->wire.cfg;
	struct buf *in = &c->wire.client_in;
	uint64_t deadline_ms =
		c->served ? stream_deadline_ms(stream_clock_ms(), cfg->keep_alive_ms)
			  : stream_deadline_ms(c->start_ms, cfg->head_ms);
	bool begun, timed = !c->served;
	bool empty_line = false; /* has come, which is not nothing before a first head */

	for (;;) {
		ssize_t len = lines_scan(scan, buf_slice(in), cfg->head_max);
		int r;

		if (len ==
		    (ssize_t)strlen("\r\n")) { /* RFC 9112 2.2: before a request line */
			buf_consume(in, (size_t)len);
			*scan = (struct lines_scan){ 0 };
			empty_line = true;
			continue;
		}
		if (len != -EAGAIN)
			return len;
		begun = (empty_line && !c->served) || buf_len(in) > 0;
		if (begun && !timed) { /* once: empty lines before it gain no time */
			deadline_ms = stream_deadline_ms(stream_clock_ms(), cfg->head_ms);
			timed = true;
		}
		if (c->wire.client.eof)
			return begun ? -ECONNABORTED : 0;
		buf_compact(in);
		/* such as come without a pause are never waited for */
		r = empty_line && stream_clock_ms() >= deadline_ms
			    ? -ETIMEDOUT
			    : wire_read(&c->wire, in, deadline_ms);
		if (r == -ETIMEDOUT && begun)
			return r;
		if (r < 0)
			return 0; /* reset, SIGTERM, or it never sent a byte */
	}
}

/* Whether a TLS handshake begins so (RFC 8446 5.1), as far as can be seen. */
static bool is_tls(struct slice in)
{
	return in.len > 0 && in.p[0] == 0x16 && (in.len == 1 || in.p[1] == 0x03);
}

static void conn_no_head(struct conn *c, ssize_t r, const struct lines_scan *scan)
{
	if (r == -EBADMSG && !c->wire.client.tls && is_tls(buf_slice(&c->wire.client_in)))
		conn_refuse_head(c, 400,
				 "the client speaks TLS (https://), and this port is for "
				 "plain HTTP");
	else if (r == -EBADMSG)
		conn_refuse_head(c, 400, scan->why);
	else if (r == -EMSGSIZE && scan->lines == 0)
		conn_refuse_head(c, 414, "its request line is over HeadMaxBytes=");
	else if (r == -EMSGSIZE)
		conn_refuse_head(c, 431, "its head is over HeadMaxBytes=");
	else if (r == -ETIMEDOUT)
		conn_refuse_head(c, 408, "timed out waiting for the request head");
	else
		conn_refuse_head(c, 400, "it ended before its head was complete");
}

/* One request; true when another one may follow. */
static bool conn_next(struct conn *c)
{
	struct lines_scan scan = { 0 };
	ssize_t len = conn_read_head(c, &scan);
	struct slice raw = buf_slice(&c->wire.client_in);
	struct http1_fault fault;
	struct verdict v;

	if (len == 0)
		return false;
	c->request.head_request = raw.len > 5 && memcmp(raw.p, "HEAD ", 5) == 0;
	if (len < 0) {
		conn_no_head(c, len, &scan);
		return false;
	}
	raw.len = (size_t)len;
	if (http1_parse_request(raw, &c->head, &fault) < 0) {
		conn_refuse_head(c, fault.status, fault.why);
		return false;
	}
	route_decide(c->wire.cfg, &c->head, &c->wire.who, &v);
	if (c->insecure)
		route_to_https(&c->head, &v);
	request_begin(c, &v);
	if (c->setup->broken) {
		conn_reply(c, 500, "The gate's configuration cannot be used",
			   "its log says why");
		return false;
	}
	if (v.kind != ROUTE_PLAIN && v.kind != ROUTE_UPGRADE) {
		conn_refuse(c);
		return false;
	}
	c->served = conn_forward(c, (size_t)len);
	return c->served;
}

static void conn_fault(struct conn *c, const char *what, int r)
{
	char reason[256];

	(void)snprintf(reason, sizeof(reason), "%s: %s", what, strerror(-r));
	c->request.fields =
		(struct log_fields){ .client = slice_str(c->setup->client->text) };
	conn_log(c, LOG_FAULT, 0, reason);
}

/*
 * TLS with the client. Returns 0 to go on, 1 where the connection is over, or as
 * conn_serve().
 */
static int conn_secure(struct conn *c)
{
	uint64_t deadline_ms = stream_deadline_ms(c->start_ms, c->wire.cfg->head_ms);
	struct log_fields f = { .client = slice_str(c->setup->client->text) };
	struct tls_why why;
	int r = wire_secure(&c->wire, c->setup->tls, deadline_ms, &why);

	if (r == 0)
		return 0;
	c->insecure = r == -EPROTONOSUPPORT;
	if (c->insecure)
		return 0;
	f.reason = slice_str(why.text);
	if (r == -ENOKEY || r == -ENOMEM || r == -ELIBACC)
		log_event(r == -ENOKEY ? LOG_CONFIG : LOG_FAULT, &f);
	else if (c->wire.client.tls && r != -ECANCELED)
		log_event(LOG_TLS, &f);
	return r == -ENOKEY ? -EBADMSG : r == -ENOMEM || r == -ELIBACC ? r : 1;
}

int conn_serve(int fd, const struct conn_setup *setup)
{
	struct conn c; /* but for its head: to zero that would take pages for nothing */
	int r = wire_open(&c.wire, fd, setup->cfg, setup->client, setup->sigfd);

	c.setup = setup;
	c.start_ms = stream_clock_ms();
	c.request = (struct request){ 0 };
	c.served = c.insecure = c.misconfigured = false;
	if (r < 0) {
		conn_fault(&c, "the connection cannot be taken over", r);
		return r;
	}
	if (setup->unfit < 0) {
		r = setup->unfit;
		conn_fault(&c, setup->unfit_why, r);
		if (!setup->tls) /* nobody there could read it */
			conn_reply(&c, 500, "The gate cannot serve this connection",
				   "its log names the reason");
	} else {
		r = setup->tls ? conn_secure(&c) : 0;
		while (r == 0 && conn_next(&c))
			;
	}
	wire_done(&c.wire);
	return c.misconfigured ? -EBADMSG : r < 0 ? r : 0;
}
