/* SPDX-License-Identifier: MIT */
#include "proxy/conn.h"

#include "log/journal.h"
#include "process/pages.h"
#include "proxy/conn_log.h"
#include "proxy/downstream.h"
#include "proxy/error_response.h"

struct conn {
	struct downstream down;
	const struct conn_setup *setup;
	struct http1_head head;
	struct conn_request request;
	bool is_head_method;
	uint64_t start_ms;
	bool served;           /* a request was served, so KeepAliveTimeoutSec= applies */
	bool insecure;         /* plain HTTP on the port for TLS */
	bool config_fault;     /* a request has shown an error in the configuration */
	struct conn_page page; /* used with Level=info only */
};

/* Sends an error response and ends the connection; type: as in struct error_response. */
static void conn_send_error(struct conn *c, unsigned status, const char *type,
			    const char *what, const char *why)
{
	const struct error_response response = {
		.status = status,
		.type = type,
		.what = what,
		.why = why,
		.log_id = journal_id(),
		.id_line = c->request.verdict.id_line,
		.is_head_method = c->is_head_method,
		.host = c->request.verdict.host,
		.target = c->request.verdict.target,
	};

	if (error_response_write(&response, &c->down.out) == 0 &&
	    downstream_flush(&c->down) == 0)
		downstream_linger(&c->down);
}

/* Responds to a health check, and ends the connection. */
static void conn_send_health(struct conn *c)
{
	if (error_response_health(c->is_head_method, c->request.verdict.id_line,
				  &c->down.out) == 0 &&
	    downstream_flush(&c->down) == 0)
		downstream_linger(&c->down);
}

/* Tells a browser's page in a Close why its session cannot be opened, and ends the connection. */
static void conn_send_close(struct conn *c, const struct exchange *x)
{
	const struct error_close close = {
		.status = x->status,
		.why = x->fault.shown[0] ? x->fault.shown : x->fault.reason,
		.log_id = journal_id(),
		.accept = x->accept,
		.protocol = slice_str(x->protocol),
		.id_line = x->id_line,
	};

	if (error_close_write(&close, &c->down.out) == 0 &&
	    downstream_flush(&c->down) == 0)
		downstream_await_close(&c->down);
}

#define CONN_REFUSED "The request was refused"

/* Refuses a request whose head cannot be used. */
static void conn_refuse_head(struct conn *c, const struct http1_fault *fault)
{
	bool has_line = http1_request_line(buf_slice(&c->down.in), &c->head);

	c->request.verdict = (struct verdict){ .kind = ROUTE_REFUSED };
	conn_log_begin(&c->request, c->down.cfg, SLICE(""));
	conn_log_refused_head(&c->request, has_line ? &c->head : NULL, fault);
	conn_send_error(c, fault->status, NULL, CONN_REFUSED, fault->why);
}

/* The tunnel is established: logs that, tightens the sandbox, and moves bytes. */
static enum exchange_end conn_tunnel(struct conn *c, struct exchange *x)
{
	enum exchange_end end;
	int r;

	conn_log_opened(&c->request, x->upstream->stream.fd);
	pages_release(c->head.field, sizeof(c->head.field)); /* no other head follows */
	r = sandbox_tighten(c->setup->sandbox, recheck_family(c->down.recheck));
	if (r < 0)
		return exchange_abort(x, "cannot tighten the sandbox", r);
	while ((end = exchange_tunnel(x)) == EXCHANGE_UNDECIDED)
		conn_log_undecided(&c->request, c->down.recheck);
	return end;
}

/* Asks Next.js whether, and as whom, the client may make this request to the master-controller. */
static enum exchange_end conn_authorize(struct conn *c, struct exchange *x,
					size_t head_len)
{
	struct verdict *v = &c->request.verdict;
	enum exchange_end end;

	if (v->backend != CONFIG_CONTROLLER || !c->down.cfg->authorize_path)
		return EXCHANGE_AUTHORIZED;
	end = exchange_authorize(x, &c->down, &c->head, head_len, v);
	if (end == EXCHANGE_AUTHORIZED)
		v->user = conn_log_user(&c->request, x->user);
	return end;
}

