/* SPDX-License-Identifier: MIT */
/* relay.c: the relay runs in a thread between two sockets, the test is both of its peers. */
#include "proxy/relay.h"

#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "peers.h"
#include "still.h"
#include "testing.h"

/* More than everything between two peers holds: sockets, buffers, a pipe. */
#define MUCH     (6 * 1024 * 1024)
/* What all that may hold. */
#define BETWEEN  (3 * 1024 * 1024)
#define IN_SIZE  (64 * 1024)
#define OUT_SIZE (96 * 1024)
/* A span that does not pass in a test, and one that does, ms. */
#define LONG_MS  60000
#define SHORT_MS 60
/* Long enough that a busy machine does not let it pass between two bytes. */
#define SPAN_MS  1200

enum direction { UP, DOWN, DIRECTIONS };

/* ---- splice(2), which fails where a test says so */

enum refused { NOTHING, OUT_OF_A_SOCKET, INTO_A_SOCKET };

static enum refused refused;

ssize_t splice(int from, off64_t *from_offset, int to, off64_t *to_offset, size_t len,
	       unsigned flags)
{
	struct stat st;

	ck_assert_int_eq(fstat(from, &st), 0);
	if (refused == (S_ISSOCK(st.st_mode) ? OUT_OF_A_SOCKET : INTO_A_SOCKET)) {
		errno = EINVAL;
		return -1;
	}
	return syscall(SYS_splice, from, from_offset, to, to_offset, len, flags);
}

/* ---- a relay between two peers */

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

static struct side side_of(struct world *w, enum direction d)
{
	if (d == UP)
		return (struct side){ &w->relay.up, &w->relay.down,  &w->client,
				      &w->backend,  &w->client_peer, &w->backend_peer,
				      RELAY_UP };
	return (struct side){ &w->relay.down,   &w->relay.up,    &w->backend, &w->client,
			      &w->backend_peer, &w->client_peer, RELAY_DOWN };
}

static void world_open(struct world *w, bool tcp)
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
static void world_close(struct world *w)
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

static void world_tunnel(struct world *w)
{
	w->relay.tunnel = true;
	flow_begin(&w->relay.up, HTTP1_UNTIL_CLOSE, 0, false);
	flow_begin(&w->relay.down, HTTP1_UNTIL_CLOSE, 0, false);
}

static void *thread_run(void *userdata)
{
	struct world *w = userdata;

	w->end = relay_run(&w->relay);
	return NULL;
}

static void world_start(struct world *w)
{
	ck_assert_int_eq(pthread_create(&w->thread, NULL, thread_run, w), 0);
}

static enum relay_end world_end(struct world *w)
{
	ck_assert_int_eq(pthread_join(w->thread, NULL), 0);
	return w->end;
}

static void world_terminate(struct world *w)
{
	ck_assert_int_eq(write(w->stop[1], "T", 1), 1);
	ck_assert_int_eq(world_end(w), RELAY_TERMINATED);
}

/* The relay stops where it stands, by a SIGTERM that is taken back. */
static void world_pause(struct world *w)
{
	char byte;

	world_terminate(w);
	ck_assert_int_eq(read(w->stop[0], &byte, 1), 1);
}

/* And goes on until the tunnel rests. */
static void world_rest(struct world *w)
{
	w->relay.rest_ms = SHORT_MS;
	ck_assert_int_eq(relay_run(&w->relay), RELAY_RESTS);
	w->relay.rest_ms = CONFIG_INFINITY;
}

/* All that the backend has sent is read, up to its end. */
static void world_read_answer(struct world *w)
{
	while (!w->backend.eof)
		ck_assert_int_ge(stream_read(&w->backend, &w->buf[2]), 0);
}

static enum relay_end failed(enum direction d)
{
	return d == UP ? RELAY_CLIENT_FAILED : RELAY_BACKEND_FAILED;
}

/* What stands in a buffer. */
static void holds(const struct buf *b, const char *text)
{
	ck_assert_msg(slice_eq(buf_slice(b), slice_str(text)), "\"%.*s\" is not \"%s\"",
		      SLICE_FMT(buf_slice(b)), text);
}

/* ---- messages of some size: raw as it is sent, and the payload in it */

struct message {
	enum http1_framing framing;
	char *raw, *payload;
	size_t raw_len, len;
};

static void message_make(struct message *m, enum http1_framing framing, size_t len)
{
	uint32_t noise = 1;
	size_t n = 0;

	*m = (struct message){ framing, malloc(2 * len + 64), malloc(len), 0, len };
	for (size_t i = 0; i < len; i++) {
		noise = noise * 1664525 + 1013904223;
		m->payload[i] = (char)(noise >> 24);
	}
	if (framing != HTTP1_CHUNKED) {
		memcpy(m->raw, m->payload, len);
		m->raw_len = len;
		return;
	}
	for (size_t i = 0; i < len; i += n) { /* chunks of all sizes */
		n = 1 + i % 7919;
		n = n < len - i ? n : len - i;
		m->raw_len += (size_t)sprintf(m->raw + m->raw_len, "%zx\r\n", n);
		memcpy(m->raw + m->raw_len, m->payload + i, n);
		m->raw_len += n;
		m->raw_len += (size_t)sprintf(m->raw + m->raw_len, "\r\n");
	}
	m->raw_len += (size_t)sprintf(m->raw + m->raw_len, "0\r\n\r\n");
}

static void message_free(struct message *m)
{
	free(m->raw);
	free(m->payload);
}

/* Takes the chunks away, in place; returns the payload's length, *rest what follows it. */
static size_t unchunk(char *text, char **ret_rest)
{
	char *from = text, *to = text;

	for (;;) {
		char *end;
		size_t n = strtoul(from, &end, 16);

		ck_assert_ptr_ne(end, from);
		ck_assert_int_eq(memcmp(end, "\r\n", 2), 0);
		from = end + 2;
		if (n == 0)
			break;
		memmove(to, from, n);
		to += n;
		from += n;
		ck_assert_int_eq(memcmp(from, "\r\n", 2), 0);
		from += 2;
	}
	*ret_rest = from;
	return (size_t)(to - text);
}

/* What has gone into one end of a relay and come out of the other. */
struct traffic {
	const struct message *m;
	bool chunks; /* so it comes out */
	size_t sent, got;
	char *out;
	size_t out_size;
};

static void traffic_open(struct traffic *t, const struct message *m, bool chunks)
{
	size_t size = 2 * m->len + 4096;

	*t = (struct traffic){ m, chunks, 0, 0, malloc(size), size };
}

static bool send_some(struct traffic *t, int source)
{
	ssize_t n = send(source, t->m->raw + t->sent, t->m->raw_len - t->sent,
			 MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n < 0)
		ck_assert_int_eq(errno, EAGAIN);
	else
		t->sent += (size_t)n;
	return n > 0;
}

/* Sends until nothing between the peers takes more. */
static void stuff(struct traffic *t, int source)
{
	do {
		while (t->sent < t->m->raw_len && send_some(t, source))
			;
		still_wait();
	} while (t->sent < t->m->raw_len && send_some(t, source));
}

