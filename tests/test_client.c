/* SPDX-License-Identifier: MIT */
/* client.c: who is at the other end of a descriptor. */
#include "net/client.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "testing.h"

/* The port of a socket's own end. */
static unsigned own_port(int fd)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);

	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&ss, &len), 0);
	return ntohs(ss.ss_family == AF_INET ? ((struct sockaddr_in *)&ss)->sin_port
					     : ((struct sockaddr_in6 *)&ss)->sin6_port);
}

/* Listens at a free port of that address; -1 where the system has no such address. */
static int listener_open(const char *address)
{
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };
	struct sockaddr_in v4 = { .sin_family = AF_INET };
	bool is_v4 = inet_pton(AF_INET, address, &v4.sin_addr) == 1;
	int fd = socket(is_v4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0),
	    off = 0;

	if (!is_v4) {
		ck_assert_int_eq(inet_pton(AF_INET6, address, &v6.sin6_addr), 1);
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
	}
	if (fd < 0 || bind(fd, is_v4 ? (struct sockaddr *)&v4 : (struct sockaddr *)&v6,
			   is_v4 ? sizeof(v4) : sizeof(v6)) < 0) {
		printf("SKIP: %s: %s\n", address, strerror(errno));
		fd_close_auto(&fd);
		return -1;
	}
	ck_assert_int_eq(listen(fd, 1), 0);
	return fd;
}

/* A connection to that address: [0] is the client's end, [1] what was accepted. */
static bool connection(const char *address, int pair[2])
{
	AUTO_FD int listener = listener_open(address);
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);

	if (listener < 0)
		return false;
	ck_assert_int_eq(getsockname(listener, (struct sockaddr *)&ss, &len), 0);
	pair[0] = socket(ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(connect(pair[0], (struct sockaddr *)&ss, len), 0);
	pair[1] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	ck_assert_int_ge(pair[1], 0);
	return true;
}

static void close_pair(const int pair[2])
{
	close(pair[0]);
	close(pair[1]);
}

static void expect_client(int fd, const char *address, const char *text)
{
	struct client c;

	memset(&c, 0xa5, sizeof(c));
	ck_assert_int_eq(client_identify(fd, &c), CLIENT_CONNECTED);
	ck_assert_str_eq(c.address, address);
	ck_assert_str_eq(c.text, text);
}

/* The result is left alone where there is none. */
static void expect_none(int fd, enum client_peer r)
{
	struct client c = { .address = "before", .text = "before" };

	ck_assert_int_eq(client_identify(fd, &c), r);
	ck_assert_str_eq(c.address, "before");
	ck_assert_str_eq(c.text, "before");
}

START_TEST(an_ipv4_client_is_its_address_and_port)
{
	char text[64];
	int pair[2];

	if (!connection("127.0.0.1", pair))
		return;
	(void)snprintf(text, sizeof(text), "127.0.0.1:%u", own_port(pair[0]));
	expect_client(pair[1], "127.0.0.1", text);
	close_pair(pair);
}
END_TEST

START_TEST(an_ipv6_client_has_brackets_before_its_port)
{
	char text[64];
	int pair[2];

	if (!connection("::1", pair))
		return;
	(void)snprintf(text, sizeof(text), "[::1]:%u", own_port(pair[0]));
	expect_client(pair[1], "::1", text);
	close_pair(pair);
}
END_TEST

START_TEST(an_ipv4_client_of_an_ipv6_socket_is_ipv4)
{
	char text[64];
	int pair[2];

	if (!connection("::ffff:127.0.0.1", pair))
		return;
	(void)snprintf(text, sizeof(text), "127.0.0.1:%u", own_port(pair[0]));
	expect_client(pair[1], "127.0.0.1", text);
	close_pair(pair);
}
END_TEST

