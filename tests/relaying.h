/* SPDX-License-Identifier: MIT */
/* A relay between two peers of the test, in a thread. */
#ifndef NOVNC_GATE_RELAYING_H
#define NOVNC_GATE_RELAYING_H

#include <netinet/tcp.h>
#include <signal.h>

#include "peers.h"
#include "proxy/relay.h"
#include "still.h"
#include "testing.h"

#define IN_SIZE  (64 * 1024)
#define OUT_SIZE (96 * 1024)

/* A span that does not pass in a test, and one that does, ms. */
#define LONG_MS  60000
#define SHORT_MS 60
/* Long enough that a busy machine does not let it pass between two bytes. */
#define SPAN_MS  1200

enum direction { UP, DOWN, DIRECTIONS };

struct world {
	struct stream client, backend;
	struct buf buf[4];
	struct relay relay;
	int client_peer, backend_peer;
	int stop[2]; /* a pipe for a signalfd */
	pthread_t thread;
	enum relay_end end;
	int fds;
};

/* One direction of it. */
struct side {
	struct flow *flow, *other;
	struct stream *from, *to;
	int *source, *sink; /* the peers */
	enum relay_first first;
};

static inline struct side side_of(struct world *w, enum direction d)
{
	if (d == UP)
		return (struct side){ &w->relay.up, &w->relay.down,  &w->client,
				      &w->backend,  &w->client_peer, &w->backend_peer,
				      RELAY_UP };
	return (struct side){ &w->relay.down,   &w->relay.up,    &w->backend, &w->client,
			      &w->backend_peer, &w->client_peer, RELAY_DOWN };
}

static inline void world_open(struct world *w, bool tcp)
{
	static const size_t size[4] = { IN_SIZE, OUT_SIZE, IN_SIZE, OUT_SIZE };
	int fds = fds_open(), client, backend;

	*w = (struct world){ .fds = fds };
	pair_open(tcp, &client, &w->client_peer);
	pair_open(tcp, &backend, &w->backend_peer);
	ck_assert_int_eq(stream_adopt(client, &w->client), 0);
	ck_assert_int_eq(stream_adopt(backend, &w->backend), 0);
	ck_assert_int_eq(pipe2(w->stop, O_CLOEXEC), 0);
	for (size_t i = 0; i < 4; i++)
		w->buf[i] = (struct buf){ .data = malloc(size[i]), .cap = size[i] };
	w->relay = (struct relay){
		.sigfd = w->stop[0],
		.answer_ms = LONG_MS,
		.body_ms = LONG_MS,
		.linger_ms = LONG_MS,
		.idle_ms = CONFIG_INFINITY,
		.rest_ms = CONFIG_INFINITY,
		.gone_ms = CONFIG_INFINITY,
	};
	flow_init(&w->relay.up, &w->client, &w->backend, &w->buf[0], &w->buf[1]);
	flow_init(&w->relay.down, &w->backend, &w->client, &w->buf[2], &w->buf[3]);
	(void)still_calls();
}

/* Whatever happened, no descriptor is left of it. */
static inline void world_close(struct world *w)
{
	flow_done(&w->relay.up);
	flow_done(&w->relay.down);
	stream_done(&w->client);
	stream_done(&w->backend);
	peer_close(&w->client_peer);
	peer_close(&w->backend_peer);
	peer_close(&w->stop[0]);
	peer_close(&w->stop[1]);
	for (size_t i = 0; i < 4; i++)
		free(w->buf[i].data);
	ck_assert_int_eq(fds_open(), w->fds);
}

static inline void world_tunnel(struct world *w)
{
	w->relay.tunnel = true;
	flow_begin(&w->relay.up, HTTP1_UNTIL_CLOSE, 0, false);
	flow_begin(&w->relay.down, HTTP1_UNTIL_CLOSE, 0, false);
}

static inline void *thread_run(void *userdata)
{
	struct world *w = userdata;

	w->end = relay_run(&w->relay);
	return NULL;
}

static inline void world_start(struct world *w)
{
	ck_assert_int_eq(pthread_create(&w->thread, NULL, thread_run, w), 0);
}

static inline enum relay_end world_end(struct world *w)
{
	ck_assert_int_eq(pthread_join(w->thread, NULL), 0);
	return w->end;
}

static inline void world_terminate(struct world *w)
{
	ck_assert_int_eq(write(w->stop[1], "T", 1), 1);
	ck_assert_int_eq(world_end(w), RELAY_TERMINATED);
}

/* The relay stops where it stands, by a SIGTERM that is taken back. */
static inline void world_pause(struct world *w)
{
	char byte;

	world_terminate(w);
	ck_assert_int_eq(read(w->stop[0], &byte, 1), 1);
}

/* And goes on until the tunnel rests. */
static inline void world_rest(struct world *w)
{
	w->relay.rest_ms = SHORT_MS;
	ck_assert_int_eq(relay_run(&w->relay), RELAY_RESTS);
	w->relay.rest_ms = CONFIG_INFINITY;
}

/* All that the backend has sent is read, up to its end. */
static inline void world_read_answer(struct world *w)
{
	while (!w->backend.eof)
		ck_assert_int_ge(stream_read(&w->backend, &w->buf[2]), 0);
}

static inline enum relay_end failed(enum direction d)
{
	return d == UP ? RELAY_CLIENT_FAILED : RELAY_BACKEND_FAILED;
}

/* What stands in a buffer. */
static inline void holds(const struct buf *b, const char *text)
{
	ck_assert_msg(slice_eq(buf_slice(b), slice_str(text)), "\"%.*s\" is not \"%s\"",
		      SLICE_FMT(buf_slice(b)), text);
}

/* ---- a peer that takes nothing */

/* Whether TCP has sent what its peer has yet to acknowledge, which makes room again. */
static inline bool is_under_way(int fd)
{
	struct tcp_info info;
	socklen_t len = sizeof(info);

	return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) == 0 &&
	       info.tcpi_unacked > 0;
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
		while (is_under_way(s->fd))
			;
	} while (sum > before);
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
	uint64_t now_ms = stream_clock_ms(), until_ms = now_ms + ms;

	for (; now_ms < until_ms; now_ms = stream_clock_ms()) {
		struct timespec span = { 0, (long)(until_ms - now_ms) * 1000000 };

		(void)ppoll(NULL, 0, &span, NULL);
	}
	return now_ms;
}

/* ---- suites */

static inline TCase *part(Suite *s, const char *name)
{
	TCase *t = tcase_create(name);

	suite_add_tcase(s, t);
	tcase_set_timeout(t, 2 * PATIENCE_SEC); /* valgrind */
	return t;
}

/* A suite of its own; to be run with suite_run(). */
static inline Suite *relay_suite(const char *name)
{
	(void)signal(SIGPIPE, SIG_IGN); /* as main() does */
	return suite_create(name);
}

#endif
