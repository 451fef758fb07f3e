/* SPDX-License-Identifier: MIT */
#include "proxy/upstream.h"

#include "net/client.h"

#define UPSTREAM_INTERIM_MAX 100         /* interim responses to one request */
#define UPSTREAM_READ_MAX    (64 * 1024) /* bytes of one read; the rest can be spliced */
#define UPSTREAM_SHOWN_MAX   63 /* bytes of a response that is not HTTP, in an entry */

#define FAIL(u, blame, status, ...) \
	(fault_set((u)->request->fault, blame, status, __VA_ARGS__), UPSTREAM_FAILED)

/* With a type for Proxy-Status that says more than the general one. */
#define FAIL_AS(u, type, blame, status, ...)                         \
	(fault_set((u)->request->fault, blame, status, __VA_ARGS__), \
	 fault_set_type((u)->request->fault, type), UPSTREAM_FAILED)

void upstream_init(struct upstream *ret, const struct backend *be)
{
	ret->be = be;
	ret->phase = UPSTREAM_CLOSED;
	ret->stream = STREAM_NONE;
	ret->quiet = false;
}

void upstream_close(struct upstream *u)
{
	if (u->phase == UPSTREAM_DIALLING)
		dial_done(&u->dial);
	stream_done(&u->stream);
	u->stream = STREAM_NONE;
	u->phase = UPSTREAM_CLOSED;
}

/* ---- dialling */

/* The connection is established: upstream_step() sends the head in `out`. */
static enum upstream_result upstream_connected(struct upstream *u)
{
	const struct backend *be = u->be;
	const struct stream *accepted = u->request->accepted;

	if (!u->reused)
		u->stream = stream_take(&u->dial.stream);
	if (!u->reused && accepted && client_is_loop(u->stream.fd, accepted->fd))
		return FAIL_AS(u, "proxy_loop_detected", FAULT_CONFIG, 500,
			       "[%s] Url=%s points back to the gate itself", be->section,
			       be->url);
	u->phase = UPSTREAM_SENDING;
	u->sent_ms = clock_ms();
	return UPSTREAM_WAITING;
}

static enum upstream_result upstream_on_dial(struct upstream *u, enum dial_result result)
{
	const char *why = u->dial.why;

	u->dial_events = 0;
	switch (result) {
	case DIAL_WAITING: return UPSTREAM_WAITING;
	case DIAL_CONNECTED: return upstream_connected(u);
	case DIAL_MISCONFIGURED: return FAIL(u, FAULT_CONFIG, 500, "%s", why);
	case DIAL_LOCAL_FAULT: return FAIL(u, FAULT_GATE, 500, "%s", why);
	default: break;
	}
	fault_set_dial(u->request->fault, u->be->name, result, &u->dial);
	return UPSTREAM_FAILED;
}

static enum upstream_result upstream_dial(struct upstream *u)
{
	upstream_close(u);
	u->reused = false;
	u->phase = UPSTREAM_DIALLING;
	return upstream_on_dial(u, dial_begin(&u->dial, u->be, u->request->known,
					      u->request->connect_ms));
}

enum upstream_result upstream_start(struct upstream *u,
				    const struct upstream_request *request,
				    struct buf *in, struct buf *out,
				    struct http1_head *response)
{
	u->request = request;
	u->in = in;
	u->out = out;
	u->response = response;
	u->request_len = out->end;
	u->repeatable = request->repeatable;
	u->interim = 0;
	u->scan = (struct lines_scan){ 0 };
	u->reused = !request->new_connection && upstream_kept_is_good(u);
	return u->reused ? upstream_connected(u) : upstream_dial(u);
}

/*
 * The backend may close a kept connection just as it is used. Then the request is sent again on a
 * new one, unless a byte of the response has come (RFC 9112 9.3.1).
 */
static bool may_repeat(const struct upstream *u)
{
	return u->reused && u->repeatable && buf_len(u->in) == 0;
}

static enum upstream_result upstream_repeat(struct upstream *u)
{
	u->out->start = 0;
	u->out->end = u->request_len;
	return upstream_dial(u);
}

/* ---- the request */

enum upstream_result upstream_broken(struct upstream *u, int error)
{
	if (may_repeat(u))
		return upstream_repeat(u);
	fault_set_broken(u->request->fault, FAULT_BACKEND, u->be->name, &u->stream,
			 error);
	return UPSTREAM_FAILED;
}

