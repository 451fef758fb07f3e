/* SPDX-License-Identifier: MIT */
/* ctl/tcp.c: the kernel's answer about TCP connections, as it comes and cut at every byte. */
#include "ctl/tcp.h"

#include <arpa/inet.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/tcp.h>
#include <stdio.h>

#include "base/network.h"
#include "testing.h"

#define DATAGRAM_MAX 4096

/* A datagram that is put together message by message. */
struct datagram {
	_Alignas(struct nlmsghdr) char bytes[DATAGRAM_MAX];
	size_t len;
};

static struct nlmsghdr *message(struct datagram *d, uint16_t type, size_t payload)
{
	struct nlmsghdr *h = (struct nlmsghdr *)(d->bytes + d->len);

	ck_assert(d->len + NLMSG_SPACE(payload) <= sizeof(d->bytes));
	memset(h, 0, NLMSG_SPACE(payload));
	h->nlmsg_type = type;
	h->nlmsg_len = (uint32_t)NLMSG_LENGTH(payload);
	d->len += NLMSG_SPACE(payload);
	return h;
}

static void attribute(struct datagram *d, struct nlmsghdr *h, uint16_t type,
		      const void *p, size_t len)
{
	struct rtattr *a = (struct rtattr *)(d->bytes + d->len);

	ck_assert(d->len + RTA_SPACE(len) <= sizeof(d->bytes));
	memset(a, 0, RTA_SPACE(len));
	a->rta_type = type;
	a->rta_len = (uint16_t)RTA_LENGTH(len);
	memcpy(RTA_DATA(a), p, len);
	d->len += RTA_SPACE(len);
	h->nlmsg_len = (uint32_t)(d->bytes + d->len - (char *)h);
}

/* A connection from 127.0.0.1:port to 127.0.0.2:4000, with a structure of that length. */
static void connection(struct datagram *d, uint16_t port, size_t info_len)
{
	struct nlmsghdr *h =
		message(d, SOCK_DIAG_BY_FAMILY, sizeof(struct inet_diag_msg));
	struct inet_diag_msg *m = NLMSG_DATA(h);
	uint8_t shutdown = 0;
	struct {
		struct tcp_info info;
		char newer[64];
	} room = { .info = { .tcpi_bytes_acked = 1 + port,
			     .tcpi_bytes_received = 2 * port,
			     .tcpi_last_data_sent = 500,
			     .tcpi_last_data_recv = 300 } };

	m->idiag_family = AF_INET;
	m->id.idiag_sport = htons(port);
	m->id.idiag_dport = htons(4000);
	m->id.idiag_src[0] = htonl(0x7f000001);
	m->id.idiag_dst[0] = htonl(0x7f000002);
	attribute(d, h, INET_DIAG_SHUTDOWN, &shutdown, sizeof(shutdown));
	if (info_len > 0)
		attribute(d, h, INET_DIAG_INFO, &room, info_len);
}

static struct parse_ends ends_of(const char *text)
{
	struct parse_ends ends;

	ck_assert(parse_ends(slice_str(text), &ends));
	return ends;
}

START_TEST(connections_are_read_with_their_counters)
{
	struct datagram d = { .len = 0 };
	struct tcp t = { 0 };
	struct parse_ends first = ends_of("127.0.0.1:40001-127.0.0.2:4000");

	connection(&d, 40001, sizeof(struct tcp_info));
	connection(&d, 40002, sizeof(struct tcp_info) + 64); /* of a newer kernel */
	connection(&d, 40003, 0); /* without counters: left out */
	ck_assert_int_eq(tcp_parse(d.bytes, d.len, &t), 0);
	ck_assert_uint_eq(t.n, 2);
	ck_assert_int_eq(memcmp(&t.connections[0].ends, &first, sizeof(first)), 0);
	for (size_t i = 0; i < 2; i++) {
		ck_assert_uint_eq(t.connections[i].sent, 40001 + i);
		ck_assert_uint_eq(t.connections[i].received, 2 * (40001 + i));
		ck_assert_uint_eq(t.connections[i].idle_ms, 300);
	}
	tcp_done(&t);
}
END_TEST

START_TEST(an_older_kernel_leaves_the_later_counters_at_zero)
{
	struct datagram d = { .len = 0 };
	struct tcp t = { 0 };

	connection(&d, 40001, offsetof(struct tcp_info, tcpi_bytes_acked));
	ck_assert_int_eq(tcp_parse(d.bytes, d.len, &t), 0);
	ck_assert_uint_eq(t.n, 1);
	ck_assert_uint_eq(t.connections[0].sent, 0);
	ck_assert_uint_eq(t.connections[0].idle_ms, 300);
	tcp_done(&t);
}
END_TEST

START_TEST(the_last_message_ends_the_answer)
{
	struct datagram d = { .len = 0 };
	struct tcp t = { 0 };

	connection(&d, 40001, sizeof(struct tcp_info));
	(void)message(&d, NLMSG_DONE, sizeof(int));
	connection(&d, 40002, sizeof(struct tcp_info));
	ck_assert_int_eq(tcp_parse(d.bytes, d.len, &t), 1);
	ck_assert_uint_eq(t.n, 1);
	tcp_done(&t);
}
END_TEST