/* The exchange has ended; true if another request may follow. */
static bool conn_ended(struct conn *c, struct exchange *x, enum exchange_end end)
{
	const struct fault *fault = &x->fault;

	conn_log_ended(&c->request, end, x);
	c->config_fault |= fault->blame == FAULT_CONFIG;
	switch (end) {
	case EXCHANGE_NEXT: return true;
	case EXCHANGE_LAST: downstream_linger(&c->down); break;
	case EXCHANGE_NO_RESPONSE:
		if (x->close && fault->blame != FAULT_CLIENT) {
			conn_send_close(c, x);
			break;
		}
		conn_send_error(c, x->status, fault->type,
				fault->blame == FAULT_CLIENT ? CONN_REFUSED
				: x->upgrade                 ? "WebSocket proxy error"
							     : "Proxy error",
				fault->shown[0] ? fault->shown : fault->reason);
		break;
	case EXCHANGE_RESET:
		/* else the response looks whole (RFC 9112 8); a tunnel's sandbox forbids connect(2) */
		if (!x->tunnel)
			stream_disconnect(&c->down.stream);
		stream_reset(&c->down.stream);
		break;
	case EXCHANGE_AUTHORIZED:
	case EXCHANGE_TUNNEL:
	case EXCHANGE_UNDECIDED:
	case EXCHANGE_CUT:
	case EXCHANGE_GONE: break;
	}
	return false;
}

/* Forwards the request; true if another one may follow. */
static bool conn_forward(struct conn *c, size_t head_len)
{
	const struct verdict *v = &c->request.verdict;
	struct exchange x;
	enum exchange_end end;

	conn_log_page(&c->request, &c->head, &c->page);
	end = conn_authorize(c, &x, head_len);
	if (end == EXCHANGE_AUTHORIZED) {
		conn_log_forwarded(&c->request, &c->down.cfg->backend[v->backend],
				   &c->head);
		end = exchange_run(&x, &c->down, &c->head, head_len, v);
	}
	if (end == EXCHANGE_TUNNEL)
		end = conn_tunnel(c, &x);
	return conn_ended(c, &x, end);
}

/* ---- heads */

static ssize_t refuse(struct http1_fault *fault, unsigned status, const char *why)
{
	*fault = (struct http1_fault){ status, why };
	return -EBADMSG;
}

/* Says why lines_scan() has refused a head, with that error. */
static ssize_t conn_lines_fault(const struct conn *c, const struct lines_scan *scan,
				ssize_t error, struct http1_fault *fault)
{
	struct slice in = buf_slice(&c->down.in);

	if (error == -EMSGSIZE && scan->lines == 0)
		return refuse(fault, 414, "request line is longer than HeadMaxBytes=");
	if (error == -EMSGSIZE)
		return refuse(fault, 431, "request head is longer than HeadMaxBytes=");
	/* the first bytes of a TLS handshake record (RFC 8446 5.1) */
	if (!c->down.stream.tls && in.p[0] == 0x16 && (in.len == 1 || in.p[1] == 0x03))
		return refuse(
			fault, 400,
			"the client speaks TLS (https://) on the port for plain HTTP");
	return refuse(fault, 400, scan->why);
}

/*
 * Reads until a head is complete. Returns its length; 0 if there is no request, because the
 * connection was idle, closed or reset, or because of SIGTERM; or -EBADMSG with *fault set.
 */
static ssize_t conn_read_head(struct conn *c, struct http1_fault *fault)
{
	const struct config *cfg = c->down.cfg;
	struct buf *in = &c->down.in;
	struct lines_scan scan = { 0 };
	uint64_t deadline_ms = c->served
				       ? clock_deadline_ms(clock_ms(), cfg->keep_alive_ms)
				       : clock_deadline_ms(c->start_ms, cfg->head_ms);
	bool begun, head_timer_started = !c->served;
	/* an empty line has come; before the first request it counts as the beginning of its head */
	bool empty_line = false;

	for (;;) {
		ssize_t len = lines_scan(&scan, buf_slice(in), cfg->head_max);
		int r;

		if (len == 2) { /* "\r\n", RFC 9112 2.2: before a request line */
			buf_consume(in, (size_t)len);
			scan = (struct lines_scan){ 0 };
			empty_line = true;
			continue;
		}
		if (len > 0)
			return len;
		if (len != -EAGAIN)
			return conn_lines_fault(c, &scan, len, fault);
		begun = (empty_line && !c->served) || buf_len(in) > 0;
		if (begun && !head_timer_started) {
			deadline_ms = clock_deadline_ms(clock_ms(), cfg->head_ms);
			head_timer_started = true; /* empty lines do not extend it */
		}
		if (stream_ended(&c->down.stream) && begun)
			return refuse(
				fault, 400,
				"connection ended before the request head was complete");
		if (stream_ended(&c->down.stream))
			return 0;
		buf_compact(in);
		/* with empty lines in quick succession, downstream_read() never waits */
		r = empty_line && clock_ms() >= deadline_ms
			    ? -ETIMEDOUT
			    : downstream_read(&c->down, deadline_ms);
		if (r == -ETIMEDOUT && begun)
			return refuse(fault, 408,
				      "timed out waiting for the request head");
		if (r < 0)
			return 0;
	}
}

