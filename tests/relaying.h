/* SPDX-License-Identifier: MIT */
/* A relay between two peers of the test, in a thread. */
#pragma once

#include <netinet/tcp.h>
#include <signal.h>

#include "proxy/relay.h"
#include "still.h"
#include "testing.h"
#include "websocket.h"
#include "world.h"

#define IN_SIZE  (64 * 1024)
#define OUT_SIZE (96 * 1024)

/* A span that does not pass in a test, and one that does, ms. */
#define LONG_MS  60000
#define SHORT_MS 60
/* Long enough that a busy machine does not let it pass between two bytes. */
#define SPAN_MS  1200

enum direction { UP, DOWN, DIRECTIONS };

struct relaying {
	struct world world;
	struct config cfg;
	struct stream client;
	struct backend backend;
	struct upstream upstream;
	struct upstream_request request;
	struct fault fault;
	struct http1_head response;
	struct buf buf[4];
	struct relay relay;
	int client_peer, backend_peer;
	int null_fd;
	enum relay_result end;
};

/* One direction of it. */
struct side {
	struct flow *flow, *other;
	struct stream *from, *to;
	int *source, *sink;    /* the peers */
	enum tunnel_peer peer; /* the one that is the source */
};

static inline struct side side_of(struct relaying *w, enum direction d)
{
	if (d == UP)
		return (struct side){ &w->relay.up,    &w->relay.down,
				      &w->client,      &w->upstream.stream,
				      &w->client_peer, &w->backend_peer,
				      TUNNEL_CLIENT };
	return (struct side){ &w->relay.down, &w->relay.up,     &w->upstream.stream,
			      &w->client,     &w->backend_peer, &w->client_peer,
			      TUNNEL_BACKEND };
}

/* Keeps TCP from enlarging a socket's buffers until much has room in them. */
static inline void fix_room(int fd)
{
	static const int size = 256 * 1024;

	ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)), 0);
	ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)), 0);
}

static inline void relaying_open(struct relaying *w, bool tcp)
{
	static const size_t size[4] = { IN_SIZE, OUT_SIZE, IN_SIZE, OUT_SIZE };

	*w = (struct relaying){ .null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC) };
	world_open(&w->world);
	stream_pair(tcp, &w->client, &w->client_peer);
	stream_pair(tcp, &w->upstream.stream, &w->backend_peer);
	for (size_t i = 0; i < 4; i++)
		w->buf[i] = (struct buf){ .data = malloc(size[i]), .cap = size[i] };
	w->cfg.body_ms = w->cfg.linger_ms = LONG_MS;
	w->cfg.idle_ms = w->cfg.session_ms = CLOCK_INFINITY;
	w->request = (struct upstream_request){
		.response_ms = LONG_MS,
		.head_max = 1024,
		.fault = &w->fault,
	};
	w->backend.name = "backend";
	w->upstream.be = &w->backend;
	w->upstream.request = &w->request;
	w->upstream.in = &w->buf[2];
	w->upstream.out = &w->buf[1];
	w->upstream.response = &w->response;
	w->relay = (struct relay){
		.cfg = &w->cfg,
		.upstream = &w->upstream,
		.sigfd = w->world.stop[0],
		.phase = RELAY_BODY,
		.gone_ms = CLOCK_INFINITY,
	};
	flow_init(&w->relay.up, &w->client, &w->upstream.stream, &w->buf[0], &w->buf[1]);
	flow_init(&w->relay.down, &w->upstream.stream, &w->client, &w->buf[2],
		  &w->buf[3]);
	(void)still_calls();
}

/* For what fills a connection until the relay waits for room. */
static inline void relaying_fix_room(struct relaying *w)
{
	fix_room(w->client.fd);
	fix_room(w->client_peer);
	fix_room(w->upstream.stream.fd);
	fix_room(w->backend_peer);
}

static inline void relaying_close(struct relaying *w)
{
	flow_done(&w->relay.up);
	flow_done(&w->relay.down);
	stream_done(&w->client);
	stream_done(&w->upstream.stream);
	peer_close(&w->client_peer);
	peer_close(&w->backend_peer);
	peer_close(&w->null_fd);
	for (size_t i = 0; i < 4; i++)
		free(w->buf[i].data);
	world_close(&w->world);
}

static inline void relaying_tunnel(struct relaying *w)
{
	const struct tunnel_setup setup = {
		.cfg = &w->cfg,
		.random = &tunnel_random,
		.backend = w->backend.name,
		.log_id = "4711",
		.null_fd = w->null_fd,
	};

	w->relay.phase = RELAY_TUNNEL;
	tunnel_begin(&w->relay.tunnel, &setup, &w->relay.up, &w->relay.down);
	w->relay.tunnel.release_ms = CLOCK_INFINITY;
}

/* A tunnel in which bytes that are no frames have gone both ways: no frame is put into it. */
static inline void relaying_raw_tunnel(struct relaying *w)
{
	struct slice no_frame = SLICE("x");

	relaying_tunnel(w);
	(void)frames_follow(&w->relay.up.frames, no_frame);
	(void)frames_follow(&w->relay.down.frames, no_frame);
}

/* The head that a backend says, and what the relay does before it, and behind it. */
#define RESPONSE "HTTP/1.1 200 OK\r\n\r\n"

static inline void relaying_await(struct relaying *w)
{
	w->relay.phase = RELAY_REQUEST;
	w->upstream.phase = UPSTREAM_AWAITING;
	w->upstream.sent_ms = clock_ms();
}

static inline void relaying_respond(struct relaying *w, enum http1_framing framing,
				    uint64_t length, bool chunked_out)
{
	upstream_next(&w->upstream);
	w->relay.phase = RELAY_BODY;
	flow_begin(&w->relay.down, framing, length, chunked_out);
}

