/* SPDX-License-Identifier: MIT */
/* stream.c: one end of a socket pair. */
#include "net/stream.h"

#include <netinet/tcp.h>
#include <signal.h>

#include "testing.h"
#include "world.h"

struct end {
	struct stream s;
	int peer;
	char room[8];
	struct buf b;
};

static void end_open(struct end *e, bool tcp)
{
	int ours;

	pair_open(tcp, &ours, &e->peer);
	ck_assert_int_eq(fcntl(ours, F_SETFL, O_RDWR), 0);
	ck_assert_int_eq(stream_adopt(ours, &e->s), 0);
	ck_assert(fcntl(ours, F_GETFL) & O_NONBLOCK);
	e->b = (struct buf){ .data = e->room, .cap = sizeof(e->room) };
}

static void end_close(struct end *e)
{
	stream_done(&e->s);
	stream_done(&e->s);
	ck_assert_int_eq(e->s.fd, -1);
	peer_close(&e->peer);
}

START_TEST(what_is_no_descriptor_is_not_adopted)
{
	struct stream s;

	ck_assert_int_eq(stream_adopt(-1, &s), -EBADF);
}
END_TEST

START_TEST(a_read_tells_what_it_found)
{
	struct end e;

	end_open(&e, _i);
	ck_assert_int_eq(stream_read(&e.s, &e.b), -EAGAIN);
	ck_assert(!e.s.can_read);
	peer_say(e.peer, "12345");
	e.s.can_read = true;
	ck_assert_int_eq(stream_read(&e.s, &e.b), 5);
	ck_assert(!e.s.can_read); /* there was room for more */
	e.s.can_read = true;
	peer_say(e.peer, "678more");
	ck_assert_int_eq(stream_read(&e.s, &e.b), 3);
	ck_assert(e.s.can_read);
	ck_assert_slice_eq(buf_slice(&e.b), "12345678");
	buf_consume(&e.b, 8);
	ck_assert_int_eq(stream_read(&e.s, &e.b), 4);
	ck_assert(!stream_ended(&e.s));
	ck_assert_int_eq(shutdown(e.peer, SHUT_WR), 0);
	ck_assert_int_eq(stream_read(&e.s, &e.b), 0);
	ck_assert_int_eq(e.s.input, STREAM_EOF);
	ck_assert_slice_eq(buf_slice(&e.b), "more");
	end_close(&e);
}
END_TEST

START_TEST(a_write_takes_what_there_is_room_for)
{
	static char block[1 << 20];
	struct iovec iov[] = { { (char *)"ab", 2 }, { (char *)"cde", 3 } };
	struct iovec much = { block, sizeof(block) };
	struct end e;
	ssize_t n;

	end_open(&e, _i);
	ck_assert_int_eq(stream_write(&e.s, iov, 2), 5);
	peer_hears(e.peer, "abcde");
	ck_assert(e.s.can_write);
	do
		n = stream_write(&e.s, &much, 1);
	while (n > 0);
	ck_assert_int_eq(n, -EAGAIN);
	ck_assert(!e.s.can_write);
	ck_assert_int_eq(e.s.output, STREAM_OUT_OPEN);
	end_close(&e);
}
END_TEST

/* The signal's default action would end this process. */
START_TEST(a_write_to_nobody_is_an_error)
{
	struct iovec iov = { (char *)"ab", 2 };
	struct end e;

	end_open(&e, false);
	peer_close(&e.peer);
	ck_assert_int_eq(stream_write(&e.s, &iov, 1), -EPIPE);
	ck_assert_int_eq(stream_read(&e.s, &e.b), 0);
	end_close(&e);
}
END_TEST

START_TEST(a_reset_reaches_the_reader_even_if_a_write_was_told)
{
	struct iovec iov = { (char *)"ab", 2 };
	struct end e;

	end_open(&e, true);
	peer_say(e.peer, "12");
	peer_reset(&e.peer);
	if (_i) {
		ck_assert_int_eq(stream_write(&e.s, &iov, 1), -ECONNRESET);
		ck_assert_int_eq(e.s.output, STREAM_OUT_BROKEN);
		ck_assert_int_eq(stream_write(&e.s, &iov, 1), -EPIPE);
	}
	ck_assert_int_eq(stream_read(&e.s, &e.b), 2);
	ck_assert_int_eq(stream_read(&e.s, &e.b), -ECONNRESET);
	ck_assert(!stream_ended(&e.s));
	end_close(&e);
}
END_TEST