/* Serves one request; true if another one may follow. */
static bool conn_next(struct conn *c)
{
	struct http1_fault fault;
	ssize_t len = conn_read_head(c, &fault);
	struct slice in = buf_slice(&c->down.in);
	struct verdict *v = &c->request.verdict;

	if (len == 0)
		return false;
	c->is_head_method = in.len > 5 && memcmp(in.p, "HEAD ", 5) == 0;
	if (len < 0 || http1_parse_request((struct slice){ in.p, (size_t)len }, &c->head,
					   &fault) < 0) {
		conn_refuse_head(c, &fault);
		return false;
	}
	route_decide(c->down.cfg, &c->head, &c->down.client, v);
	if (c->insecure)
		route_to_https(&c->head, v);
	conn_log_begin(&c->request, c->down.cfg, c->head.method);
	if (c->setup->misconfigured) {
		conn_send_error(c, 500, "proxy_configuration_error",
				"The gate's configuration cannot be used", "see the log");
		return false;
	}
	if (v->kind == ROUTE_HEALTH) {
		conn_send_health(c);
		return false;
	}
	if (v->kind != ROUTE_PLAIN && v->kind != ROUTE_UPGRADE) {
		conn_log_refused(&c->request, &c->head,
				 route_is_https(v, &c->down.client));
		conn_send_error(c, v->status, NULL, CONN_REFUSED, v->why);
		return false;
	}
	c->served = conn_forward(c, (size_t)len);
	return c->served;
}

/* TLS with the client. Returns 0 to continue, 1 if the connection ends, or as conn_serve(). */
static int conn_secure(struct conn *c)
{
	uint64_t deadline_ms = clock_deadline_ms(c->start_ms, c->down.cfg->head_ms);
	struct tls_why why;

	switch (downstream_secure(&c->down, c->setup->tls, deadline_ms, &why)) {
	case DOWNSTREAM_TLS: return 0;
	case DOWNSTREAM_PLAIN: c->insecure = true; return 0;
	case DOWNSTREAM_GONE: return 1;
	case DOWNSTREAM_TLS_FAILED: conn_log(&c->request, LOG_TLS, 0, why.text); return 1;
	case DOWNSTREAM_MISCONFIGURED:
		conn_log(&c->request, LOG_CONFIG, 0, why.text);
		return -EBADMSG;
	case DOWNSTREAM_LOCAL_FAULT: break;
	}
	conn_log(&c->request, LOG_FAULT, 0, why.text);
	return -ENOMEM;
}

/* Reads the header of the PROXY protocol. Returns 0 to continue, or 1 if the connection ends. */
static int conn_read_proxy_header(struct conn *c)
{
	const struct config *cfg = c->down.cfg;
	uint64_t deadline_ms = clock_deadline_ms(c->start_ms, cfg->head_ms);
	struct in6_addr peer;
	const char *why;
	/* if the configuration is wrong, a 500 is all that anybody gets */
	bool trusted = c->setup->misconfigured ||
		       (network_parse_address(slice_str(c->down.client.address), &peer) &&
			network_list_contains(cfg->trusted, &peer));

	switch (downstream_read_header(&c->down, trusted, deadline_ms, &why)) {
	case DOWNSTREAM_HEADER_READ:
		conn_log_init(&c->request, c->down.client.text);
		return 0;
	case DOWNSTREAM_HEADER_REFUSED:
		conn_log(&c->request, LOG_NO_HEADER, 0, why);
		break;
	case DOWNSTREAM_HEADER_NONE: break;
	}
	return 1;
}

int conn_serve(int fd, const struct conn_setup *setup)
{
	struct conn c; /* not zeroed, since that would use pages for a large head */
	int r = downstream_open(&c.down, fd, setup->cfg, setup->client, setup->sigfd);

	c.setup = setup;
	c.down.random = &setup->random;
	c.down.null_fd = setup->null_fd;
	c.start_ms = clock_ms();
	conn_log_init(&c.request, c.down.client.text);
	c.is_head_method = c.served = c.insecure = c.config_fault = false;
	if (r < 0) {
		conn_log_fault(&c.request, "cannot set up the connection", r);
		return r;
	}
	if (setup->error < 0) {
		r = setup->error;
		conn_log_fault(&c.request, setup->failure, r);
		if (!setup->tls) /* without a handshake the client could not read it */
			conn_send_error(&c, 500, NULL,
					"The gate cannot serve this connection",
					"see the log");
	} else {
		r = setup->cfg->proxy_protocol ? conn_read_proxy_header(&c) : 0;
		if (r == 0 && setup->tls)
			r = conn_secure(&c);
		while (r == 0 && conn_next(&c))
			;
	}
	downstream_done(&c.down);
	return c.config_fault ? -EBADMSG : r < 0 ? r : 0;
}
