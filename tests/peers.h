/* SPDX-License-Identifier: MIT */
/* Peers for the gate to talk to, over real descriptors. */
#pragma once

#include <arpa/inet.h>
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

/* The longest wait of a peer before its test fails, s. Only a broken gate takes so long. */
#define PATIENCE_SEC 60

/* ---- descriptors */

static inline int fds_open(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	ck_assert_ptr_nonnull(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static int fds_at_start;

static inline void fds_note(void)
{
	fds_at_start = fds_open();
}

static inline void fds_check(void)
{
	ck_assert_int_eq(fds_open(), fds_at_start);
}

/* A case of a suite, whose tests leave no descriptor behind. */
static inline TCase *case_add(Suite *s, const char *name)
{
	TCase *t = tcase_create(name);

	suite_add_tcase(s, t);
	tcase_add_checked_fixture(t, fds_note, fds_check);
	tcase_set_timeout(t, 2 * PATIENCE_SEC); /* under valgrind */
	return t;
}

/* From here on no descriptor can be made; returns what fds_allow() puts back. */
static inline struct rlimit fds_forbid(void)
{
	struct rlimit saved, none;
	int lowest = dup(STDIN_FILENO);

	ck_assert_int_ge(lowest, 0);
	close(lowest);
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &saved), 0);
	none = (struct rlimit){ (rlim_t)lowest, saved.rlim_max };
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	return saved;
}

static inline void fds_allow(struct rlimit saved)
{
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &saved), 0);
}

static inline int option_of(int fd, int level, int option)
{
	socklen_t len = sizeof(int);
	int value = -1;

	ck_assert_int_eq(getsockopt(fd, level, option, &value, &len), 0);
	return value;
}

/* ---- peers: blocking, with the patience above */

static inline void peer_setup(int fd)
{
	struct timeval patience = { .tv_sec = PATIENCE_SEC };

	ck_assert_int_ge(fd, 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
}

/* A socket that listens on a port of the kernel's choice. */
static inline int peer_listen(const char *address, int backlog, uint16_t *ret_port)
{
	struct sockaddr_in sa = { .sin_family = AF_INET };
	socklen_t len = sizeof(sa);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(inet_pton(AF_INET, address, &sa.sin_addr), 1);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&sa, len), 0);
	ck_assert_int_eq(listen(fd, backlog), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
	peer_setup(fd);
	*ret_port = ntohs(sa.sin_port);
	return fd;
}

static inline int peer_accept(int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

	peer_setup(fd);
	return fd;
}

/* ours is the gate's end, non-blocking as the gate has it. */
static inline void pair_open(bool tcp, int *ours, int *peer)
{
	struct sockaddr_in sa = { .sin_family = AF_INET };
	int listener, pair[2];

	if (tcp) {
		listener = peer_listen("127.0.0.1", 1, &sa.sin_port);
		sa.sin_port = htons(sa.sin_port);
		sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		pair[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		ck_assert_int_eq(connect(pair[0], (struct sockaddr *)&sa, sizeof(sa)), 0);
		pair[1] = peer_accept(listener);
		close(listener);
	} else {
		ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair),
				 0);
		peer_setup(pair[1]);
	}
	ck_assert_int_eq(fcntl(pair[0], F_SETFL, O_RDWR | O_NONBLOCK), 0);
	*ours = pair[0];
	*peer = pair[1];
}

static inline void peer_send(int fd, const void *data, size_t len)
{
	ck_assert_int_eq(send(fd, data, len, MSG_NOSIGNAL), (ssize_t)len);
}

static inline void peer_say(int fd, const char *text)
{
	peer_send(fd, text, strlen(text));
}

/* The next bytes are exactly this text. */
static inline void peer_hears(int fd, const char *text)
{
	char got[65536];
	size_t len = strlen(text), n = 0;
	ssize_t r = 1;

	ck_assert_uint_lt(len, sizeof(got));
	while (n < len && (r = recv(fd, got + n, len - n, 0)) > 0)
		n += (size_t)r;
	got[n] = '\0';
	ck_assert_msg(r >= 0, "%s after \"%s\"", strerror(errno), got);
	ck_assert_str_eq(got, text);
}

/* All up to the end, as a string. */
static inline size_t peer_hears_out(int fd, char *ret, size_t size)
{
	size_t n = 0;
	ssize_t r;

	while ((r = recv(fd, ret + n, size - 1 - n, 0)) > 0)
		n += (size_t)r;
	ck_assert_msg(r == 0, "%s after %zu bytes", strerror(errno), n);
	ret[n] = '\0';
	return n;
}

static inline void peer_hears_end(int fd)
{
	char byte;

	ck_assert_int_eq(recv(fd, &byte, 1, 0), 0);
}

static inline void peer_hears_reset(int fd)
{
	char byte;

	ck_assert_int_lt(recv(fd, &byte, 1, 0), 0);
	ck_assert_int_eq(errno, ECONNRESET);
}

/* Nothing has come, no end either. */
static inline void peer_hears_nothing(int fd)
{
	char byte;

	ck_assert_int_lt(recv(fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK), 0);
	ck_assert_int_eq(errno, EAGAIN);
}

static inline void peer_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* TCP only. */
static inline void peer_reset(int *fd)
{
	struct linger now = { .l_onoff = 1, .l_linger = 0 };

	ck_assert_int_eq(setsockopt(*fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now)), 0);
	peer_close(fd);
}

/* Its machine gets nothing from here on, nor answers; or again. */
static inline void peer_vanish(int fd)
{
	struct sock_filter nothing = BPF_STMT(BPF_RET | BPF_K, 0);
	struct sock_fprog program = { 1, &nothing };

	ck_assert_int_eq(
		setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)),
		0);
}

static inline void peer_return(int fd)
{
	int unused = 0;

	ck_assert_int_eq(
		setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &unused, sizeof(unused)), 0);
}
