/* SPDX-License-Identifier: MIT */
/* Connects to a backend: addresses in turn, in time, TLS included. */
#include "net/stream.h"

#include <stdio.h>

#include "net/wait.h"
#include "process/loader.h"

/* What interrupts a wait for a backend. */
struct watch {
	int client_fd, sigfd;
};

/* Waits for events on fd: 0, -ETIMEDOUT, -ECANCELED, -EPIPE or another -errno. */
static int wait_for(int fd, short events, uint64_t deadline_ms, const struct watch *w)
{
	struct pollfd p[] = {
		{ .fd = w->sigfd },
		{ .fd = fd, .events = events },
		{ .fd = w->client_fd }, /* POLLERR comes unasked */
	};

	for (;;) {
		int n = wait_poll(p, 3, clock_ms(), deadline_ms);

		if (n < 0)
			return n;
		if (p[1].revents)
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
		r = wait_for(fd, POLLOUT, clock_deadline_ms(clock_ms(), timeout_ms), w);
		if (r == 0)
			r = socket_error(fd);
	}
	if (r == 0)
		*ret = fd_take(&fd);
	return r;
}

bool stream_dial_is_local(int error)
{
	return error == -EMFILE || error == -ENFILE || error == -ENOMEM ||
	       error == -ENOBUFS || error == -ELIBACC;
}

/* Errors after which no other address is worth trying. */
static bool is_final(int r)
{
	return r == 0 || r == -ECANCELED || r == -EPIPE || stream_dial_is_local(r);
}

static void cause_set(struct stream_cause *cause, const char *what,
		      const struct backend *be, const char *why)
{
	(void)snprintf(cause->text, sizeof(cause->text), "%s %s: %s", what,
		       be->host[0] ? be->authority : be->url, why);
}

/*
 * How much an address's error tells of the backend, whatever the others met: nobody accepted
 * in time; somebody refused; or, least, this machine knows no way to that address.
 */
static int telling(int r)
{
	switch (r) {
	case -ETIMEDOUT: return 2;
	case -ENETUNREACH:
	case -EHOSTUNREACH:
	case -ENETDOWN:
	case -EADDRNOTAVAIL:
	case -EAFNOSUPPORT:
	case -EACCES:
	case -EPERM:
	case -EINVAL: return 0;
	default: return 1;
	}
}

/* Its addresses in turn, until one accepts or is_final(); else the error that tells most. */
static int dial_list(const struct addrinfo *list, uint64_t timeout_ms,
		     const struct watch *w, int *ret)
{
	uint64_t start_ms = clock_ms(), left = 0;
	int told = -EHOSTUNREACH;

	for (const struct addrinfo *ai = list; ai; ai = ai->ai_next)
		left++;
	for (const struct addrinfo *ai = list; ai; ai = ai->ai_next, left--) {
		uint64_t spent_ms = clock_ms() - start_ms;
		int r;

		if (spent_ms > timeout_ms)
			spent_ms = timeout_ms;
		r = dial_address(ai->ai_addr, ai->ai_addrlen,
				 (timeout_ms - spent_ms) / left, w, ret);
		if (is_final(r))
			return r;
		if (ai == list || telling(r) > telling(told))
			told = r;
	}
	return told;
}

/* *start_ms is when the connecting began. */
static int dial_name(const struct backend *be, uint64_t timeout_ms, const struct watch *w,
		     int *ret, uint64_t *start_ms, struct stream_cause *cause)
{
	struct addrinfo *list = NULL;
	int r = loader_resolve(be, &list), saved_errno = errno;

	if (r == EAI_SYSTEM) {
		cause_set(cause, "cannot resolve", be, strerror(saved_errno));
		return stream_dial_is_local(-saved_errno) ? -saved_errno : -ENXIO;
	}
	if (r != 0) {
		cause_set(cause, "cannot resolve", be, gai_strerror(r));
		return r == EAI_MEMORY ? -ENOMEM : -ENXIO;
	}
	*start_ms = clock_ms();
	r = dial_list(list, timeout_ms, w, ret);
	loader_resolved(list);
	if (r < 0)
		cause_set(cause, "cannot connect to", be, strerror(-r));
	return r;
}

/* TLS with a backend, on a connection that stands. */
static int dial_tls(struct stream *s, const struct backend *be, uint64_t deadline_ms,
		    const struct watch *w, struct stream_cause *cause)
{
	struct tls_why why;
	enum tls_begin begun = loader_tls(&s->module, &why) < 0
				       ? TLS_LOCAL_FAULT
				       : s->module->connect(s->fd, be, &s->tls, &why);
	int r;

	if (begun != TLS_READY) {
		(void)snprintf(cause->text, sizeof(cause->text), "%s", why.text);
		return begun == TLS_MISCONFIGURED ? -ENOKEY : -ELIBACC;
	}
	while ((r = stream_handshake(s)) == -EAGAIN) {
		r = wait_for(s->fd, s->read_wants, deadline_ms, w);
		if (r < 0)
			break;
	}
	if (r < 0)
		cause_set(cause, "TLS handshake with", be,
			  r == -ETIMEDOUT ? strerror(-r) : stream_strerror(s, r));
	/* whatever errno OpenSSL saw, it is the backend's fault */
	return r == 0 || r == -ETIMEDOUT || r == -ECANCELED || r == -EPIPE ? r : -EPROTO;
}

int stream_dial(const struct backend *be, uint64_t timeout_ms, int client_fd, int sigfd,
		struct stream *ret, struct stream_cause *cause)
{
	const struct watch w = { .client_fd = client_fd, .sigfd = sigfd };
	uint64_t start_ms = clock_ms();
	AUTO_FD int fd = -1;
	struct stream s;
	int r;

	if (be->literal) {
		r = dial_address((const struct sockaddr *)&be->addr, be->addr_len,
				 timeout_ms, &w, &fd);
		if (r < 0)
			cause_set(cause, "cannot connect to", be, strerror(-r));
	} else {
		r = dial_name(be, timeout_ms, &w, &fd, &start_ms, cause);
	}
	if (r < 0)
		return r;
	stream_open(fd_take(&fd), &s);
	if (be->tls)
		r = dial_tls(&s, be, clock_deadline_ms(start_ms, timeout_ms), &w, cause);
	if (r < 0)
		stream_done(&s);
	else
		*ret = s;
	return r;
}