/* Sends what is left and receives at the same time, until all is there. */
static void pour(struct traffic *t, int source, int sink)
{
	bool all = false;

	while (!all) {
		struct pollfd p[] = {
			{ .fd = t->sent < t->m->raw_len ? source : -1,
			  .events = POLLOUT },
			{ .fd = sink, .events = POLLIN },
		};
		struct timespec patience = { PATIENCE_SEC, 0 };
		ssize_t n;

		ck_assert_int_gt(ppoll(p, 2, &patience, NULL), 0);
		if (p[0].revents)
			(void)send_some(t, source);
		if (!p[1].revents)
			continue;
		n = recv(sink, t->out + t->got, t->out_size - t->got - 1, 0);
		ck_assert_msg(n > 0, "it ended after %zu bytes", t->got);
		t->got += (size_t)n;
		t->out[t->got] = '\0';
		all = t->chunks ? t->got >= 7 && memcmp(t->out + t->got - 7,
							"\r\n0\r\n\r\n", 7) == 0
				: t->got >= t->m->len;
	}
}

/* All of it arrived and nothing else. */
static void traffic_check(struct traffic *t)
{
	char *rest;

	if (t->chunks) {
		t->got = unchunk(t->out, &rest);
		ck_assert_str_eq(rest, "\r\n");
	}
	ck_assert_uint_eq(t->got, t->m->len);
	ck_assert_int_eq(memcmp(t->out, t->m->payload, t->m->len), 0);
	free(t->out);
}

/* ---- much that goes one way through a relay */

struct haul {
	struct message m;
	struct traffic t;
	struct world w;
	struct side s;
};

/* chunks: so it comes out. */
static void haul_open(struct haul *h, enum direction d, bool tcp,
		      enum http1_framing framing, bool chunks)
{
	message_make(&h->m, framing, MUCH);
	traffic_open(&h->t, &h->m, chunks);
	world_open(&h->w, tcp);
	h->s = side_of(&h->w, d);
}

/* Through a tunnel: either way, over TCP or not, in the four runs of a loop. */
static void haul_open_tunnel(struct haul *h, int i)
{
	haul_open(h, i & 2 ? UP : DOWN, i & 1, HTTP1_UNTIL_CLOSE, false);
	world_tunnel(&h->w);
}

static void haul_pour(struct haul *h)
{
	pour(&h->t, *h->s.source, *h->s.sink);
}

/* All of it, to a sink that makes it wait. */
static void haul_pass(struct haul *h)
{
	stuff(&h->t, *h->s.source);
	haul_pour(h);
}

/* As much as there is room for on the way; that is all from here on. */
static void haul_stuff_again(struct haul *h)
{
	h->t.sent = h->t.got = 0;
	stuff(&h->t, *h->s.source);
	h->m.raw_len = h->m.len = h->t.sent;
}

static void haul_close(struct haul *h)
{
	traffic_check(&h->t);
	message_free(&h->m);
	world_close(&h->w);
}

/* Waits until the clock has moved: a span that begins now ends later than one before. */
static uint64_t later(uint64_t ms)
{
	uint64_t now_ms = stream_clock_ms(), until_ms = now_ms + ms;

	for (; now_ms < until_ms; now_ms = stream_clock_ms()) {
		struct timespec span = { 0, (long)(until_ms - now_ms) * 1000000 };

		(void)ppoll(NULL, 0, &span, NULL);
	}
	return now_ms;
}

/* ---- ends of messages */

START_TEST(a_body_of_known_length_passes_and_what_follows_stays)
{
	struct world w;
	struct side s;

	world_open(&w, false);
	s = side_of(&w, (enum direction)_i);
	flow_begin(s.flow, HTTP1_LENGTH, 10, true);
	peer_say(*s.source, "0123456789next");
	ck_assert_int_eq(relay_run(&w.relay), RELAY_DONE);
	peer_hears(*s.sink, "0123456789");
	peer_hears_nothing(*s.sink);
	holds(s.flow->in, "next");
	ck_assert_uint_eq(s.flow->bytes, 10);
	ck_assert(!s.to->shut);
	world_close(&w);
}
END_TEST

START_TEST(what_was_composed_goes_before_what_was_read)
{
	struct world w;
	struct side s;

	world_open(&w, false);
	s = side_of(&w, (enum direction)_i);
	flow_begin(s.flow, HTTP1_LENGTH, 6, true);
	ck_assert_int_eq(buf_put_slice(s.flow->out, SLICE("head, ")), 0);
	ck_assert_int_eq(buf_put_slice(s.flow->in, SLICE("body")), 0);
	peer_say(*s.source, "!!");
	ck_assert_int_eq(relay_run(&w.relay), RELAY_DONE);
	peer_hears(*s.sink, "head, body!!");
	ck_assert_uint_eq(s.flow->bytes, 6);
	world_close(&w);
}
END_TEST

START_TEST(nothing_is_read_where_no_body_is_due)
{
	struct world w;
	struct side s;

	world_open(&w, false);
	s = side_of(&w, (enum direction)_i);
	flow_begin(s.flow, HTTP1_NO_BODY, 0, true);
	peer_say(*s.source, "next");
	ck_assert_int_eq(relay_run(&w.relay), RELAY_DONE);
	peer_hears_nothing(*s.sink);
	ck_assert_uint_eq(buf_len(s.flow->in), 0);
	world_close(&w);
}
END_TEST

START_TEST(a_body_until_close_ends_with_the_stream)
{
	struct world w;

	world_open(&w, false);
	flow_begin(&w.relay.down, HTTP1_UNTIL_CLOSE, 0, false);
	world_start(&w);
	peer_say(w.backend_peer, "all there is");
	still_wait();
	peer_hears(w.client_peer, "all there is");
	peer_close(&w.backend_peer);
	ck_assert_int_eq(world_end(&w), RELAY_DONE);
	ck_assert(!w.client.shut);
	peer_hears_nothing(w.client_peer);
	world_close(&w);
}
END_TEST

/* Bytes and the end have been read before anybody knew of a body. */
START_TEST(an_end_that_was_seen_before_the_body_began_counts)
{
	static const struct {
		enum http1_framing framing;
		uint64_t length;
		const char *body, *heard;
		enum relay_end end;
	} table[] = {
		{ HTTP1_UNTIL_CLOSE, 0, "some", "some", RELAY_DONE },
		{ HTTP1_UNTIL_CLOSE, 0, "", "", RELAY_DONE },
		{ HTTP1_LENGTH, 4, "some", "some", RELAY_DONE },
		{ HTTP1_LENGTH, 5, "some", "some", RELAY_BACKEND_FAILED },
		{ HTTP1_LENGTH, 5, "", "", RELAY_BACKEND_FAILED },
		{ HTTP1_CHUNKED, 0, "4\r\nsome\r\n0\r\n\r\n", "4\r\nsome\r\n0\r\n\r\n",
		  RELAY_DONE },
		{ HTTP1_CHUNKED, 0, "4\r\nsome\r\n0\r\n", "4\r\nsome\r\n",
		  RELAY_BACKEND_FAILED },
		{ HTTP1_CHUNKED, 0, "", "", RELAY_BACKEND_FAILED },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct world w;

		world_open(&w, false);
		w.relay.down.waiting = true;
		peer_say(w.backend_peer, "H");
		peer_say(w.backend_peer, table[i].body);
		peer_close(&w.backend_peer);
		world_read_answer(&w);
		ck_assert_int_eq(relay_run(&w.relay), RELAY_INPUT);
		buf_consume(&w.buf[2], 1);
		flow_begin(&w.relay.down, table[i].framing, table[i].length, true);
		ck_assert_int_eq(relay_run(&w.relay), table[i].end);
		if (table[i].end == RELAY_BACKEND_FAILED)
			ck_assert_int_eq(w.relay.down.error, -ECONNABORTED);
		peer_hears(w.client_peer, table[i].heard);
		peer_hears_nothing(w.client_peer);
		world_close(&w);
	}
}
END_TEST

