/* SPDX-License-Identifier: MIT */
#include "check_backend.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

#include "check_say.h"
#include "proxy/error_response.h"
#include "proxy/upstream.h"

/* TLS servers react to plain HTTP with 400 or by closing the connection. */
#define CHECK_MAY_BE_TLS "; if this is a TLS port, Url= must begin with https://"

/* One request, and the head of its response. */
struct probe {
	bool report;
	const struct config *cfg;
	const struct backend *be;
	struct upstream upstream;
	struct fault fault;
	struct buf in, out;
	struct http1_head response;
};

static bool is_controller(const struct probe *p)
{
	return p->be == &p->cfg->backend[CONFIG_CONTROLLER];
}

/*
 * The peer is on this machine: both ends have the same address, or the peer's is in 127.0.0.0/8,
 * which is reached from 127.0.0.1.
 */
static bool is_local(const struct stream *s)
{
	struct sockaddr_storage own = { 0 }, peer = { 0 };
	socklen_t own_len = sizeof(own), peer_len = sizeof(peer);
	const struct sockaddr_in6 *own6 = (void *)&own, *peer6 = (void *)&peer;
	const struct sockaddr_in *own4 = (void *)&own, *peer4 = (void *)&peer;

	if (getsockname(s->fd, (struct sockaddr *)&own, &own_len) < 0 ||
	    getpeername(s->fd, (struct sockaddr *)&peer, &peer_len) < 0)
		return false;
	if (own.ss_family == AF_INET)
		return own4->sin_addr.s_addr == peer4->sin_addr.s_addr ||
		       ntohl(peer4->sin_addr.s_addr) >> IN_CLASSA_NSHIFT ==
			       IN_LOOPBACKNET;
	if (own.ss_family == AF_INET6)
		return IN6_ARE_ADDR_EQUAL(&own6->sin6_addr, &peer6->sin6_addr);
	return true; /* a Unix socket */
}

/* Waits for the upstream's events or its deadline, and takes the next step. */
static enum upstream_result probe_step(struct probe *p)
{
	struct upstream *u = &p->upstream;
	struct pollfd fds[] = { { .fd = -1 }, upstream_poll(u, true, false) };
	int r = 0;

	if (!upstream_ready(u)) {
		r = clock_wait(fds, 2, clock_ms(), upstream_deadline_ms(u));
		if (r > 0)
			upstream_note_events(u, fds[1].revents);
	}
	if (r == -ETIMEDOUT)
		return upstream_expire(u);
	if (r < 0) {
		fault_set(&p->fault, FAULT_GATE, 500, "poll: %s", strerror(-r));
		return UPSTREAM_FAILED;
	}
	return upstream_step(u);
}

/* One request on a connection of its own. Returns true with the final response's head. */
static bool probe_run(struct probe *p, const char *method)
{
	const struct config *cfg = p->cfg;
	const struct upstream_request request = {
		.new_connection = true,
		.connect_ms = cfg->connect_ms,
		/* a controller mostly gets upgrades */
		.response_ms = is_controller(p) ? cfg->upgrade_ms : cfg->response_ms,
		.head_max = cfg->head_max,
		.fault = &p->fault,
	};
	struct upstream *u = &p->upstream;
	enum upstream_result result;

	buf_reset(&p->in);
	p->out.start = 0;
	p->out.end = (size_t)snprintf(p->out.data, p->out.cap,
				      "%s / HTTP/1.1\r\nHost: %s\r\n"
				      "User-Agent: novnc-gate --check\r\n"
				      "Accept: */*\r\nConnection: close\r\n\r\n",
				      method, p->be->authority); /* fits */
	result = upstream_start(u, &request, &p->in, &p->out, &p->response);
	while (result != UPSTREAM_FAILED && u->phase != UPSTREAM_RESPONDED) {
		if (result == UPSTREAM_RESPONSE)
			upstream_next(u);
		result = probe_step(p);
	}
	if (result == UPSTREAM_FAILED || p->response.status != 101)
		return result != UPSTREAM_FAILED;
	fault_set(&p->fault, FAULT_BACKEND, 502,
		  "%s sent an invalid response: unsolicited 101", p->be->name);
	return false;
}

