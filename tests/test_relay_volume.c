/* SPDX-License-Identifier: MIT */
/* relay.c: much goes through it, and nothing is lost. */
#include <sys/stat.h>
#include <sys/syscall.h>

#include "traffic.h"

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
	relaying_start(&h.w);
	stuff(&h.t, h.s);
	ck_assert_uint_lt(h.t.sent, BETWEEN);
	ck_assert(still_asks(h.s.to->fd, POLLOUT));
	ck_assert(!still_asks(h.s.from->fd, POLLIN));
	ck_assert_uint_lt(still_calls(), 2000);
	haul_pour(&h);
	if (framing == HTTP1_UNTIL_CLOSE)
		peer_close(h.s.source);
	ck_assert_int_eq(relaying_end(&h.w), RELAY_DONE);
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
	relaying_start(&h.w);
	haul_pass(&h);
	if (!whole)
		peer_close(h.s.source);
	else
		peer_say(*h.s.source, "next");
	ck_assert_int_eq(relaying_end(&h.w), RELAY_DONE);
	if (forbid)
		fds_allow(saved);
	ck_assert_int_eq(h.s.flow->splicer.pipe.fd[0] >= 0, !forbid);
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
	relaying_start(&h.w);
	haul_pass(&h);
	if (!whole)
		peer_close(h.s.source);
	ck_assert_int_eq(relaying_end(&h.w), RELAY_DONE);
	ck_assert_int_eq(h.s.flow->splicer.pipe.fd[0], -1);
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

/* A pipe that cannot grow is used as it is, but not one of two pages, which takes more calls. */
START_TEST(where_pipes_stay_small_much_goes_all_the_same)
{
	struct haul h;
	int ends[PIPES][2];

	pipes_use_up(_i, ends);
	haul_open(&h, DOWN, true, HTTP1_LENGTH, false);
	flow_begin(h.s.flow, HTTP1_LENGTH, MUCH, false);
	relaying_start(&h.w);
	haul_pass(&h);
	ck_assert_int_eq(relaying_end(&h.w), RELAY_DONE);
	ck_assert_int_eq(h.s.flow->splicer.pipe.fd[0] >= 0, _i);
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
	struct relaying w;

	message_make(&m, HTTP1_UNTIL_CLOSE, MUCH);
	relaying_open(&w, _i);
	relaying_fix_room(&w);
	relaying_raw_tunnel(&w);
	relaying_start(&w);
	for (enum direction d = UP; d < DIRECTIONS; d++) {
		traffic_open(&t[d], &m, false);
		stuff(&t[d], side_of(&w, d));
	}
	for (enum direction d = UP; d < DIRECTIONS; d++)
		pour(&t[d], *side_of(&w, d).source, *side_of(&w, d).sink);
	peer_close(&w.client_peer);
	peer_close(&w.backend_peer);
	relaying_tunnel_over(&w, TUNNEL_ENDED);
	traffic_check(&t[UP]);
	traffic_check(&t[DOWN]);
	message_free(&m);
	relaying_close(&w);
}
END_TEST

int main(void)
{
	Suite *s = relay_suite("relay: volume");
	TCase *t = case_add(s, "much");

	tcase_add_loop_test(t,
			    a_receiver_that_stalls_stalls_the_sender_and_nothing_is_lost,
			    0, 2 * FRAMINGS);
	tcase_add_loop_test(t, much_goes_through_a_pipe_or_without_one, 0, 16);
	tcase_add_loop_test(t, where_splice_is_refused_it_is_copied, 0, 8);
	tcase_add_loop_test(t, where_pipes_stay_small_much_goes_all_the_same, 0, 2);
	tcase_add_loop_test(t, both_directions_of_a_tunnel_carry_much_at_once, 0, 2);
	return suite_run(s);
}