START_TEST(a_stream_that_ends_in_mid_body_has_failed)
{
	static const struct {
		enum http1_framing framing;
		const char *sent, *heard; /* in chunks of the gate's own */
	} table[] = {
		{ HTTP1_LENGTH, "123456789", "123456789" },
		{ HTTP1_LENGTH, "", "" },
		{ HTTP1_CHUNKED, "", "" },
		{ HTTP1_CHUNKED, "4", "" },
		{ HTTP1_CHUNKED, "4\r\nso", "2\r\nso\r\n" },
		{ HTTP1_CHUNKED, "4\r\nsome\r\n", "4\r\nsome\r\n" },
		{ HTTP1_CHUNKED, "4\r\nsome\r\n0\r\n", "4\r\nsome\r\n" },
		{ HTTP1_CHUNKED, "4\r\nsome\r\n0\r\nA: b\r\n", "4\r\nsome\r\n" },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct world w;
		struct side s;

		world_open(&w, false);
		s = side_of(&w, (enum direction)_i);
		flow_begin(s.flow, table[i].framing, 10, true);
		world_start(&w);
		peer_say(*s.source, table[i].sent);
		still_wait();
		peer_close(s.source);
		ck_assert_int_eq(world_end(&w), failed((enum direction)_i));
		ck_assert_int_eq(s.flow->error, -ECONNABORTED);
		peer_hears(*s.sink, table[i].heard);
		peer_hears_nothing(*s.sink); /* no last chunk above all */
		world_close(&w);
	}
}
END_TEST

/* ---- chunks */

static const char chunked[] = "4\r\nWiki\r\n"
			      "6;name=\"value\"\r\npedia \r\n"
			      "00E\r\nin \r\n\r\nchunks.\r\n"
			      "0;last\r\nX-Sum: 1\r\nA:b\r\n\r\n";
static const char unchunked[] = "Wikipedia in \r\n\r\nchunks.";

/* What has come out of the flow is the message, and that is all. */
static void hears_message(struct side s, bool rechunk)
{
	char out[4096], *rest = out;
	size_t got;

	stream_shut(s.to);
	got = peer_hears_out(*s.sink, out, sizeof(out));
	if (rechunk)
		got = unchunk(out, &rest);
	ck_assert_uint_eq(got, strlen(unchunked));
	ck_assert_int_eq(memcmp(out, unchunked, got), 0);
	if (rechunk)
		ck_assert_str_eq(rest, "X-Sum: 1\r\nA: b\r\n\r\n");
}

/* One relay gets the message in pieces that end at these two places. */
static void pass_chunks(enum direction d, bool rechunk, size_t first, size_t second)
{
	size_t len = sizeof(chunked) - 1;
	struct world w;
	struct side s;

	world_open(&w, false);
	s = side_of(&w, d);
	flow_begin(s.flow, HTTP1_CHUNKED, 0, rechunk);
	peer_send(*s.source, chunked, first);
	world_start(&w);
	still_wait();
	peer_send(*s.source, chunked + first, second - first);
	still_wait();
	ck_assert(!flow_ended(s.flow));
	peer_send(*s.source, chunked + second, len - second);
	peer_say(*s.source, "next");
	ck_assert_int_eq(world_end(&w), RELAY_DONE);
	ck_assert_uint_eq(s.flow->bytes, strlen(unchunked));
	hears_message(s, rechunk);
	stream_read(s.from, s.flow->in); /* where it has not been read with the rest */
	holds(s.flow->in, "next");
	world_close(&w);
}

START_TEST(a_chunked_body_may_be_split_anywhere)
{
	for (size_t at = 0; at < sizeof(chunked) - 1; at++)
		pass_chunks((enum direction)(_i & 1), _i & 2, at, at);
	pass_chunks((enum direction)(_i & 1), _i & 2, 1, 2);
}
END_TEST

START_TEST(a_chunked_body_may_come_byte_by_byte)
{
	struct world w;
	struct side s;

	world_open(&w, false);
	s = side_of(&w, (enum direction)_i);
	flow_begin(s.flow, HTTP1_CHUNKED, 0, true);
	world_start(&w);
	for (size_t i = 0; i < sizeof(chunked) - 1; i++) {
		peer_send(*s.source, chunked + i, 1);
		if (i < sizeof(chunked) - 2)
			still_wait();
	}
	ck_assert_int_eq(world_end(&w), RELAY_DONE);
	hears_message(s, true);
	world_close(&w);
}
END_TEST

START_TEST(what_is_no_chunk_is_a_fault_with_its_reason)
{
	static const char *const table[] = {
		"x\r\n",
		"4\r\nsomething",
		"-1\r\n",
		"0\r\nA b\r\n\r\n",
		"0\r\n folded\r\n\r\n",
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct world w;
		struct side s;

		world_open(&w, false);
		s = side_of(&w, (enum direction)_i);
		flow_begin(s.flow, HTTP1_CHUNKED, 0, true);
		peer_say(*s.source, "2\r\nok\r\n");
		peer_say(*s.source, table[i]);
		ck_assert_int_eq(relay_run(&w.relay), failed((enum direction)_i));
		ck_assert_int_eq(s.flow->error, -EBADMSG);
		ck_assert_ptr_nonnull(s.flow->body.why);
		world_close(&w);
	}
}
END_TEST

/* Whether TCP has sent what its peer has yet to acknowledge, which makes room again. */
static bool is_under_way(int fd)
{
	struct tcp_info info;
	socklen_t len = sizeof(info);

	return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) == 0 &&
	       info.tcpi_unacked > 0;
}

/* Fills a stream, so that its peer takes no more; returns with how many bytes. */
static size_t jam(struct stream *s)
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

static void unjam(int peer, size_t len)
{
	static char block[65536];

	while (len > 0) {
		ssize_t n =
			recv(peer, block, len < sizeof(block) ? len : sizeof(block), 0);

		ck_assert_int_gt(n, 0);
		len -= (size_t)n;
	}
}

START_TEST(what_came_before_a_fault_goes_out_before_it_is_told)
{
	struct world w;
	size_t jammed;

	world_open(&w, false);
	jammed = jam(&w.client);
	flow_begin(&w.relay.down, HTTP1_CHUNKED, 0, true);
	world_start(&w);
	peer_say(w.backend_peer, "2\r\nok\r\nno chunk");
	still_wait();
	unjam(w.client_peer, jammed);
	ck_assert_int_eq(world_end(&w), RELAY_BACKEND_FAILED);
	ck_assert_int_eq(w.relay.down.error, -EBADMSG);
	peer_hears(w.client_peer, "2\r\nok\r\n");
	peer_hears_nothing(w.client_peer);
	world_close(&w);
}
END_TEST

