/* SPDX-License-Identifier: MIT */
/* One connection, request after request: read a head, decide, carry out, reply. */
#include "proxy/conn.h"

#include <stdio.h>

#include "log/journal.h"
#include "process/pages.h"
#include "proxy/compose.h"
#include "proxy/conn_log.h"
#include "proxy/wire.h"

struct conn {
	struct wire wire;
	const struct conn_setup *setup;
	struct http1_head head;
	struct conn_request request;
	bool head_request;
	uint64_t start_ms;
	bool served;        /* a request has been answered: KeepAliveTimeoutSec= holds */
	bool insecure;      /* plain HTTP where TLS was to be spoken */
	bool misconfigured; /* a request has shown a fault of the configuration */
};

/* Replies. */

/* The gate's own reply, after which the connection ends. */
static void conn_reply(struct conn *c, unsigned status, const char *prefix,
		       const char *reason)
{
	char sentence[640];
	struct compose_reply reply = {
		.status = status,
		.log_id = journal_id(),
		.head_request = c->head_request,
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

	conn_log_begin(&c->request, c->wire.cfg, &none, SLICE(""));
	conn_log(&c->request, LOG_REFUSED, status, why);
	conn_reply(c, status, CONN_REFUSED, why);
}

/* With OpenSSL loaded, the process makes its system calls until exit(), even if unused. */
static bool conn_has_tls(const struct conn *c)
{
	bool tls = c->wire.client.tls;

	for (size_t i = 0; i < CONFIG_BACKENDS; i++)
		tls |= c->wire.cfg->backend[i].tls;
	return tls;
}

/* A tunnel stands: from here on less of the kernel is needed. */
static int on_opened(void *userdata)
{
	struct conn *c = userdata;

	conn_log_opened(&c->request);
	pages_release(c->head.field, sizeof(c->head.field)); /* no other one follows */
	return sandbox_narrow(c->setup->sandbox, conn_has_tls(c));
}

/* Carries out a verdict that forwards; true when another request may follow. */
static bool conn_forward(struct conn *c, size_t head_len)
{
	const struct verdict *v = &c->request.verdict;
	struct exchange x;
	enum exchange_end end;

	conn_log_forwarded(&c->request, &c->wire.cfg->backend[v->backend], &c->head);
	end = exchange_run(&c->wire, &c->head, head_len, v, on_opened, c, &x);
	conn_log_ended(&c->request, end, &x);
	c->misconfigured |= x.blame == EXCHANGE_CONFIG;
	switch (end) {
	case EXCHANGE_NEXT: return true;
	case EXCHANGE_LAST: wire_linger(&c->wire); break;
	case EXCHANGE_REFUSED:
		conn_reply(c, x.status,
			   x.blame == EXCHANGE_CLIENT ? CONN_REFUSED
			   : v->kind == ROUTE_UPGRADE ? "WebSocket proxy error"
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
	uint64_t deadline_ms = c->served
				       ? clock_deadline_ms(clock_ms(), cfg->keep_alive_ms)
				       : clock_deadline_ms(c->start_ms, cfg->head_ms);
	bool begun, timed = !c->served;
	bool empty_line = false; /* has come, which is not nothing before a first head */

	for (;;) {
		ssize_t len = lines_scan(scan, buf_slice(in), cfg->head_max);
		int r;

		if (len == 2) { /* "\r\n", RFC 9112 2.2: before a request line */
			buf_consume(in, (size_t)len);
			*scan = (struct lines_scan){ 0 };
			empty_line = true;
			continue;
		}
		if (len != -EAGAIN)
			return len;
		begun = (empty_line && !c->served) || buf_len(in) > 0;
		if (begun && !timed) { /* once: empty lines before it gain no time */
			deadline_ms = clock_deadline_ms(clock_ms(), cfg->head_ms);
			timed = true;
		}
		if (c->wire.client.input == STREAM_CUT)
			return 0;
		if (stream_ended(&c->wire.client))
			return begun ? -ECONNABORTED : 0;
		buf_compact(in);
		/* empty lines without a pause: no wait would see the deadline pass */
		r = empty_line && clock_ms() >= deadline_ms
			    ? -ETIMEDOUT
			    : wire_read(&c->wire, in, deadline_ms);
		if (r == -ETIMEDOUT && begun)
			return r;
		if (r < 0)
			return 0; /* reset, SIGTERM, or it never sent a byte */
	}
}

/* The first bytes of a TLS handshake record (RFC 8446 5.1). */
static bool is_tls(struct slice in)
{
	return in.len > 0 && in.p[0] == 0x16 && (in.len == 1 || in.p[1] == 0x03);
}

static void conn_no_head(struct conn *c, ssize_t r, const struct lines_scan *scan)
{
	if (r == -EBADMSG && !c->wire.client.tls && is_tls(buf_slice(&c->wire.client_in)))
		conn_refuse_head(c, 400,
				 "the client speaks TLS (https://) on the port for plain "
				 "HTTP");
	else if (r == -EBADMSG)
		conn_refuse_head(c, 400, scan->why);
	else if (r == -EMSGSIZE && scan->lines == 0)
		conn_refuse_head(c, 414, "request line is longer than HeadMaxBytes=");
	else if (r == -EMSGSIZE)
		conn_refuse_head(c, 431, "request head is longer than HeadMaxBytes=");
	else if (r == -ETIMEDOUT)
		conn_refuse_head(c, 408, "timed out waiting for the request head");
	else
		conn_refuse_head(c, 400,
				 "connection ended before the request head was complete");
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
	c->head_request = raw.len > 5 && memcmp(raw.p, "HEAD ", 5) == 0;
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
	conn_log_begin(&c->request, c->wire.cfg, &v, c->head.method);
	if (c->setup->broken) {
		conn_reply(c, 500, "The gate's configuration cannot be used",
			   "see the log");
		return false;
	}
	if (v.kind != ROUTE_PLAIN && v.kind != ROUTE_UPGRADE) {
		conn_log_refused(&c->request, &c->head, c->wire.who.tls);
		conn_reply(c, v.status, CONN_REFUSED, v.why);
		return false;
	}
	c->served = conn_forward(c, (size_t)len);
	return c->served;
}

/*
 * TLS with the client. Returns 0 to go on, 1 where the connection is over, or as
 * conn_serve().
 */
static int conn_secure(struct conn *c)
{
	uint64_t deadline_ms = clock_deadline_ms(c->start_ms, c->wire.cfg->head_ms);
	struct tls_why why;
	int r = wire_secure(&c->wire, c->setup->tls, deadline_ms, &why);

	if (r == 0)
		return 0;
	c->insecure = r == -EPROTONOSUPPORT;
	if (c->insecure)
		return 0;
	if (r == -ENOKEY) {
		conn_log(&c->request, LOG_CONFIG, 0, why.text);
		return -EBADMSG;
	}
	if (r == -ENOMEM || r == -ELIBACC) {
		conn_log(&c->request, LOG_FAULT, 0, why.text);
		return r;
	}
	if (c->wire.client.tls && r != -ECANCELED)
		conn_log(&c->request, LOG_TLS, 0, why.text);
	return 1;
}

int conn_serve(int fd, const struct conn_setup *setup)
{
	struct conn c; /* but for its head: to zero that would take pages for nothing */
	int r = wire_open(&c.wire, fd, setup->cfg, setup->client, setup->sigfd);

	c.setup = setup;
	c.start_ms = clock_ms();
	conn_log_init(&c.request, setup->client->text);
	c.head_request = c.served = c.insecure = c.misconfigured = false;
	if (r < 0) {
		conn_log_fault(&c.request, "cannot set up the connection", r);
		return r;
	}
	if (setup->unfit < 0) {
		r = setup->unfit;
		conn_log_fault(&c.request, setup->unfit_why, r);
		if (!setup->tls) /* nobody there could read it */
			conn_reply(&c, 500, "The gate cannot serve this connection",
				   "see the log");
	} else {
		r = setup->tls ? conn_secure(&c) : 0;
		while (r == 0 && conn_next(&c))
			;
	}
	wire_done(&c.wire);
	return c.misconfigured ? -EBADMSG : r < 0 ? r : 0;
}