/* True if a response may be there although a write has failed: it was sent before the close. */
static bool may_have_responded(const struct upstream *u, ssize_t error)
{
	return error == -EPIPE || error == -ECONNRESET || u->stream.input == STREAM_CUT;
}

/* Writes the rest of the head. */
static enum upstream_result upstream_send(struct upstream *u)
{
	struct buf *out = u->out;
	struct iovec iov = { .iov_base = out->data + out->start,
			     .iov_len = buf_len(out) };
	ssize_t n = stream_write(&u->stream, &iov, 1);

	if (n == -EAGAIN)
		return UPSTREAM_WAITING;
	if (n < 0 && !may_have_responded(u, n))
		return upstream_broken(u, (int)n);
	u->sent_ms = clock_ms();
	if (n >= 0 && (size_t)n < buf_len(out)) {
		buf_consume(out, (size_t)n);
		return UPSTREAM_WAITING;
	}
	out->start = out->end = 0;
	u->phase = UPSTREAM_AWAITING;
	if (n >= 0)
		stream_poll_first(&u->stream);
	return UPSTREAM_WAITING;
}

void upstream_body_sent(struct upstream *u, uint64_t now_ms)
{
	u->sent_ms = now_ms;
}

/* ---- the response */

/* The first line, up to a NUL: the next lines may have a cookie. */
static struct slice first_line(struct slice in)
{
	if (in.len > UPSTREAM_SHOWN_MAX)
		in.len = UPSTREAM_SHOWN_MAX;
	in.len = slice_find(in, '\0');
	in.len = slice_find(in, '\r');
	in.len = slice_find(in, '\n');
	return in;
}

/*
 * The first bytes are not HTTP. This is found out before the head is complete, because a server of
 * another protocol may send a greeting and then wait. After an earlier HTTP message the bytes are
 * not logged: they may be the rest of its body.
 */
static enum upstream_result upstream_not_http(struct upstream *u)
{
	struct slice in = buf_slice(u->in);
	const char *name = u->be->name, *hint = http1_foreign_hint(in);

	if (u->reused || u->interim > 0)
		return FAIL(u, FAULT_BACKEND, 502,
			    "%s sent an invalid response: no HTTP/1.1 status line", name);
	in = first_line(in);
	fault_set(u->request->fault, FAULT_BACKEND, 502,
		  "%s does not speak HTTP/1.1%s%s%.*s%s", name, hint,
		  in.len > 0 ? " (it sent \"" : "", SLICE_FMT(in),
		  in.len > 0 ? "\")" : "");
	fault_show(u->request->fault, "%s does not speak HTTP/1.1%s", name, hint);
	return UPSTREAM_FAILED;
}

/* There is no valid head; error is from lines_scan(). */
static enum upstream_result upstream_head_failed(struct upstream *u, ssize_t error)
{
	const char *name = u->be->name;

	if (error == -EMSGSIZE)
		return FAIL_AS(u, "http_response_header_section_size", FAULT_BACKEND, 502,
			       "%s sent a response head longer than HeadMaxBytes=", name);
	if (error == -EBADMSG)
		return FAIL(u, FAULT_BACKEND, 502, "%s sent an invalid response: %s",
			    name, u->scan.why);
	if (may_repeat(u))
		return upstream_repeat(u);
	return FAIL_AS(
		u,
		buf_len(u->in) > 0 ? "http_response_incomplete" : "connection_terminated",
		FAULT_BACKEND, 502, "%s closed the connection before its response%s%s",
		name, buf_len(u->in) > 0 ? " was complete" : " began",
		stream_cut_note(&u->stream));
}

/* Parses the head at the beginning of `in`, if it is complete. */
static enum upstream_result upstream_parse(struct upstream *u)
{
	struct buf *in = u->in;
	struct slice method = u->request->is_head ? SLICE("HEAD") : SLICE("GET");
	struct http1_fault fault;
	ssize_t len;