/* What was read is more than fits behind it at once, and the end has been seen. */
START_TEST(an_end_waits_for_what_is_still_to_be_decoded)
{
	struct message m;
	struct traffic t;
	struct world w;

	message_make(&m, HTTP1_CHUNKED, IN_SIZE / 2);
	traffic_open(&t, &m, true);
	world_open(&w, false);
	w.buf[3].cap = BODY_TRAILERS_MAX + 1024;
	peer_send(w.backend_peer, m.raw, m.raw_len);
	peer_close(&w.backend_peer);
	world_read_answer(&w);
	flow_begin(&w.relay.down, HTTP1_CHUNKED, 0, true);
	ck_assert_int_eq(relay_run(&w.relay), RELAY_DONE);
	t.sent = m.raw_len;
	pour(&t, -1, w.client_peer);
	traffic_check(&t);
	message_free(&m);
	world_close(&w);
}
END_TEST

/* ---- back-pressure, and all arrives */

static const struct {
	enum http1_framing framing;
	bool chunks;
} framings[] = {
	{ HTTP1_LENGTH, false },
	{ HTTP1_UNTIL_CLOSE, false },
	{ HTTP1_CHUNKED, true },
	{ HTTP1_CHUNKED, false },
};

#define FRAMINGS ((int)(sizeof(framings) / sizeof(framings[0])))

START_TEST(a_receiver_that_stalls_stalls_the_sender_and_nothing_is_lost)
{
	enum http1_framing framing = framings[_i / 2].framing;
	struct haul h;

	haul_open(&h, (enum direction)(_i % 2), false, framing, framings[_i / 2].chunks);
	flow_begin(h.s.flow, framing, MUCH, h.t.chunks);
	world_start(&h.w);
	stuff(&h.t, *h.s.source);
	ck_assert_uint_lt(h.t.sent, BETWEEN);
	ck_assert(still_asks(h.s.to->fd, POLLOUT));
	ck_assert(!still_asks(h.s.from->fd, POLLIN));
	ck_assert_uint_lt(still_calls(), 2000);
	haul_pour(&h);
	if (framing == HTTP1_UNTIL_CLOSE)
		peer_close(h.s.source);
	ck_assert_int_eq(world_end(&h.w), RELAY_DONE);
	ck_assert_uint_eq(h.s.flow->bytes, MUCH);
	peer_hears_nothing(*h.s.sink);
	haul_close(&h);
}
END_TEST

/* Without a descriptor to spare there is no pipe: then it is copied. */
START_TEST(much_goes_through_a_pipe_or_without_one)
{
	bool forbid = _i & 1, tcp = _i & 2, whole = _i & 4;
	struct rlimit saved = { 0 };
	struct haul h;

	haul_open(&h, _i & 8 ? UP : DOWN, tcp, whole ? HTTP1_LENGTH : HTTP1_UNTIL_CLOSE,
		  false);
	flow_begin(h.s.flow, h.m.framing, MUCH, false);
	if (forbid)
		saved = fds_forbid();
	world_start(&h.w);
	haul_pass(&h);
	if (!whole)
		peer_close(h.s.source);
	else
		peer_say(*h.s.source, "next");
	ck_assert_int_eq(world_end(&h.w), RELAY_DONE);
	if (forbid)
		fds_allow(saved);
	ck_assert_int_eq(h.s.flow->pipe[0] >= 0, !forbid);
	peer_hears_nothing(*h.s.sink);
	if (whole) {
		(void)stream_read(h.s.from, h.s.flow->in);
		holds(h.s.flow->in, "next");
	}
	haul_close(&h);
}
END_TEST

START_TEST(where_splice_is_refused_it_is_copied)
{
	bool whole = _i & 4;
	struct haul h;

	refused = _i & 1 ? OUT_OF_A_SOCKET : INTO_A_SOCKET;
	haul_open(&h, _i & 2 ? UP : DOWN, true, whole ? HTTP1_LENGTH : HTTP1_UNTIL_CLOSE,
		  false);
	flow_begin(h.s.flow, h.m.framing, MUCH, false);
	world_start(&h.w);
	haul_pass(&h);
	if (!whole)
		peer_close(h.s.source);
	ck_assert_int_eq(world_end(&h.w), RELAY_DONE);
	ck_assert_int_eq(h.s.flow->pipe[0], -1);
	ck_assert_uint_eq(h.s.flow->bytes, MUCH);
	haul_close(&h);
}
END_TEST

/* More pipes than a user of no privilege is given at full size (pipe(7)). */
#define PIPES 400

/* Makes them until only small ones are left (with room: or such as cannot grow); the rest is -1. */
static void pipes_use_up(bool room, int ends[PIPES][2])
{
	int size = INT32_MAX;

	if (geteuid() == 0)
		ck_assert_int_eq(setresuid(54321, 54321, 54321), 0);
	for (size_t i = 0; i < PIPES; i++) {
		ends[i][0] = ends[i][1] = -1;
		if (size < 64 * 1024)
			continue;
		ck_assert_int_eq(pipe2(ends[i], O_CLOEXEC), 0);
		(void)fcntl(ends[i][1], F_SETPIPE_SZ, 1024 * 1024);
		size = fcntl(ends[i][1], F_GETPIPE_SZ);
	}
	ck_assert_int_lt(size, 64 * 1024);
	if (room)
		ck_assert_int_gt(fcntl(ends[0][1], F_SETPIPE_SZ, 512 * 1024), 0);
}

/* What cannot grow is used as it is; two pages would take more calls than copying. */
START_TEST(where_pipes_stay_small_much_goes_all_the_same)
{
	struct haul h;
	int ends[PIPES][2];

	pipes_use_up(_i, ends);
	haul_open(&h, DOWN, true, HTTP1_LENGTH, false);
	flow_begin(h.s.flow, HTTP1_LENGTH, MUCH, false);
	world_start(&h.w);
	haul_pass(&h);
	ck_assert_int_eq(world_end(&h.w), RELAY_DONE);
	ck_assert_int_eq(h.s.flow->pipe[0] >= 0, _i);
	haul_close(&h);
	for (size_t i = 0; i < PIPES; i++) {
		fd_close_auto(&ends[i][0]);
		fd_close_auto(&ends[i][1]);
	}
}
END_TEST

START_TEST(both_directions_of_a_tunnel_carry_much_at_once)
{
	struct traffic t[DIRECTIONS];
	struct message m;
	struct world w;

	message_make(&m, HTTP1_UNTIL_CLOSE, MUCH);
	world_open(&w, _i);
	world_tunnel(&w);
	world_start(&w);
	for (enum direction d = UP; d < DIRECTIONS; d++) {
		traffic_open(&t[d], &m, false);
		stuff(&t[d], *side_of(&w, d).source);
	}
	for (enum direction d = UP; d < DIRECTIONS; d++)
		pour(&t[d], *side_of(&w, d).source, *side_of(&w, d).sink);
	peer_close(&w.client_peer);
	peer_close(&w.backend_peer);
	ck_assert_int_eq(world_end(&w), RELAY_DONE);
	traffic_check(&t[UP]);
	traffic_check(&t[DOWN]);
	message_free(&m);
	world_close(&w);
}
END_TEST

/* ---- tunnels rest */