/* A gate sent the response to TRACE: it refuses that method itself, with its own Server field. */
static bool is_gate(const struct probe *p)
{
	const struct field *server = http1_field(&p->response, SLICE("Server"));

	return server && slice_eq(server->value, SLICE(ERROR_RESPONSE_SERVER));
}

static void print_response(const struct probe *p, unsigned status)
{
	const struct backend *be = p->be;
	const char *note = "";

	if (be->tls)
		note = be->trust.verify
			       ? "; its certificate is verified"
			       : "; its certificate is not verified (VerifyTls=no)";
	else if (status == 400)
		note = CHECK_MAY_BE_TLS;
	check_say(p->report, stdout,
		  be->tls && !be->trust.verify ? CHECK_SAY_WARNING : CHECK_SAY_GOOD,
		  be->name, be->tls && !be->trust.verify ? "set CaFile=" : "",
		  "%s: %s speaks HTTP (status %u)%s", be->name, be->url, status, note);
}

/* The key of the time limit, or a hint. */
static const char *fault_note(const struct probe *p)
{
	const struct upstream *u = &p->upstream;

	if (u->phase != UPSTREAM_AWAITING)
		return "";
	if (p->fault.status == 504)
		return is_controller(p) ? " (UpgradeTimeoutSec=)"
					: " (ResponseTimeoutSec=)";
	if (p->fault.status == 502 && buf_len(&p->in) == 0 && !p->be->tls)
		return CHECK_MAY_BE_TLS;
	return "";
}

/* The advice; the section of Url= is that of the backend. */
static const char *fault_hint(const struct probe *p)
{
	const char *type = p->fault.type ? p->fault.type : "";

	if (strncmp(type, "dns_", 4) == 0)
		return is_controller(p) ? "correct the host in Url= of [MasterController]"
					: "correct the host in Url= of [NextJs]";
	if (strncmp(type, "tls_", 4) == 0)
		return "see \"Why a TLS handshake with a backend failed\" in novnc-gate(8)";
	return is_controller(p) ? "start it, or correct Url= in [MasterController]"
				: "start Next.js, or correct Url= in [NextJs]";
}

/* Prints the reason, with the peer's bytes escaped. */
static void print_fault(const struct probe *p)
{
	char reason[4 * sizeof(p->fault.reason)];
	size_t len = 0;

	reason[0] = '\0';
	for (const char *c = p->fault.reason; *c; c++)
		len += (size_t)snprintf(reason + len, sizeof(reason) - len,
					*c < ' ' || *c > '~' ? "\\x%02x" : "%c",
					(unsigned char)*c);
	check_say(p->report, stdout, CHECK_SAY_ERROR, p->be->name, fault_hint(p),
		  "%s: %s: %s%s", p->be->name, p->be->url, reason, fault_note(p));
}

static bool probe_backend(struct probe *p)
{
	unsigned status;
	bool local;

	if (!probe_run(p, "GET")) {
		print_fault(p);
		return false;
	}
	status = p->response.status;
	local = is_local(&p->upstream.stream);
	upstream_close(&p->upstream);
	if (local && probe_run(p, "TRACE") && is_gate(p)) {
		check_say(p->report, stdout, CHECK_SAY_ERROR, p->be->name,
			  "set Url= to the port of the backend itself",
			  "%s: %s: points back to the gate itself", p->be->name,
			  p->be->url);
		return false;
	}
	print_response(p, status);
	return true;
}

bool check_backend(bool report, const struct config *cfg, enum config_backend backend)
{
	struct probe p = { .report = report, .cfg = cfg, .be = &cfg->backend[backend] };
	char request[512], *room = malloc(cfg->head_max);
	bool good;

	if (!room) {
		check_say(report, stdout, CHECK_SAY_ERROR, p.be->name, "", "%s: %s: %s",
			  p.be->name, p.be->url, strerror(errno));
		return false;
	}
	p.in = (struct buf){ .data = room, .cap = cfg->head_max };
	p.out = (struct buf){ .data = request, .cap = sizeof(request) };
	upstream_init(&p.upstream, p.be);
	good = probe_backend(&p);
	upstream_close(&p.upstream);
	free(room);
	return good;
}