START_TEST(a_local_client_has_no_address)
{
	int pair[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	expect_client(pair[1], "", "local");
	close_pair(pair);
}
END_TEST

START_TEST(a_client_that_a_proxy_names_replaces_the_peer)
{
	static const struct {
		const char *address, *shown, *text;
		uint16_t port;
	} table[] = {
		{ "::ffff:192.0.2.1", "192.0.2.1", "192.0.2.1:51234", 51234 },
		{ "2001:db8::1", "2001:db8::1", "[2001:db8::1]:0", 0 },
		{ "2001:db8:1111:2222:3333:4444:5555:6666",
		  "2001:db8:1111:2222:3333:4444:5555:6666",
		  "[2001:db8:1111:2222:3333:4444:5555:6666]:65535", 65535 },
	};

	for (size_t i = 0; i < LENGTH(table); i++) {
		struct client c = { .address = "192.0.2.99",
				    .tls = true,
				    .subject = "x" };
		struct in6_addr a;

		ck_assert_int_eq(inet_pton(AF_INET6, table[i].address, &a), 1);
		client_set_address(&c, &a, table[i].port);
		ck_assert_str_eq(c.address, table[i].shown);
		ck_assert_str_eq(c.text, table[i].text);
		ck_assert(c.tls);
		ck_assert_str_eq(c.subject, "x");
	}
}
END_TEST

START_TEST(what_is_no_stream_socket_is_told_apart)
{
	int pair[2], fd;

	expect_none(-1, CLIENT_NO_STREAM);
	ck_assert_int_eq(pipe2(pair, O_CLOEXEC), 0);
	expect_none(pair[0], CLIENT_NO_STREAM);
	close_pair(pair);
	fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	expect_none(fd, CLIENT_NO_STREAM);
	close(fd);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair), 0);
	expect_none(pair[0], CLIENT_NO_STREAM);
	close_pair(pair);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	expect_none(pair[0], CLIENT_NO_STREAM);
	close_pair(pair);
}
END_TEST

START_TEST(a_listening_socket_is_told_apart)
{
	static const struct sockaddr_un own = { .sun_family = AF_UNIX };
	int fd = listener_open("127.0.0.1");

	expect_none(fd, CLIENT_LISTENING);
	close(fd);
	/* an abstract name of the kernel's choice */
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(fd, (const struct sockaddr *)&own, sizeof(sa_family_t)), 0);
	ck_assert_int_eq(listen(fd, 1), 0);
	expect_none(fd, CLIENT_LISTENING);
	close(fd);
}
END_TEST

START_TEST(a_client_that_is_gone_is_told_apart)
{
	static const struct linger reset = { .l_onoff = 1, .l_linger = 0 };
	int pair[2];

	if (!connection("127.0.0.1", pair))
		return;
	ck_assert_int_eq(
		setsockopt(pair[0], SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)), 0);
	close(pair[0]);
	expect_none(pair[1], CLIENT_GONE);
	close(pair[1]);
}
END_TEST

START_TEST(a_client_that_has_ended_its_direction_is_still_there)
{
	char text[64];
	int pair[2];

	if (!connection("127.0.0.1", pair))
		return;
	(void)snprintf(text, sizeof(text), "127.0.0.1:%u", own_port(pair[0]));
	ck_assert_int_eq(shutdown(pair[0], SHUT_WR), 0);
	expect_client(pair[1], "127.0.0.1", text);
	close_pair(pair);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("client");
	TCase *tc = tcase_create("client");

	suite_add_tcase(suite, tc);
	tcase_add_test(tc, an_ipv4_client_is_its_address_and_port);
	tcase_add_test(tc, an_ipv6_client_has_brackets_before_its_port);
	tcase_add_test(tc, an_ipv4_client_of_an_ipv6_socket_is_ipv4);
	tcase_add_test(tc, a_local_client_has_no_address);
	tcase_add_test(tc, a_client_that_a_proxy_names_replaces_the_peer);
	tcase_add_test(tc, what_is_no_stream_socket_is_told_apart);
	tcase_add_test(tc, a_listening_socket_is_told_apart);
	tcase_add_test(tc, a_client_that_is_gone_is_told_apart);
	tcase_add_test(tc, a_client_that_has_ended_its_direction_is_still_there);
	return suite_run(suite);
}