START_TEST(a_tunnel_at_rest_has_no_pipes_and_makes_them_again)
{
	struct haul h;

	haul_open_tunnel(&h, _i);
	for (int i = 0; i < 2; i++) {
		h.t.sent = h.t.got = 0;
		world_start(&h.w);
		haul_pass(&h);
		still_wait();
		world_pause(&h.w);
		ck_assert_int_ge(h.s.flow->pipe[0], 0);
		world_rest(&h.w);
		ck_assert_int_lt(h.s.flow->pipe[0], 0);
	}
	haul_close(&h);
}
END_TEST

START_TEST(a_tunnel_rests_once_and_after_much_again)
{
	static const char much[16 * 1024] = "much";
	static char heard[sizeof(much)];
	struct world w;
	struct side s;

	world_open(&w, false);
	s = side_of(&w, _i ? UP : DOWN);
	world_tunnel(&w);
	world_rest(&w);
	w.relay.rest_ms = SHORT_MS;
	world_start(&w);
	still_wait();
	peer_say(*s.source, "little");
	peer_hears(*s.sink, "little");
	still_wait();
	ck_assert_uint_lt(still_calls(), 12);
	ck_assert_int_eq(still_timeout(), -1); /* nothing wakes it up */
	peer_send(*s.source, much, sizeof(much));
	ck_assert_int_eq(world_end(&w), RELAY_RESTS);
	ck_assert_int_eq(recv(*s.sink, heard, sizeof(heard), MSG_WAITALL), sizeof(much));
	ck_assert_int_eq(memcmp(heard, much, sizeof(much)), 0);
	world_close(&w);
}
END_TEST

START_TEST(what_is_in_a_pipe_stays_there_at_rest)
{
	struct haul h;

	haul_open_tunnel(&h, _i);
	world_start(&h.w);
	haul_pass(&h); /* there is a pipe now */
	haul_stuff_again(&h);
	world_pause(&h.w);
	ck_assert_uint_gt(h.s.flow->piped, 0);
	world_rest(&h.w);
	world_start(&h.w);
	haul_pour(&h);
	still_wait();
	world_pause(&h.w);
	if (h.s.flow->grown) /* unless room came before it rested, and all has gone on then */
		world_rest(&h.w);
	ck_assert_int_lt(h.s.flow->pipe[0], 0);
	haul_close(&h);
}
END_TEST

/* ---- tunnels end one direction at a time */

START_TEST(the_end_of_one_direction_is_passed_on_and_the_other_goes_on)
{
	struct world w;
	struct side s;

	world_open(&w, _i & 1);
	s = side_of(&w, _i & 2 ? UP : DOWN);
	world_tunnel(&w);
	world_start(&w);
	peer_say(*s.source, "last words");
	ck_assert_int_eq(shutdown(*s.source, SHUT_WR), 0);
	peer_hears(*s.sink, "last words");
	peer_hears_end(*s.sink);
	still_wait();
	for (int i = 0; i < 3; i++) {
		peer_say(*s.sink, "still here");
		peer_hears(*s.source, "still here");
	}
	peer_hears_nothing(*s.source);
	ck_assert_uint_lt(still_calls(), 30);
	peer_close(s.sink);
	ck_assert_int_eq(world_end(&w), RELAY_DONE);
	peer_hears_end(*s.source);
	ck_assert_int_eq(w.relay.first, s.first);
	world_close(&w);
}
END_TEST

START_TEST(the_end_comes_after_all_that_was_sent_before_it)
{
	struct haul h;

	haul_open_tunnel(&h, _i);
	world_start(&h.w);
	haul_pass(&h); /* there is a pipe now */
	ck_assert_int_ge(h.s.flow->pipe[0], 0);
	haul_stuff_again(&h);
	ck_assert_int_eq(shutdown(*h.s.source, SHUT_WR), 0);
	still_wait();
	haul_pour(&h);
	peer_hears_end(*h.s.sink);
	peer_close(h.s.sink);
	ck_assert_int_eq(world_end(&h.w), RELAY_DONE);
	haul_close(&h);
}
END_TEST

/* A tunnel whose one side takes nothing; the other says so much that it is not read any more. */
static size_t world_stall(struct world *w, enum direction d)
{
	struct side s = side_of(w, d);
	size_t jammed = jam(s.to);

	world_tunnel(w);
	world_start(w);
	peer_say(*s.source, "read, ");
	still_wait();
	ck_assert(!still_asks(s.from->fd, POLLIN));
	peer_say(*s.source, "unread");
	still_wait();
	return jammed;
}

/* And takes it all in the end. */
static void unstall(struct side s, size_t jammed)
{
	unjam(*s.sink, jammed);
	peer_hears(*s.sink, "read, unread");
	peer_hears_end(*s.sink);
}

START_TEST(the_end_of_a_side_that_is_not_read_begins_the_linger_span)
{
	enum direction d = _i & 2 ? UP : DOWN;
	uint64_t start_ms;
	struct world w;

	world_open(&w, _i & 1);
	w.relay.linger_ms = SPAN_MS;
	w.relay.idle_ms = LONG_MS;
	(void)world_stall(&w, d);
	start_ms = later(SPAN_MS); /* not with the last byte */
	(void)still_calls();
	ck_assert_int_eq(shutdown(*side_of(&w, d).source, SHUT_WR), 0);
	ck_assert_int_eq(world_end(&w), RELAY_LINGER_TIMEOUT);
	ck_assert_uint_ge(stream_clock_ms() - start_ms, SPAN_MS);
	ck_assert_uint_lt(still_calls(), 12);
	ck_assert_int_eq(w.relay.first, side_of(&w, d).first);
	world_close(&w);
}
END_TEST

/* At once, but not before what was sent has been passed on. */
START_TEST(without_linger_no_byte_is_lost_either)
{
	enum direction d = _i & 2 ? UP : DOWN;
	struct world w;
	struct side s;
	size_t jammed;

	world_open(&w, _i & 1);
	w.relay.linger_ms = 0;
	jammed = world_stall(&w, d);
	s = side_of(&w, d);
	ck_assert_int_eq(shutdown(*s.source, SHUT_WR), 0);
	still_wait();
	unstall(s, jammed);
	ck_assert_int_eq(world_end(&w), RELAY_LINGER_TIMEOUT);
	world_close(&w);
}
END_TEST

START_TEST(an_end_that_was_seen_early_comes_after_all_the_bytes)
{
	enum direction d = _i & 2 ? UP : DOWN;
	struct world w;
	struct side s;
	size_t jammed;

	world_open(&w, _i & 1);
	jammed = world_stall(&w, d);
	s = side_of(&w, d);
	ck_assert_int_eq(shutdown(*s.source, SHUT_WR), 0);
	still_wait();
	ck_assert_int_eq(w.relay.first, s.first);
	unstall(s, jammed);
	peer_say(*s.sink, "still here");
	peer_hears(*s.source, "still here");
	peer_close(s.sink);
	ck_assert_int_eq(world_end(&w), RELAY_DONE);
	world_close(&w);
}
END_TEST

