/* SPDX-License-Identifier: MIT */
/* flow.c, flow_frames.c, splicer.c: frames by chance, spliced and copied, and Pings put in between. */
#include "proxy/flow.h"

#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "websocket.h"
#include "world.h"

#define STREAM_SIZE (4 << 20)
#define IN_SIZE     (64 * 1024)

/* In Pings that are put in, and in Pongs that are left out. */
static const struct slice own = SLICE_INIT("of the gate");

/* ---- splice(2) and tee(2), which fail where a test says so */

enum refused { NOTHING, OUT_OF_A_SOCKET, INTO_A_SOCKET, INTO_NOTHING, COPIES, WAYS };

static enum refused refused;

static bool is_socket(int fd)
{
	struct stat st;

	ck_assert_int_eq(fstat(fd, &st), 0);
	return S_ISSOCK(st.st_mode);
}

static bool is_device(int fd)
{
	struct stat st;

	ck_assert_int_eq(fstat(fd, &st), 0);
	return S_ISCHR(st.st_mode);
}

ssize_t splice(int from, off64_t *from_offset, int to, off64_t *to_offset, size_t len,
	       unsigned flags)
{
	if ((refused == OUT_OF_A_SOCKET && is_socket(from)) ||
	    (refused == INTO_A_SOCKET && is_socket(to)) ||
	    (refused == INTO_NOTHING && is_device(to))) {
		errno = EINVAL;
		return -1;
	}
	return syscall(SYS_splice, from, from_offset, to, to_offset, len, flags);
}

ssize_t tee(int from, int to, size_t len, unsigned flags)
{
	if (refused == COPIES) {
		errno = ENOMEM;
		return -1;
	}
	return syscall(SYS_tee, from, to, len, flags);
}

/* ---- a pump */

/* One direction of a tunnel between two peers. */
struct pump {
	struct stream from, to;
	struct buf in, out;
	struct flow flow;
	int source, sink, null_fd;
	bool masked;
	struct written all, passed, heard; /* sent; without own Pongs; with Pings */
	size_t sent, frame_end, pings; /* the end of the frame of which a part is sent */
};

static void pump_open(struct pump *p, bool tcp, bool masked, bool splice)
{
	size_t out_size = BODY_FRAME_MAX + BODY_LAST_MAX + 64;

	*p = (struct pump){ .masked = masked, .null_fd = -1 };
	stream_pair(tcp, &p->from, &p->source);
	stream_pair(tcp, &p->to, &p->sink);
	if (splice)
		p->null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	p->in = (struct buf){ .data = malloc(IN_SIZE), .cap = IN_SIZE };
	p->out = (struct buf){ .data = malloc(out_size), .cap = out_size };
	p->all = written_open(STREAM_SIZE);
	p->passed = written_open(STREAM_SIZE);
	p->heard = written_open(2 * STREAM_SIZE);
	flow_init(&p->flow, &p->from, &p->to, &p->in, &p->out);
	flow_begin_tunnel(&p->flow, masked, p->null_fd);
	flow_expect_pong(&p->flow, own);
}

static void pump_close(struct pump *p)
{
	flow_done(&p->flow);
	stream_done(&p->from);
	stream_done(&p->to);
	peer_close(&p->source);
	peer_close(&p->sink);
	peer_close(&p->null_fd);
	free(p->in.data);
	free(p->out.data);
	written_free(&p->all);
	written_free(&p->passed);
	written_free(&p->heard);
}

/* Some frames are followed by own Pongs. A server's Close comes last, with a code that is taken off. */
static void draw_all(struct pump *p, uint64_t *seed)
{
	const unsigned char *key = p->masked ? client_key : NULL;

	p->all.size -= 100;
	for (size_t begin = 0; draw_frame(seed, &p->all, p->masked); begin = p->all.len) {
		write_bytes(&p->passed, p->all.data + begin, p->all.len - begin);
		for (size_t n = draw(seed, 4); n > 2 && p->all.size - p->all.len > 100;
		     n--)
			write_frame(&p->all, FIN | FRAMES_PONG, own.p, own.len, key);
	}
	p->all.size += 100;
	if (p->masked)
		return;
	write_text(&p->all, FIN | FRAMES_CLOSE, "\x03\xed", NULL);
	write_text(&p->passed, FIN | FRAMES_CLOSE, "", NULL);
}

/* ---- what the peers do */

static void send_some(struct pump *p, size_t n)
{
	size_t rest = p->all.len - p->sent;
	ssize_t sent = send(p->source, p->all.data + p->sent, n < rest ? n : rest,
			    MSG_DONTWAIT | MSG_NOSIGNAL);

	p->sent += sent > 0 ? (size_t)sent : 0;
	if (p->sent == p->all.len)
		ck_assert_int_eq(shutdown(p->source, SHUT_WR), 0);
}

