/* SPDX-License-Identifier: MIT */
/* `--check`: whether a backend answers HTTP, and what comes instead. */
#include "check_backend.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

#include "http/http1.h"
#include "net/dial.h"
#include "net/wait.h"
#include "proxy/compose.h"

/* How much is shown of what is no HTTP, bytes. */
#define CHECK_SHOWN      60
/* Added to what TLS servers do when they are sent plain HTTP. */
#define CHECK_MAY_BE_TLS "; if this is a TLS port, Url= must begin with https://"

/* One request and its answer's head. */
struct probe {
	const struct config *cfg;
	const struct backend *be;
	struct stream stream;
	uint64_t deadline_ms;
	struct buf in;
	struct http1_head answer;
	char why[500]; /* with an error */
};

static int explain(struct probe *p, int r, const char *before, const char *what)
{
	(void)snprintf(p->why, sizeof(p->why), "%s: %s%s", p->be->url, before, what);
	return r;
}

/* The controller answers WebSockets, which get less time than pages. */
static bool is_controller(const struct probe *p)
{
	return p->be == &p->cfg->backend[CONFIG_CONTROLLER];
}

static int probe_wait(struct probe *p, short events)
{
	struct pollfd fds[] = { { .fd = -1 }, { .fd = p->stream.fd, .events = events } };
	int n = wait_poll(fds, 2, clock_ms(), p->deadline_ms);

	if (n == -ETIMEDOUT)
		return explain(p, -ETIMEDOUT, "timed out waiting for the response head",
			       is_controller(p) ? " (UpgradeTimeoutSec=)"
						: " (ResponseTimeoutSec=)");
	return n < 0 ? explain(p, n, "poll: ", strerror(-n)) : 0;
}

static int probe_failed(struct probe *p, int r)
{
	return explain(p, r, "connection failed: ", stream_strerror(&p->stream, r));
}

static int probe_send(struct probe *p, const char *method)
{
	char text[512];
	struct iovec iov = { .iov_base = text };
	int r = 0;

	iov.iov_len = (size_t)snprintf(text, sizeof(text),
				       "%s / HTTP/1.1\r\nHost: %s\r\n"
				       "User-Agent: novnc-gate --check\r\n"
				       "Accept: */*\r\nConnection: close\r\n\r\n",
				       method, p->be->authority); /* fits */
	while (r == 0 && iov.iov_len > 0) {
		ssize_t n = stream_write(&p->stream, &iov, 1);

		if (n == -EAGAIN) {
			r = probe_wait(p, p->stream.write_wants);
		} else if (n < 0) {
			r = probe_failed(p, (int)n);
		} else {
			iov.iov_base = (char *)iov.iov_base + n;
			iov.iov_len -= (size_t)n;
		}
	}
	return r;
}

/* Explains an answer that is no HTTP by its first line. */
static int probe_describe(struct probe *p)
{
	struct slice in = buf_slice(&p->in);
	const char *stranger = http1_stranger(in);
	char shown[4 * CHECK_SHOWN + 1];
	size_t len = 0;

	if (stranger[0])
		return explain(p, -EPROTO, "does not speak HTTP", stranger);
	for (size_t i = 0; i < in.len && i < CHECK_SHOWN; i++) {
		unsigned char c = (unsigned char)in.p[i];

		if (c == '\r' || c == '\n')
			break;
		len += (size_t)snprintf(shown + len, sizeof(shown) - len,
					c < ' ' || c > '~' ? "\\x%02x" : "%c", c);
	}
	shown[len] = '\0';
	return explain(p, -EPROTO, "does not speak HTTP: it sent ", shown);
}

/* Returns the length of the head if all of it has come, -EAGAIN, or another error. */
static ssize_t probe_look(struct probe *p, struct lines_scan *scan)
{
	ssize_t len;

	if (!http1_may_be_response(buf_slice(&p->in)))
		return probe_describe(p);
	len = lines_scan(scan, buf_slice(&p->in), p->in.cap);
	if (len == -EBADMSG)
		return explain(p, -EPROTO, "invalid response: ", scan->why);
	if (len == -EMSGSIZE)
		return explain(p, -EPROTO, "",
			       "response head is longer than HeadMaxBytes=");
	return len;
}

/* The end has come instead of an answer, or of the rest of it. */
static int probe_ended(struct probe *p, int r)
{
	if (buf_len(&p->in) > 0)
		return explain(p, r,
			       "closed the connection before its response was complete",
			       "");
	return explain(p, r, "closed the connection without a response",
		       p->be->tls ? "" : CHECK_MAY_BE_TLS);
}

static int probe_fill(struct probe *p)
{
	int r = p->stream.can_read ? 0 : probe_wait(p, p->stream.read_wants);
	ssize_t n = r == 0 ? stream_read(&p->stream, &p->in) : r;

	if (r < 0)
		return r;
	if (n == 0 || n == -ECONNRESET)
		return probe_ended(p, -ECONNRESET);
	return n < 0 && n != -EAGAIN ? probe_failed(p, (int)n) : 0;
}