/* A peer that is gone for good leaves a POLLHUP that no read takes away. */
START_TEST(a_hangup_is_no_busy_loop)
{
	struct world w;

	world_open(&w, false);
	if (_i == 0) { /* the client waits for its answer no more */
		w.relay.down.waiting = true;
		world_start(&w);
		peer_close(&w.client_peer);
	} else if (_i == 1) { /* a backend that is gone, a client that does not read */
		struct message m;
		struct traffic t;

		message_make(&m, HTTP1_UNTIL_CLOSE, MUCH);
		traffic_open(&t, &m, false);
		world_tunnel(&w);
		world_start(&w);
		stuff(&t, w.backend_peer);
		peer_close(&w.backend_peer);
		free(t.out);
		message_free(&m);
	} else { /* likewise, and a client that says nothing */
		world_tunnel(&w);
		world_start(&w);
		peer_close(&w.backend_peer);
	}
	still_wait();
	ck_assert_uint_lt(still_calls(), 2000);
	world_terminate(&w);
	ck_assert_uint_lt(still_calls(), 5);
	world_close(&w);
}
END_TEST

/* ---- resets */

START_TEST(a_reset_at_rest_ends_a_tunnel)
{
	struct world w;
	struct side s;

	world_open(&w, true);
	s = side_of(&w, (enum direction)_i);
	world_tunnel(&w);
	world_start(&w);
	still_wait();
	peer_reset(s.source);
	ck_assert_int_eq(world_end(&w), failed((enum direction)_i));
	ck_assert_int_eq(s.flow->error, -ECONNRESET);
	world_close(&w);
}
END_TEST

START_TEST(a_client_that_resets_while_nothing_is_asked_of_it_ends_all)
{
	struct world w;

	world_open(&w, true);
	w.relay.down.waiting = true;
	world_start(&w);
	if (_i) { /* having ended its direction before */
		flow_begin(&w.relay.up, HTTP1_NO_BODY, 0, true);
		ck_assert_int_eq(shutdown(w.client_peer, SHUT_WR), 0);
	}
	still_wait();
	peer_reset(&w.client_peer);
	ck_assert_int_eq(world_end(&w), RELAY_CLIENT_FAILED);
	ck_assert_int_eq(w.relay.up.error, -ECONNRESET);
	world_close(&w);
}
END_TEST

START_TEST(a_client_that_resets_in_mid_transfer_ends_all)
{
	enum direction d = _i & 1 ? UP : DOWN;
	struct message m;
	struct traffic t;
	struct world w;

	message_make(&m, HTTP1_UNTIL_CLOSE, MUCH);
	traffic_open(&t, &m, false);
	world_open(&w, true);
	if (_i & 2)
		world_tunnel(&w);
	else
		flow_begin(side_of(&w, d).flow, HTTP1_LENGTH, MUCH, false);
	world_start(&w);
	stuff(&t, *side_of(&w, d).source);
	peer_reset(&w.client_peer);
	ck_assert_int_eq(world_end(&w), RELAY_CLIENT_FAILED);
	ck_assert_int_lt(w.relay.up.error, 0);
	free(t.out);
	message_free(&m);
	world_close(&w);
}
END_TEST

/* ---- peers that vanish */

/* A tunnel or a body, either way. */
START_TEST(who_acknowledges_nothing_ends_it)
{
	enum direction d = (enum direction)(_i % DIRECTIONS), other = UP + DOWN - d;
	struct world w;
	struct side s;

	world_open(&w, true);
	s = side_of(&w, d);
	if (_i < DIRECTIONS)
		world_tunnel(&w);
	else
		flow_begin(s.flow, HTTP1_LENGTH, 10, false);
	w.relay.gone_ms = SHORT_MS;
	peer_vanish(*s.sink);
	peer_say(*s.source, "some");
	ck_assert_int_eq(relay_run(&w.relay), failed(other));
	ck_assert_int_eq(s.other->error, -ETIMEDOUT);
	world_close(&w);
}
END_TEST

START_TEST(who_acknowledges_and_does_not_read_ends_nothing)
{
	struct haul h;

	haul_open_tunnel(&h, 1 | _i << 1);
	h.w.relay.gone_ms = 5 * SHORT_MS;
	world_start(&h.w);
	stuff(&h.t, *h.s.source);
	/* by then the kernel probes its window less often than that */
	(void)later(50 * SHORT_MS);
	haul_pour(&h);
	world_terminate(&h.w);
	haul_close(&h);
}
END_TEST

START_TEST(no_timer_runs_once_all_is_acknowledged)
{
	struct world w;
	struct side s;

	world_open(&w, true);
	world_tunnel(&w);
	s = side_of(&w, (enum direction)_i);
	w.relay.gone_ms = SHORT_MS;
	world_start(&w);
	peer_say(*s.source, "some");
	peer_hears(*s.sink, "some");
	while (still_timeout() != -1)
		(void)later(1);
	world_terminate(&w);
	world_close(&w);
}
END_TEST

START_TEST(what_a_backend_sent_before_its_reset_is_passed_on)
{
	struct world w;

	world_open(&w, true);
	flow_begin(&w.relay.down, HTTP1_LENGTH, 100, true);
	ck_assert_int_eq(buf_put_slice(w.relay.down.out, SLICE("head, ")), 0);
	world_start(&w);
	peer_say(w.backend_peer, "part of a body");
	peer_hears(w.client_peer, "head, part of a body");
	still_wait();
	peer_reset(&w.backend_peer);
	ck_assert_int_eq(world_end(&w), RELAY_BACKEND_FAILED);
	ck_assert_int_eq(w.relay.down.error, -ECONNRESET);
	world_close(&w);
}
END_TEST

/* ---- early answers */

START_TEST(an_answer_may_come_while_the_body_is_still_coming)
{
	struct world w;

	world_open(&w, false);
	flow_begin(&w.relay.up, HTTP1_LENGTH, 10, true);
	w.relay.down.waiting = true;
	world_start(&w);
	peer_say(w.client_peer, "01234");
	peer_hears(w.backend_peer, "01234");
	peer_say(w.backend_peer, "H");
	ck_assert_int_eq(world_end(&w), RELAY_INPUT);
	buf_consume(&w.buf[2], 1);
	flow_begin(&w.relay.down, HTTP1_LENGTH, 6, true);
	world_start(&w);
	peer_say(w.backend_peer, "answer");
	peer_hears(w.client_peer, "answer");
	still_wait();
	peer_say(w.client_peer, "56789");
	ck_assert_int_eq(world_end(&w), RELAY_DONE);
	peer_hears(w.backend_peer, "56789");
	world_close(&w);
}
END_TEST

START_TEST(an_answer_may_suffice)
{
	struct world w;

	world_open(&w, false);
	flow_begin(&w.relay.up, HTTP1_LENGTH, 10, true);
	flow_begin(&w.relay.down, HTTP1_LENGTH, 6, true);
	w.relay.down_suffices = true;
	peer_say(w.backend_peer, "answer");
	ck_assert_int_eq(relay_run(&w.relay), RELAY_DONE);
	peer_hears(w.client_peer, "answer");
	world_close(&w);
}
END_TEST

/* The backend answers, then closes with some of the body unread, which resets. */
static void answer_and_reset(struct world *w, const char *answer)
{
	ck_assert_int_eq(send(w->backend.fd, "unread", 6, 0), 6);
	peer_say(w->backend_peer, answer);
	peer_close(&w->backend_peer);
	peer_say(w->client_peer, "body");
}

