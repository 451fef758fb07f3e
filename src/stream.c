/* SPDX-License-Identifier: MIT */
/* A byte stream to a peer, over a socket. */
#include "stream.h"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>

/* Probes of a silent peer: after so many seconds, so far apart, so many lost. */
#define STREAM_PROBE_SEC      60
#define STREAM_PROBE_NEXT_SEC 15
#define STREAM_PROBES         4

uint64_t stream_clock_ms(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts); /* cannot fail: the clock exists */
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

uint64_t stream_deadline_ms(uint64_t now_ms, uint64_t span_ms)
{
	return span_ms >= CONFIG_INFINITY - now_ms ? CONFIG_INFINITY : now_ms + span_ms;
}

int stream_timeout_ms(uint64_t now_ms, uint64_t deadline_ms)
{
	if (deadline_ms == CONFIG_INFINITY)
		return -1;
	if (deadline_ms <= now_ms)
		return 0;
	/* the clock is cut to whole ms: one more, or the last would be spent in a spin */
	return deadline_ms - now_ms >= INT32_MAX ? INT32_MAX
						 : (int)(deadline_ms - now_ms) + 1;
}

static void option_set(int fd, int level, int option, int value)
{
	/* no TCP, neither delays nor probes: its failure is as good as a success */
	(void)setsockopt(fd, level, option, &value, sizeof(value));
}

static int stream_open(int fd, struct stream *ret)
{
	option_set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	*ret = (struct stream){ .fd = fd, .can_read = true, .can_write = true };
	return 0;
}

int stream_adopt(int fd, struct stream *ret)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return -errno;
	return stream_open(fd, ret);
}

/* What interrupts a wait for a backend. */
struct watch {
	int client_fd, sigfd;
};

/* Waits until fd is writable: 0, -ETIMEDOUT, -ECANCELED, -EPIPE or another -errno. */
static int wait_connected(int fd, uint64_t deadline_ms, const struct watch *w)
{
	struct pollfd p[] = {
		{ .fd = fd, .events = POLLOUT },
		{ .fd = w->sigfd, .events = POLLIN },
		{ .fd = w->client_fd }, /* POLLERR comes unasked */
	};

	for (;;) {
		int n = poll(p, 3, stream_timeout_ms(stream_clock_ms(), deadline_ms));

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n == 0)
			return -ETIMEDOUT;
		if (n < 0)
			continue;
		if (p[1].revents)
			return -ECANCELED;
		if (p[0].revents)
			return 0;
		if (p[2].revents & POLLERR)
			return -EPIPE;
		p[2].fd = -1; /* a mere POLLHUP would spin */
	}
}

static int socket_error(int fd)
{
	socklen_t len = sizeof(int);
	int err = 0;

	return getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len) < 0 ? -errno : -err;
}