START_TEST(an_error_is_returned)
{
	static const int table[][2] = { { -ENOENT, -ENOENT },
					{ 0, -EBADMSG },
					{ 5, -EBADMSG } };

	for (size_t i = 0; i < LENGTH(table); i++) {
		struct datagram d = { .len = 0 };
		struct nlmsghdr *h = message(&d, NLMSG_ERROR, sizeof(struct nlmsgerr));
		struct tcp t = { 0 };

		((struct nlmsgerr *)NLMSG_DATA(h))->error = table[i][0];
		ck_assert_int_eq(tcp_parse(d.bytes, d.len, &t), table[i][1]);
		h->nlmsg_len = NLMSG_LENGTH(0); /* one without its number */
		ck_assert_int_eq(tcp_parse(d.bytes, NLMSG_LENGTH(0), &t), -EBADMSG);
	}
}
END_TEST

START_TEST(an_answer_can_be_cut_everywhere)
{
	struct datagram d = { .len = 0 };
	size_t one;

	connection(&d, 40001, sizeof(struct tcp_info));
	one = d.len;
	connection(&d, 40002, sizeof(struct tcp_info));
	(void)message(&d, NLMSG_DONE, sizeof(int));
	for (size_t n = 0; n < d.len; n++) {
		char *cut = exact(d.bytes, n);
		struct tcp t = { 0 };
		int r = tcp_parse(cut, n, &t);

		ck_assert_int_eq(r, 0);
		ck_assert_uint_eq(t.n, n < one ? 0 : n < 2 * one ? 1 : 2);
		tcp_done(&t);
		free(cut);
	}
}
END_TEST

/* Each length inside of the first connection is replaced by each wrong one: nothing is read past the end. */
START_TEST(wrong_lengths_read_nothing_past_the_end)
{
	struct datagram d = { .len = 0 };

	connection(&d, 40001, offsetof(struct tcp_info, tcpi_bytes_acked));
	for (size_t at = 0; at + 2 <= d.len; at += 2)
		for (unsigned wrong = 0; wrong < 600; wrong++) {
			char *copy = exact(d.bytes, d.len);
			struct tcp t = { 0 };
			uint16_t value = (uint16_t)wrong;

			memcpy(copy + at, &value, sizeof(value));
			(void)tcp_parse(copy, d.len, &t);
			ck_assert_uint_le(t.n, 1);
			tcp_done(&t);
			free(copy);
		}
}
END_TEST

/* ---- the real kernel */

static int listening(int family, struct sockaddr_in6 *ret)
{
	socklen_t len = sizeof(*ret);
	int fd = socket(family, SOCK_STREAM, 0);

	*ret = (struct sockaddr_in6){ .sin6_family = (sa_family_t)family };
	if (family == AF_INET6)
		ret->sin6_addr = in6addr_loopback;
	else
		((struct sockaddr_in *)ret)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || bind(fd, (struct sockaddr *)ret, sizeof(*ret)) < 0)
		return -1; /* no IPv6 here */
	ck_assert_int_eq(listen(fd, 1), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)ret, &len), 0);
	return fd;
}

static void own_connection_is_found(int family)
{
	struct sockaddr_in6 there, here;
	socklen_t len = sizeof(here);
	int listener = listening(family, &there), fd, accepted;
	const struct tcp_connection *c;
	struct parse_ends ends = { 0 };
	struct tcp t;
	char text[2][INET6_ADDRSTRLEN], both[200];

	if (listener < 0)
		return;
	fd = socket(family, SOCK_STREAM, 0);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&there, sizeof(there)), 0);
	accepted = accept(listener, NULL, NULL);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&here, &len), 0);
	ck_assert_int_eq(send(fd, "12345", 5, 0), 5);
	ck_assert_int_eq(send(accepted, "123", 3, 0), 3);
	ck_assert_int_eq(recv(fd, both, 3, MSG_WAITALL), 3);
	strcpy(text[0], family == AF_INET ? "127.0.0.1" : "[::1]");
	(void)snprintf(both, sizeof(both), "%s:%u-%s:%u", text[0], ntohs(here.sin6_port),
		       text[0], ntohs(there.sin6_port));
	ck_assert(parse_ends(slice_str(both), &ends));

	ck_assert_int_eq(tcp_read(&t), 0);
	c = tcp_find(&t, &ends);
	ck_assert_ptr_nonnull(c);
	ck_assert_uint_eq(c->sent, 5);
	ck_assert_uint_eq(c->received, 3);
	ends.local_port--;
	ck_assert_ptr_null(tcp_find(&t, &ends));
	tcp_done(&t);
	ck_assert_ptr_null(tcp_find(&t, &ends));
	close(fd);
	close(accepted);
	close(listener);
}

START_TEST(a_connection_of_our_own_is_found)
{
	own_connection_is_found(AF_INET);
	own_connection_is_found(AF_INET6);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ctl/tcp");
	TCase *t = tcase_create("tcp");
	SRunner *r = srunner_create(s);
	int failed;

	suite_add_tcase(s, t);
	tcase_add_test(t, connections_are_read_with_their_counters);
	tcase_add_test(t, an_older_kernel_leaves_the_later_counters_at_zero);
	tcase_add_test(t, the_last_message_ends_the_answer);
	tcase_add_test(t, an_error_is_returned);
	tcase_add_test(t, an_answer_can_be_cut_everywhere);
	tcase_add_test(t, wrong_lengths_read_nothing_past_the_end);
	tcase_add_test(t, a_connection_of_our_own_is_found);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