/* The flow up finds out first, and the answer is there all the same. */
START_TEST(an_answer_sent_before_a_reset_is_read)
{
	struct world w;

	world_open(&w, _i);
	flow_begin(&w.relay.up, HTTP1_LENGTH, 100, true);
	w.relay.down.waiting = true;
	answer_and_reset(&w, "Hanswer");
	ck_assert_int_eq(relay_run(&w.relay), RELAY_INPUT);
	ck_assert(w.relay.up.deaf);
	buf_consume(&w.buf[2], 1);
	flow_begin(&w.relay.down, HTTP1_LENGTH, 6, true);
	ck_assert_int_eq(relay_run(&w.relay), RELAY_DONE);
	peer_hears(w.client_peer, "answer");
	world_close(&w);
}
END_TEST

/* Only a reset shows that such an answer is not complete, so it must not get lost. */
START_TEST(a_reset_is_no_end_of_an_answer_until_close)
{
	struct world w;

	world_open(&w, _i);
	flow_begin(&w.relay.up, HTTP1_LENGTH, 100, true);
	flow_begin(&w.relay.down, HTTP1_UNTIL_CLOSE, 0, true);
	answer_and_reset(&w, "part of an answer");
	ck_assert_int_eq(relay_run(&w.relay), RELAY_BACKEND_FAILED);
	ck_assert(w.relay.up.deaf);
	ck_assert_int_eq(w.relay.down.error, -ECONNRESET);
	peer_hears(w.client_peer, "part of an answer");
	world_close(&w);
}
END_TEST

/* A backend that reads no more, but has not said anything yet. */
START_TEST(what_nobody_takes_is_no_busy_loop)
{
	struct world w;

	world_open(&w, false);
	flow_begin(&w.relay.up, HTTP1_LENGTH, 100, true);
	w.relay.down.waiting = true;
	ck_assert_int_eq(shutdown(w.backend_peer, SHUT_RD), 0);
	world_start(&w);
	peer_say(w.client_peer, "body");
	still_wait();
	ck_assert(w.relay.up.deaf);
	ck_assert_uint_lt(still_calls(), 10);
	peer_say(w.backend_peer, "H");
	ck_assert_int_eq(world_end(&w), RELAY_INPUT);
	world_close(&w);
}
END_TEST

/* ---- time */

static void prepare_answer(struct world *w)
{
	w->relay.answer_ms = SHORT_MS;
	w->relay.down.waiting = true;
}

static void prepare_client_gives_none(struct world *w)
{
	w->relay.body_ms = SHORT_MS;
	w->relay.down.waiting = true;
	flow_begin(&w->relay.up, HTTP1_LENGTH, 10, true);
}

static void prepare_client_gives_no_trailers(struct world *w)
{
	w->relay.body_ms = SHORT_MS;
	w->relay.down.waiting = true;
	flow_begin(&w->relay.up, HTTP1_CHUNKED, 0, true);
	peer_say(w->client_peer, "0\r\nA: b\r\n");
}

static void prepare_backend_gives_none(struct world *w)
{
	w->relay.body_ms = SHORT_MS;
	flow_begin(&w->relay.down, HTTP1_CHUNKED, 0, true);
	peer_say(w->backend_peer, "4\r\nso");
}

static void prepare_backend_takes_none(struct world *w)
{
	w->relay.body_ms = SHORT_MS;
	w->relay.down.waiting = true;
	flow_begin(&w->relay.up, HTTP1_LENGTH, 10, true);
	(void)jam(&w->backend);
	peer_say(w->client_peer, "body");
}

static void prepare_backend_is_deaf(struct world *w)
{
	prepare_answer(w);
	flow_begin(&w->relay.up, HTTP1_LENGTH, 10, true);
	ck_assert_int_eq(shutdown(w->backend_peer, SHUT_RD), 0);
	peer_say(w->client_peer, "body");
}

static void prepare_client_takes_none(struct world *w)
{
	w->relay.body_ms = SHORT_MS;
	flow_begin(&w->relay.down, HTTP1_LENGTH, 10, true);
	(void)jam(&w->client);
	peer_say(w->backend_peer, "body");
}

static void prepare_early_answer_stalls(struct world *w)
{
	w->relay.body_ms = SHORT_MS;
	flow_begin(&w->relay.up, HTTP1_LENGTH, 10, true);
	flow_begin(&w->relay.down, HTTP1_LENGTH, 6, true);
	w->relay.up.moved_ms += LONG_MS; /* that one is busy */
}

static void prepare_client_takes_nothing_of_a_dead_backend(struct world *w)
{
	prepare_client_takes_none(w);
	peer_close(&w->backend_peer);
}

static void prepare_idle(struct world *w)
{
	w->relay.idle_ms = SHORT_MS;
	world_tunnel(w);
}

static void prepare_linger_after_client(struct world *w)
{
	w->relay.linger_ms = SHORT_MS;
	world_tunnel(w);
	ck_assert_int_eq(shutdown(w->client_peer, SHUT_WR), 0);
}

static void prepare_linger_after_backend(struct world *w)
{
	w->relay.linger_ms = SHORT_MS;
	world_tunnel(w);
	peer_close(&w->backend_peer);
}

static const struct {
	void (*prepare)(struct world *w);
	enum relay_end end;
} spans[] = {
	{ prepare_answer, RELAY_ANSWER_TIMEOUT },
	{ prepare_backend_is_deaf, RELAY_ANSWER_TIMEOUT },
	{ prepare_client_gives_none, RELAY_CLIENT_TIMEOUT },
	{ prepare_client_gives_no_trailers, RELAY_CLIENT_TIMEOUT },
	{ prepare_backend_gives_none, RELAY_BACKEND_TIMEOUT },
	{ prepare_backend_takes_none, RELAY_BACKEND_TIMEOUT },
	{ prepare_client_takes_none, RELAY_CLIENT_TIMEOUT },
	{ prepare_early_answer_stalls, RELAY_BACKEND_TIMEOUT },
	{ prepare_client_takes_nothing_of_a_dead_backend, RELAY_CLIENT_TIMEOUT },
	{ prepare_idle, RELAY_IDLE_TIMEOUT },
	{ prepare_linger_after_client, RELAY_LINGER_TIMEOUT },
	{ prepare_linger_after_backend, RELAY_LINGER_TIMEOUT },
};

#define SPANS ((int)(sizeof(spans) / sizeof(spans[0])))

START_TEST(a_span_passes_once_and_not_in_a_busy_loop)
{
	uint64_t start_ms, took_ms;
	struct world w;

	world_open(&w, false);
	start_ms = stream_clock_ms();
	spans[_i].prepare(&w);
	ck_assert_int_eq(relay_run(&w.relay), spans[_i].end);
	took_ms = stream_clock_ms() - start_ms;
	ck_assert_uint_ge(took_ms, SHORT_MS);
	ck_assert_uint_lt(took_ms, LONG_MS / 2);
	ck_assert_uint_lt(still_calls(), 12);
	world_close(&w);
}
END_TEST

START_TEST(sigterm_ends_it_at_once)
{
	struct world w;

	world_open(&w, false);
	spans[_i].prepare(&w);
	w.relay.answer_ms = w.relay.body_ms = w.relay.linger_ms = w.relay.idle_ms =
		LONG_MS;
	world_start(&w);
	still_wait();
	world_terminate(&w);
	world_close(&w);
}
END_TEST