static int dial_address(const struct sockaddr *sa, socklen_t len, uint64_t timeout_ms,
			const struct watch *w, int *ret)
{
	AUTO_FD int fd =
		socket(sa->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int r = 0;

	if (fd < 0)
		return -errno;
	if (connect(fd, sa, len) < 0) {
		if (errno != EINPROGRESS)
			/* a local socket's full backlog (unix(7)) */
			return errno == EAGAIN ? -ECONNREFUSED : -errno;
		r = wait_connected(fd, stream_deadline_ms(stream_clock_ms(), timeout_ms),
				   w);
		if (r == 0)
			r = socket_error(fd);
	}
	if (r == 0)
		*ret = fd_take(&fd);
	return r;
}

/* Errors after which no other address is worth trying. */
static bool is_final(int r)
{
	return r == 0 || r == -ECANCELED || r == -EPIPE || r == -EMFILE || r == -ENFILE ||
	       r == -ENOMEM || r == -ENOBUFS;
}

static void cause_set(struct stream_cause *cause, const char *what,
		      const struct backend *be, const char *why)
{
	(void)snprintf(cause->text, sizeof(cause->text), "%s %s: %s", what,
		       be->host[0] ? be->authority : be->url, why);
}

/*
 * getaddrinfo() cannot be given a deadline or a descriptor to watch, so SIGTERM, blocked
 * otherwise, gets its default action meanwhile: it ends the process at once.
 */
static int resolve(const struct backend *be, struct addrinfo **ret)
{
	static const struct addrinfo hints = {
		.ai_socktype = SOCK_STREAM,
		.ai_flags = AI_NUMERICSERV | AI_ADDRCONFIG,
	};
	sigset_t term, saved;
	char port[8];
	int r;

	(void)snprintf(port, sizeof(port), "%u", be->port);
	(void)sigemptyset(&term); /* these three cannot fail with these arguments */
	(void)sigaddset(&term, SIGTERM);
	(void)pthread_sigmask(SIG_UNBLOCK, &term, &saved);
	r = getaddrinfo(be->host, port, &hints, ret);
	(void)pthread_sigmask(SIG_SETMASK, &saved, NULL);
	return r;
}

static int dial_name(const struct backend *be, uint64_t timeout_ms, const struct watch *w,
		     int *ret, struct stream_cause *cause)
{
	struct addrinfo *list = NULL;
	uint64_t start_ms, spent_ms, left = 0;
	int r = resolve(be, &list), saved_errno = errno;

	if (r == EAI_SYSTEM) {
		cause_set(cause, "resolve", be, strerror(saved_errno));
		return -saved_errno;
	}
	if (r != 0) {
		cause_set(cause, "resolve", be, gai_strerror(r));
		return r == EAI_MEMORY ? -ENOMEM : -EHOSTUNREACH;
	}
	start_ms = stream_clock_ms();
	for (const struct addrinfo *ai = list; ai; ai = ai->ai_next)
		left++;
	r = -EHOSTUNREACH;
	for (const struct addrinfo *ai = list; ai; ai = ai->ai_next, left--) {
		spent_ms = stream_clock_ms() - start_ms;
		if (spent_ms > timeout_ms)
			spent_ms = timeout_ms;
		r = dial_address(ai->ai_addr, ai->ai_addrlen,
				 (timeout_ms - spent_ms) / left, w, ret);
		if (is_final(r))
			break;
	}
	freeaddrinfo(list);
	if (r < 0)
		cause_set(cause, "connect to", be, strerror(-r));
	return r;
}

int stream_dial(const struct backend *be, uint64_t timeout_ms, int client_fd, int sigfd,
		struct stream *ret, struct stream_cause *cause)
{
	const struct watch w = { .client_fd = client_fd, .sigfd = sigfd };
	int fd = -1, r;

	if (be->literal) {
		r = dial_address((const struct sockaddr *)&be->addr, be->addr_len,
				 timeout_ms, &w, &fd);
		if (r < 0)
			cause_set(cause, "connect to", be, strerror(-r));
	} else {
		r = dial_name(be, timeout_ms, &w, &fd, cause);
	}
	return r < 0 ? r : stream_open(fd, ret);
}

/* The common end of a read: n as the system call gave it, want as it was asked for. */
static ssize_t read_result(struct stream *s, ssize_t n, size_t want)
{
	if (n < 0) {
		if (errno == EINTR)
			return -EAGAIN;
		if (errno == EAGAIN)
			s->can_read = false;
		return -errno;
	}
	if (n == 0 && s->broken)
		return -ECONNRESET; /* the socket tells its error once, and a write had it */
	if (n == 0)
		s->eof = true;
	if ((size_t)n < want)
		s->can_read = false;
	return n;
}

static ssize_t write_result(struct stream *s, ssize_t n)
{
	if (n < 0) {
		if (errno == EINTR)
			return -EAGAIN;
		if (errno == EAGAIN)
			s->can_write = false;
		else if (errno != EPIPE)
			s->broken = true;
		return -errno;
	}
	return n;
}

ssize_t stream_read(struct stream *s, struct buf *b)
{
	size_t room = buf_room(b);
	ssize_t n;

	assert(room > 0);
	n = read_result(s, recv(s->fd, b->data + b->end, room, 0), room);
	if (n > 0)
		b->end += (size_t)n;
	return n;
}

ssize_t stream_write(struct stream *s, const struct iovec *iov, size_t n)
{
	struct msghdr msg = { .msg_iov = (struct iovec *)iov, .msg_iovlen = n };

	return write_result(s, sendmsg(s->fd, &msg, MSG_NOSIGNAL));
}

ssize_t stream_splice_in(struct stream *s, int pipe_fd, size_t len)
{
	/* a pipe takes what it has room for: a short count says nothing of the socket */
	return read_result(s, splice(s->fd, NULL, pipe_fd, NULL, len, SPLICE_F_NONBLOCK),
			   1);
}

ssize_t stream_splice_out(struct stream *s, int pipe_fd, size_t len)
{
	return write_result(s,
			    splice(pipe_fd, NULL, s->fd, NULL, len, SPLICE_F_NONBLOCK));
}

bool stream_is_plain(const struct stream *s)
{
	return s->fd >= 0;
}

bool stream_is_quiet(const struct stream *s)
{
	char byte;

	return recv(s->fd, &byte, 1, MSG_PEEK) < 0 && errno == EAGAIN;
}

/* An IPv4 address and its v4-mapped IPv6 form are the same. */
static struct sockaddr_in6 mapped(const struct sockaddr_storage *ss)
{
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)ss;
	struct sockaddr_in6 v6 = *(const struct sockaddr_in6 *)ss;

	if (ss->ss_family != AF_INET)
		return v6;
	v6 = (struct sockaddr_in6){ .sin6_family = AF_INET6, .sin6_port = v4->sin_port };
	memset(&v6.sin6_addr.s6_addr[10], 0xff, 2);
	memcpy(&v6.sin6_addr.s6_addr[12], &v4->sin_addr, 4);
	return v6;
}