/* The next head, interim or final. */
static int probe_head(struct probe *p, const char *method)
{
	struct lines_scan scan = { 0 };
	struct http1_fault fault;
	struct slice raw;
	ssize_t len;
	int r = 0;

	while (r == 0 && (len = probe_look(p, &scan)) == -EAGAIN)
		r = probe_fill(p);
	if (r < 0 || len < 0)
		return r < 0 ? r : (int)len;
	raw = (struct slice){ p->in.data, (size_t)len };
	if (http1_parse_response(raw, slice_str(method), &p->answer, &fault) < 0)
		return explain(p, -EPROTO, "invalid response: ", fault.why);
	if (p->answer.status == 101)
		return explain(p, -EPROTO, "invalid response: ", "unsolicited 101");
	return (int)len;
}

/* The final head, behind interim ones. */
static int probe_read(struct probe *p, const char *method)
{
	int r;

	while ((r = probe_head(p, method)) > 0 && p->answer.status < 200) {
		buf_consume(&p->in, (size_t)r);
		buf_compact(&p->in);
	}
	return r < 0 ? r : 0;
}

/*
 * Whether the peer is this machine: then both ends have the same address, or the peer has one of
 * 127.0.0.0/8, all of which are connected to from 127.0.0.1.
 */
static bool is_here(const struct stream *s)
{
	struct sockaddr_storage here = { 0 }, there = { 0 };
	socklen_t here_len = sizeof(here), there_len = sizeof(there);
	const struct sockaddr_in6 *here6 = (void *)&here, *there6 = (void *)&there;
	const struct sockaddr_in *here4 = (void *)&here, *there4 = (void *)&there;

	if (getsockname(s->fd, (struct sockaddr *)&here, &here_len) < 0 ||
	    getpeername(s->fd, (struct sockaddr *)&there, &there_len) < 0)
		return false;
	if (here.ss_family == AF_INET)
		return here4->sin_addr.s_addr == there4->sin_addr.s_addr ||
		       ntohl(there4->sin_addr.s_addr) >> IN_CLASSA_NSHIFT ==
			       IN_LOOPBACKNET;
	if (here.ss_family == AF_INET6)
		return memcmp(&here6->sin6_addr, &there6->sin6_addr,
			      sizeof(here6->sin6_addr)) == 0;
	return true; /* a Unix socket */
}

static int probe_dial(struct probe *p)
{
	struct pollfd fds[] = { { .fd = -1 }, { .fd = -1 } };
	struct dial d;
	enum dial_result r = dial_begin(&d, p->be, p->cfg->connect_ms);

	while (r == DIAL_WAITING) {
		int n;

		fds[1] = dial_poll(&d);
		n = wait_poll(fds, 2, clock_ms(), dial_deadline_ms(&d));
		if (n < 0 && n != -ETIMEDOUT) {
			dial_done(&d);
			return explain(p, n, "poll: ", strerror(-n));
		}
		r = dial_step(&d, fds[1].revents);
	}
	if (r == DIAL_CONNECTED) {
		p->stream = stream_take(&d.stream);
		return 0;
	}
	(void)snprintf(p->why, sizeof(p->why), "%s", d.why);
	return -EHOSTUNREACH;
}

/* One request on a connection of its own. *ret_here where the backend is on this machine. */
static int probe_run(struct probe *p, const char *method, bool *ret_here)
{
	const struct config *cfg = p->cfg;
	uint64_t answer_ms = is_controller(p) ? cfg->upgrade_ms : cfg->response_ms;
	int r;

	p->in.start = p->in.end = 0;
	p->stream = STREAM_NONE;
	r = probe_dial(p);
	p->deadline_ms = clock_deadline_ms(clock_ms(), answer_ms);
	if (r == 0) {
		*ret_here = is_here(&p->stream);
		r = probe_send(p, method);
	}
	if (r == 0)
		r = probe_read(p, method);
	stream_done(&p->stream);
	return r;
}

/*
 * Whether a gate has answered. Most requests it passes on, and then the answer is its backend's;
 * TRACE it always answers itself.
 */
static bool is_gate(const struct probe *p)
{
	const struct field *server = http1_field(&p->answer, SLICE("Server"));

	return server && slice_eq(server->value, SLICE(COMPOSE_SERVER));
}

static void print_answer(const struct backend *be, unsigned status)
{
	(void)printf("%s: %s speaks HTTP (status %u)", be->name, be->url, status);
	if (be->tls)
		(void)printf(
			be->trust.verify
				? "; its certificate is verified"
				: "; its certificate is not verified (VerifyTls=no)");
	else if (status == 400)
		(void)printf(CHECK_MAY_BE_TLS);
	(void)printf("\n");
}

int check_backend(const struct config *cfg, enum config_backend which)
{
	const struct backend *be = &cfg->backend[which];
	struct probe p = { .cfg = cfg, .be = be };
	bool here = false;
	unsigned status;
	int r;

	p.in = (struct buf){ .data = malloc(cfg->head_max), .cap = cfg->head_max };
	if (!p.in.data)
		return -ENOMEM;
	r = probe_run(&p, "GET", &here);
	status = p.answer.status;
	if (r == 0 && here && probe_run(&p, "TRACE", &here) == 0 && is_gate(&p))
		r = explain(&p, -ELOOP, "", "points back to the gate itself");
	free(p.in.data);
	if (r == 0)
		print_answer(be, status);
	else
		(void)printf("%s: %s\n", be->name, p.why);
	return r;
}