static void say_byte(struct world *w, enum direction d)
{
	peer_say(*side_of(w, d).source, "4");
	peer_hears(*side_of(w, d).sink, "4");
}

START_TEST(each_byte_begins_a_span_anew)
{
	enum direction d = (enum direction)(_i & 1);
	uint64_t last_ms = 0;
	struct world w;

	world_open(&w, false);
	if (_i & 2) {
		w.relay.idle_ms = SPAN_MS;
		world_tunnel(&w);
	} else {
		w.relay.body_ms = SPAN_MS;
		flow_begin(side_of(&w, d).flow, HTTP1_LENGTH, 10, true);
	}
	world_start(&w);
	for (int i = 0; i < 3; i++) {
		last_ms = later(SPAN_MS / 6);
		say_byte(&w, d);
	}
	ck_assert_int_eq(world_end(&w), _i & 2    ? RELAY_IDLE_TIMEOUT
					: d == UP ? RELAY_CLIENT_TIMEOUT
						  : RELAY_BACKEND_TIMEOUT);
	ck_assert_uint_ge(stream_clock_ms() - last_ms, SPAN_MS);
	world_close(&w);
}
END_TEST

/* The span for an answer begins when the last byte of the request has gone. */
START_TEST(an_answer_is_due_from_the_end_of_the_request_on)
{
	uint64_t last_ms;
	struct world w;

	world_open(&w, false);
	w.relay.answer_ms = SHORT_MS;
	w.relay.down.waiting = true;
	flow_begin(&w.relay.up, HTTP1_LENGTH, 2, true);
	world_start(&w);
	say_byte(&w, UP);
	last_ms = later(2 * SHORT_MS);
	say_byte(&w, UP);
	ck_assert_int_eq(world_end(&w), RELAY_ANSWER_TIMEOUT);
	ck_assert_uint_ge(stream_clock_ms() - last_ms, SHORT_MS);
	world_close(&w);
}
END_TEST

static TCase *part(Suite *s, const char *name)
{
	TCase *t = tcase_create(name);

	suite_add_tcase(s, t);
	tcase_set_timeout(t, 2 * PATIENCE_SEC); /* valgrind */
	return t;
}

static void add_messages(Suite *s)
{
	TCase *t = part(s, "ends of messages");

	tcase_add_loop_test(t, a_body_of_known_length_passes_and_what_follows_stays, 0,
			    2);
	tcase_add_loop_test(t, what_was_composed_goes_before_what_was_read, 0, 2);
	tcase_add_loop_test(t, nothing_is_read_where_no_body_is_due, 0, 2);
	tcase_add_test(t, a_body_until_close_ends_with_the_stream);
	tcase_add_test(t, an_end_that_was_seen_before_the_body_began_counts);
	tcase_add_loop_test(t, a_stream_that_ends_in_mid_body_has_failed, 0, 2);
	tcase_add_test(t, what_came_before_a_fault_goes_out_before_it_is_told);
	t = part(s, "chunks");
	tcase_add_test(t, an_end_waits_for_what_is_still_to_be_decoded);
	tcase_add_loop_test(t, a_chunked_body_may_be_split_anywhere, 0, 4);
	tcase_add_loop_test(t, a_chunked_body_may_come_byte_by_byte, 0, 2);
	tcase_add_loop_test(t, what_is_no_chunk_is_a_fault_with_its_reason, 0, 2);
}

static void add_flows(Suite *s)
{
	TCase *t = part(s, "much");

	tcase_add_loop_test(t,
			    a_receiver_that_stalls_stalls_the_sender_and_nothing_is_lost,
			    0, 2 * FRAMINGS);
	tcase_add_loop_test(t, much_goes_through_a_pipe_or_without_one, 0, 16);
	tcase_add_loop_test(t, where_splice_is_refused_it_is_copied, 0, 8);
	tcase_add_loop_test(t, where_pipes_stay_small_much_goes_all_the_same, 0, 2);
	tcase_add_loop_test(t, both_directions_of_a_tunnel_carry_much_at_once, 0, 2);
	t = part(s, "rest");
	tcase_add_loop_test(t, a_tunnel_at_rest_has_no_pipes_and_makes_them_again, 0, 4);
	tcase_add_loop_test(t, a_tunnel_rests_once_and_after_much_again, 0, 2);
	tcase_add_loop_test(t, what_is_in_a_pipe_stays_there_at_rest, 0, 4);
	t = part(s, "tunnels");
	tcase_add_loop_test(
		t, the_end_of_one_direction_is_passed_on_and_the_other_goes_on, 0, 4);
	tcase_add_loop_test(t, the_end_comes_after_all_that_was_sent_before_it, 0, 4);
	tcase_add_loop_test(t, the_end_of_a_side_that_is_not_read_begins_the_linger_span,
			    0, 4);
	tcase_add_loop_test(t, without_linger_no_byte_is_lost_either, 0, 4);
	tcase_add_loop_test(t, an_end_that_was_seen_early_comes_after_all_the_bytes, 0,
			    4);
	tcase_add_loop_test(t, a_hangup_is_no_busy_loop, 0, 3);
}

static void add_faults(Suite *s)
{
	TCase *t = part(s, "resets");

	tcase_add_loop_test(t, a_reset_at_rest_ends_a_tunnel, 0, 2);
	tcase_add_loop_test(t, a_client_that_resets_while_nothing_is_asked_of_it_ends_all,
			    0, 2);
	tcase_add_loop_test(t, a_client_that_resets_in_mid_transfer_ends_all, 0, 4);
	tcase_add_test(t, what_a_backend_sent_before_its_reset_is_passed_on);
	tcase_add_loop_test(t, who_acknowledges_nothing_ends_it, 0, 2 * DIRECTIONS);
	tcase_add_loop_test(t, who_acknowledges_and_does_not_read_ends_nothing, 0,
			    DIRECTIONS);
	tcase_add_loop_test(t, no_timer_runs_once_all_is_acknowledged, 0, DIRECTIONS);
	t = part(s, "early answers");
	tcase_add_test(t, an_answer_may_come_while_the_body_is_still_coming);
	tcase_add_test(t, an_answer_may_suffice);
	tcase_add_loop_test(t, an_answer_sent_before_a_reset_is_read, 0, 2);
	tcase_add_loop_test(t, a_reset_is_no_end_of_an_answer_until_close, 0, 2);
	tcase_add_test(t, what_nobody_takes_is_no_busy_loop);
	t = part(s, "time");
	tcase_add_loop_test(t, a_span_passes_once_and_not_in_a_busy_loop, 0, SPANS);
	tcase_add_loop_test(t, sigterm_ends_it_at_once, 0, SPANS);
	tcase_add_loop_test(t, each_byte_begins_a_span_anew, 0, 4);
	tcase_add_test(t, an_answer_is_due_from_the_end_of_the_request_on);
}

int main(void)
{
	Suite *s = suite_create("relay");

	(void)signal(SIGPIPE, SIG_IGN); /* as main() does */
	add_messages(s);
	add_flows(s);
	add_faults(s);
	return suite_run(s);
}