/* The backend may be dialled; the head that is sent then is there. */
static inline int relaying_listen(struct relaying *w)
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int listener = peer_listen("127.0.0.1", 1, &sa.sin_port);

	sa.sin_port = htons(sa.sin_port);
	memcpy(&w->backend.addr, &sa, sizeof(sa));
	w->backend.addr_len = sizeof(sa);
	w->backend.literal = true;
	w->backend.url = "http://127.0.0.1";
	w->request.connect_ms = LONG_MS;
	ck_assert_int_eq(buf_put_slice(w->upstream.out, SLICE("head")), 0);
	return listener;
}

/* Runs it in this thread. */
static inline enum relay_result relaying_go(struct relaying *w)
{
	return relay_run(&w->relay);
}

static inline void *relaying_run(void *userdata)
{
	struct relaying *w = userdata;

	w->end = relaying_go(w);
	return NULL;
}

static inline void relaying_start(struct relaying *w)
{
	world_start(&w->world, relaying_run, w);
}

static inline enum relay_result relaying_end(struct relaying *w)
{
	world_join(&w->world);
	return w->end;
}

/* The tunnel is over, and has ended so. */
static inline void relaying_tunnel_over(struct relaying *w, enum tunnel_end end)
{
	ck_assert_int_eq(relaying_end(w), RELAY_TUNNEL_OVER);
	ck_assert_int_eq(w->relay.tunnel.end, end);
}

/* SIGTERM ends it at once; a tunnel only if no frame can be put into it. */
static inline void relaying_terminate(struct relaying *w)
{
	world_terminate(&w->world);
	if (w->relay.phase == RELAY_TUNNEL)
		relaying_tunnel_over(w, TUNNEL_STOPPED);
	else
		ck_assert_int_eq(relaying_end(w), RELAY_TERMINATED);
}

/* Runs the relay until the tunnel is at rest. */
static inline void relaying_rest(struct relaying *w)
{
	w->relay.tunnel.release_ms = SHORT_MS;
	ck_assert_int_eq(relaying_go(w), RELAY_RELEASE);
	w->relay.tunnel.release_ms = CLOCK_INFINITY;
}

/* The same for a relay that waits in its thread: a byte from the sink makes it look at the time. */
static inline void relaying_end_at_rest(struct relaying *w, struct side s)
{
	w->relay.tunnel.release_ms = SHORT_MS;
	peer_say(*s.sink, "x");
	ck_assert_int_eq(relaying_end(w), RELAY_RELEASE);
	w->relay.tunnel.release_ms = CLOCK_INFINITY;
	peer_hears(*s.source, "x");
}

/* All that the backend has sent is read, up to its end. */
static inline void relaying_read_answer(struct relaying *w)
{
	while (!stream_ended(&w->upstream.stream))
		ck_assert_int_ge(stream_read(&w->upstream.stream, &w->buf[2]), 0);
}

/* The source of a body, or of one direction of a tunnel, has failed. */
static inline enum relay_result failed(enum direction d)
{
	return d == UP ? RELAY_CLIENT_FAILED : RELAY_BACKEND_FAILED;
}

static inline enum tunnel_end tunnel_failed(enum direction d)
{
	return d == UP ? TUNNEL_CLIENT_FAILED : TUNNEL_BACKEND_FAILED;
}

/* The buffer holds this text. */
static inline void holds(const struct buf *b, const char *text)
{
	ck_assert_msg(slice_eq(buf_slice(b), slice_str(text)), "\"%.*s\" is not \"%s\"",
		      SLICE_FMT(buf_slice(b)), text);
}

/* ---- a peer that takes nothing */

/* Waits until fd has room again, or TCP has found that its peer has none: then it probes for some. */
static inline bool finds_room(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	struct timespec ms = { 0, 1000000 };
	struct tcp_info info = { 0 };
	socklen_t len = sizeof(info);

	while (ppoll(&p, 1, &ms, NULL) == 0)
		if (getsockopt(fd, SOL_TCP, TCP_INFO, &info, &len) < 0 ||
		    info.tcpi_probes > 0)
			return false;
	return true;
}

/* Fills a stream, so that its peer takes no more; returns with how many bytes. */
static inline size_t jam(struct stream *s)
{
	static const char block[65536];
	static const int size = sizeof(block); /* or TCP finds more room as time passes */
	size_t sum = 0, before;
	ssize_t n;

	ck_assert_int_eq(setsockopt(s->fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)),
			 0);
	do {
		before = sum;
		while ((n = send(s->fd, block, sizeof(block), MSG_DONTWAIT)) > 0)
			sum += (size_t)n;
		ck_assert_int_eq(errno, EAGAIN);
	} while (finds_room(s->fd) || sum > before); /* poll(2) ignores a little room */
	return sum;
}

static inline void unjam(int peer, size_t len)
{
	static char block[65536];

	while (len > 0) {
		ssize_t n =
			recv(peer, block, len < sizeof(block) ? len : sizeof(block), 0);

		ck_assert_int_gt(n, 0);
		len -= (size_t)n;
	}
}

/* ---- time */

/* Waits until the clock has moved: a span that begins now ends later than one before. */
static inline uint64_t later(uint64_t ms)
{
	uint64_t now_ms = clock_ms(), until_ms = now_ms + ms;

	for (; now_ms < until_ms; now_ms = clock_ms()) {
		struct timespec span = { 0, (long)(until_ms - now_ms) * 1000000 };

		(void)ppoll(NULL, 0, &span, NULL);
	}
	return now_ms;
}

/* A suite of its own; to be run with suite_run(). */
static inline Suite *relay_suite(const char *name)
{
	(void)signal(SIGPIPE, SIG_IGN); /* as main() does */
	return suite_create(name);
}