START_TEST(splice_moves_through_a_pipe)
{
	struct end from, to;
	int pair[2];

	end_open(&from, _i);
	end_open(&to, _i);
	ck_assert(stream_is_plain(&from.s));
	ck_assert_int_eq(pipe2(pair, O_CLOEXEC | O_NONBLOCK), 0);
	ck_assert_int_eq(stream_splice_in(&from.s, pair[1], 100), -EAGAIN);
	ck_assert(!from.s.can_read);
	from.s.can_read = true;
	peer_say(from.peer, "12345");
	ck_assert_int_eq(stream_splice_in(&from.s, pair[1], 3), 3);
	ck_assert(from.s.can_read); /* a pipe may have been too small for more */
	ck_assert_int_eq(stream_splice_in(&from.s, pair[1], 100), 2);
	ck_assert(from.s.can_read);
	ck_assert_int_eq(stream_splice_out(&to.s, pair[0], 5), 5);
	peer_hears(to.peer, "12345");
	peer_close(&from.peer);
	ck_assert_int_eq(stream_splice_in(&from.s, pair[1], 100), 0);
	ck_assert_int_eq(from.s.input, STREAM_EOF);
	close(pair[0]);
	close(pair[1]);
	end_close(&from);
	end_close(&to);
	ck_assert(!stream_is_plain(&to.s));
}
END_TEST

START_TEST(quiet_is_neither_bytes_nor_an_end)
{
	struct end e;

	for (int what = 0; what < 4; what++) {
		end_open(&e, true);
		if (what == 1)
			peer_say(e.peer, "1");
		else if (what == 2)
			peer_close(&e.peer);
		else if (what == 3)
			peer_reset(&e.peer);
		ck_assert_int_eq(stream_is_quiet(&e.s), what == 0);
		if (what == 1) /* a look takes nothing */
			ck_assert_int_eq(stream_read(&e.s, &e.b), 1);
		end_close(&e);
	}
}
END_TEST

START_TEST(shut_ends_one_direction)
{
	struct end e;

	end_open(&e, _i);
	stream_shut(&e.s);
	stream_shut(&e.s);
	ck_assert_int_eq(e.s.output, STREAM_OUT_SHUT);
	peer_hears_end(e.peer);
	peer_say(e.peer, "123");
	ck_assert_int_eq(stream_read(&e.s, &e.b), 3);
	end_close(&e);
	stream_shut(&e.s);
}
END_TEST

START_TEST(done_is_an_end_and_reset_is_none)
{
	struct end e;

	end_open(&e, true);
	stream_done(&e.s);
	peer_hears_end(e.peer);
	end_close(&e);
	end_open(&e, true);
	stream_reset(&e.s);
	stream_reset(&e.s);
	peer_hears_reset(e.peer);
	end_close(&e);
}
END_TEST

/* A backend's machine that has gone away without a word is found out. */
START_TEST(a_silent_peer_is_probed_once_asked)
{
	struct stream s;
	int peer;

	stream_pair(true, &s, &peer);
	ck_assert_int_eq(option_of(s.fd, SOL_SOCKET, SO_KEEPALIVE), 0);
	stream_keep_alive(&s);
	ck_assert_int_eq(option_of(s.fd, SOL_SOCKET, SO_KEEPALIVE), 1);
	ck_assert_int_le(option_of(s.fd, IPPROTO_TCP, TCP_KEEPIDLE), 120);
	ck_assert_int_le(option_of(s.fd, IPPROTO_TCP, TCP_KEEPINTVL), 30);
	ck_assert_int_le(option_of(s.fd, IPPROTO_TCP, TCP_KEEPCNT), 9);
	ck_assert_int_eq(
		setsockopt(s.fd, IPPROTO_TCP, TCP_KEEPIDLE, &(int){ 7 }, sizeof(int)), 0);
	stream_keep_alive(&s); /* as the socket unit has set it */
	ck_assert_int_eq(option_of(s.fd, IPPROTO_TCP, TCP_KEEPIDLE), 7);
	stream_done(&s);
	peer_close(&peer);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("stream");
	TCase *t = case_add(s, "stream");

	(void)signal(SIGPIPE, SIG_IGN); /* as main() does */
	tcase_add_test(t, what_is_no_descriptor_is_not_adopted);
	tcase_add_loop_test(t, a_read_tells_what_it_found, 0, 2);
	tcase_add_loop_test(t, a_write_takes_what_there_is_room_for, 0, 2);
	tcase_add_test(t, a_write_to_nobody_is_an_error);
	tcase_add_loop_test(t, a_reset_reaches_the_reader_even_if_a_write_was_told, 0, 2);
	tcase_add_loop_test(t, splice_moves_through_a_pipe, 0, 2);
	tcase_add_test(t, quiet_is_neither_bytes_nor_an_end);
	tcase_add_loop_test(t, shut_ends_one_direction, 0, 2);
	tcase_add_test(t, done_is_an_end_and_reset_is_none);
	tcase_add_test(t, a_silent_peer_is_probed_once_asked);
	return suite_run(s);
}