	if (!http1_may_be_response(buf_slice(in)))
		return upstream_not_http(u);
	len = lines_scan(&u->scan, buf_slice(in), u->request->head_max);
	if (len == -EAGAIN && !stream_ended(&u->stream))
		return UPSTREAM_WAITING;
	if (len < 0)
		return upstream_head_failed(u, len);
	if (http1_parse_response((struct slice){ in->data + in->start, (size_t)len },
				 method, u->response, &fault) < 0)
		return FAIL(u, FAULT_BACKEND, 502, "%s sent an invalid response: %s",
			    u->be->name, fault.why);
	if (u->response->status == 101 && u->phase == UPSTREAM_SENDING)
		return FAIL(u, FAULT_BACKEND, 502,
			    "%s sent 101 before it had read the request", u->be->name);
	if (u->response->status >= 200 || u->response->status == 101) {
		u->phase = UPSTREAM_RESPONDED;
		u->persistent = http1_persistent(u->response);
		u->keep_ms = http1_keep_alive_ms(u->response);
	} else if (u->interim++ == UPSTREAM_INTERIM_MAX) {
		return FAIL(u, FAULT_BACKEND, 502, "%s sent too many interim responses",
			    u->be->name);
	}
	u->repeatable = false; /* part of a response has come */
	return UPSTREAM_RESPONSE;
}

static enum upstream_result upstream_read(struct upstream *u)
{
	struct buf *in = u->in, part;
	ssize_t n;

	buf_compact(in);
	part = *in;
	if (buf_room(in) > UPSTREAM_READ_MAX)
		part.cap = in->end + UPSTREAM_READ_MAX;
	n = stream_read(&u->stream, &part);
	in->end = part.end;
	if (n == -EAGAIN)
		return UPSTREAM_WAITING;
	return n < 0 ? upstream_broken(u, (int)n) : upstream_parse(u);
}

/* Bytes of the next head have come with an interim response. */
static bool has_more(const struct upstream *u)
{
	return u->scan.pos < buf_len(u->in);
}

static enum upstream_result upstream_await(struct upstream *u)
{
	enum upstream_result result = UPSTREAM_WAITING;

	if (has_more(u))
		result = upstream_parse(u);
	if (result == UPSTREAM_WAITING && u->stream.can_read)
		result = upstream_read(u);
	return result;
}

bool upstream_ready(const struct upstream *u)
{
	switch (u->phase) {
	case UPSTREAM_DIALLING: return u->dial_events != 0;
	case UPSTREAM_SENDING:
		return u->stream.can_write || u->stream.can_read || has_more(u);
	case UPSTREAM_AWAITING: return u->stream.can_read || has_more(u);
	default: return false;
	}
}

enum upstream_result upstream_step(struct upstream *u)
{
	enum upstream_result result = UPSTREAM_WAITING;

	if (!upstream_ready(u))
		return UPSTREAM_WAITING;
	if (u->phase == UPSTREAM_DIALLING)
		return upstream_on_dial(u, dial_step(&u->dial, u->dial_events));
	if (u->phase == UPSTREAM_SENDING && u->stream.can_write) {
		result = upstream_send(u);
		if (u->phase != UPSTREAM_SENDING)
			return result;
	}
	/* a backend may refuse a head that its socket has no room for */
	return result == UPSTREAM_WAITING ? upstream_await(u) : result;
}

void upstream_next(struct upstream *u)
{
	buf_consume(u->in, u->scan.pos);
	u->scan = (struct lines_scan){ 0 };
}

/* ---- the caller's poll */

struct pollfd upstream_poll(const struct upstream *u, bool to_read, bool to_write)
{
	bool sends = u->phase == UPSTREAM_SENDING;
	bool reads = to_read && (sends || u->phase == UPSTREAM_AWAITING);
	bool writes = sends || to_write;

	if (u->phase == UPSTREAM_DIALLING)
		return dial_poll(&u->dial);
	return (struct pollfd){ .fd = u->stream.fd,
				.events = stream_events(&u->stream, reads, writes) };
}

void upstream_note_events(struct upstream *u, short revents)
{
	if (u->phase == UPSTREAM_DIALLING)
		u->dial_events |= revents;
	else
		stream_note_events(&u->stream, revents);
}

uint64_t upstream_deadline_ms(const struct upstream *u)
{
	switch (u->phase) {
	case UPSTREAM_DIALLING: return u->dial.deadline_ms;
	case UPSTREAM_SENDING:
	case UPSTREAM_AWAITING:
		return clock_deadline_ms(u->sent_ms, u->request->response_ms);
	default: return CLOCK_INFINITY;
	}
}

enum upstream_result upstream_expire(struct upstream *u)
{
	if (u->phase == UPSTREAM_DIALLING)
		return upstream_on_dial(u, dial_step(&u->dial, 0));
	return FAIL(u, FAULT_BACKEND, 504,
		    "timed out waiting for the response head from %s", u->be->name);
}