bool stream_is_circle(const struct stream *dialled, const struct stream *accepted)
{
	struct sockaddr_storage there = { 0 }, here = { 0 };
	socklen_t there_len = sizeof(there), here_len = sizeof(here);
	struct sockaddr_in6 x, y;

	if (getpeername(dialled->fd, (struct sockaddr *)&there, &there_len) < 0 ||
	    getsockname(accepted->fd, (struct sockaddr *)&here, &here_len) < 0)
		return false; /* what is wrong with it shows up in use */
	if (there.ss_family == AF_UNIX)
		return here.ss_family == AF_UNIX && there_len == here_len &&
		       there_len > sizeof(sa_family_t) &&
		       memcmp(&there, &here, here_len) == 0;
	if (here.ss_family == AF_UNIX)
		return false;
	x = mapped(&there);
	y = mapped(&here);
	return x.sin6_port == y.sin6_port &&
	       memcmp(&x.sin6_addr, &y.sin6_addr, sizeof(x.sin6_addr)) == 0;
}

void stream_keep_alive(const struct stream *s)
{
	socklen_t len = sizeof(int);
	int on = 0;

	/* what the socket unit says (KeepAlive*=) holds */
	if (getsockopt(s->fd, SOL_SOCKET, SO_KEEPALIVE, &on, &len) == 0 && on)
		return;
	option_set(s->fd, SOL_SOCKET, SO_KEEPALIVE, 1);
	option_set(s->fd, IPPROTO_TCP, TCP_KEEPIDLE, STREAM_PROBE_SEC);
	option_set(s->fd, IPPROTO_TCP, TCP_KEEPINTVL, STREAM_PROBE_NEXT_SEC);
	option_set(s->fd, IPPROTO_TCP, TCP_KEEPCNT, STREAM_PROBES);
}

void stream_shut(struct stream *s)
{
	if (s->shut || s->fd < 0)
		return;
	(void)shutdown(s->fd, SHUT_WR); /* a dead peer shows up at the next read */
	s->shut = true;
}

void stream_reset(struct stream *s)
{
	static const struct linger now = { .l_onoff = 1, .l_linger = 0 };

	if (s->fd < 0)
		return;
	(void)setsockopt(s->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	stream_done(s);
}

void stream_done(struct stream *s)
{
	fd_close_auto(&s->fd);
}