static void hear_some(struct pump *p, size_t n)
{
	size_t room = p->heard.size - p->heard.len;
	ssize_t got = recv(p->sink, p->heard.data + p->heard.len, n < room ? n : room,
			   MSG_DONTWAIT);

	p->heard.len += got > 0 ? (size_t)got : 0;
}

/* Sends the rest of a frame, or a whole one. */
static void send_frame(struct pump *p)
{
	struct frame f;

	while (p->frame_end <= p->sent) {
		(void)read_frame(p->all.data + p->frame_end, p->all.len - p->frame_end,
				 p->masked, &f);
		p->frame_end += f.size;
	}
	send_some(p, p->frame_end - p->sent);
}

/* Steps until nothing moves. */
static void step(struct pump *p)
{
	int write_error = 0;

	p->from.can_read = p->to.can_write = true;
	while (flow_step(&p->flow, 0, &write_error))
		;
	ck_assert_int_eq(write_error, 0);
	ck_assert_int_eq(p->flow.failure, FLOW_OK);
	ck_assert(!flow_ready(&p->flow));
}

/* Other bytes may be waiting. */
static void put_ping(struct pump *p)
{
	if (!flow_between_frames(&p->flow) || buf_len(&p->out) > 0)
		return;
	flow_put(&p->flow, FRAMES_PING, own, p->masked ? tunnel_random.key : NULL);
	p->pings++;
}

/* The sender pauses at any byte, the receiver too. */
static void run(struct pump *p, uint64_t *seed)
{
	size_t rounds = 0;

	while (!flow_complete(&p->flow)) {
		if (p->sent < p->all.len && draw(seed, 2))
			send_frame(p);
		else if (p->sent < p->all.len && draw(seed, 2))
			send_some(p, 1 + draw(seed, draw(seed, 2) ? 200 : 300000));
		step(p);
		if (draw(seed, 2))
			put_ping(p);
		if (draw(seed, 2))
			hear_some(p, 1 + draw(seed, 300000));
		ck_assert_uint_lt(++rounds, 1000000);
	}
	stream_shut(&p->to);
	do {
		rounds = p->heard.len;
		hear_some(p, SIZE_MAX);
	} while (p->heard.len > rounds);
}

/* ---- what comes out */

/* The frames that were heard, but for the Pings, are those that were to be passed on. */
static void check_heard(const struct pump *p)
{
	size_t at = 0, pings = 0, passed = 0;
	struct frame f;

	for (; at < p->heard.len; at += f.size) {
		ck_assert_int_eq(
			read_frame(p->heard.data + at, p->heard.len - at, p->masked, &f),
			FRAME_WHOLE);
		if (f.first == (FIN | FRAMES_PING) && frame_says(&f, own)) {
			pings++;
			continue;
		}
		ck_assert_uint_le(f.size, p->passed.len - passed);
		ck_assert_mem_eq(p->heard.data + at, p->passed.data + passed, f.size);
		passed += f.size;
	}
	ck_assert_uint_eq(passed, p->passed.len);
	ck_assert_uint_eq(pings, p->pings);
	ck_assert_uint_gt(pings, 20);
	ck_assert_uint_eq(p->flow.bytes, passed);
}

static void pass_by_chance(int i, bool splice)
{
	uint64_t seed = (uint64_t)i + 1;
	struct pump p;

	pump_open(&p, i & 1, i & 2, splice);
	draw_all(&p, &seed);
	run(&p, &seed);
	check_heard(&p);
	if (!splice || refused == NOTHING)
		ck_assert_int_eq(p.flow.splicer.pipe.state,
				 splice ? PIPE_OPEN : PIPE_UNAVAILABLE);
	ck_assert_int_eq(p.flow.frames.state, p.masked ? FRAMES_BETWEEN : FRAMES_CLOSED);
	pump_close(&p);
}

/* Over TCP or not, from a client or a server. */
START_TEST(frames_that_are_copied_come_out_as_they_went_in)
{
	pass_by_chance(_i, false);
}
END_TEST

START_TEST(frames_that_are_spliced_come_out_as_they_went_in)
{
	refused = (enum refused)(_i / 4 % WAYS);
	pass_by_chance(_i, true);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("flow: frames");
	TCase *t = case_add(suite, "frames");
	int runs = RUNNING_ON_VALGRIND ? 4 : 12; /* four are all kinds of peers */

	(void)signal(SIGPIPE, SIG_IGN);
	tcase_add_loop_test(t, frames_that_are_copied_come_out_as_they_went_in, 0, runs);
	tcase_add_loop_test(t, frames_that_are_spliced_come_out_as_they_went_in, 0,
			    runs * WAYS);
	return suite_run(suite);
}
