/* SPDX-License-Identifier: MIT */
#include "net/dial.h"

#include <stdio.h>
#include <sys/socket.h>

#include "process/loader.h"

static void addresses_free(struct dial *d)
{
	if (d->list)
		loader_free_addresses(d->list);
	d->list = NULL;
}

void dial_done(struct dial *d)
{
	addresses_free(d);
	stream_done(&d->stream);
}

static enum dial_result fail(struct dial *d, enum dial_result r, const char *doing,
			     const char *why)
{
	(void)snprintf(d->why, sizeof(d->why), "%s %s: %s", doing,
		       d->be->host[0] ? d->be->authority : d->be->url, why);
	dial_done(d);
	return r;
}

static enum dial_result result_of(int error)
{
	switch (error) {
	case -ETIMEDOUT: return DIAL_TIMED_OUT;
	case -ECONNREFUSED: return DIAL_REFUSED;
	case -EMFILE:
	case -ENFILE:
	case -ENOMEM:
	case -ENOBUFS: return DIAL_LOCAL_FAULT;
	default: return DIAL_UNREACHABLE;
	}
}

/* ---- TLS */

static enum dial_result handshake_step(struct dial *d)
{
	int r = stream_handshake(&d->stream);

	if (r == 0)
		return DIAL_CONNECTED;
	d->error = r;
	if (r != -EAGAIN)
		return fail(d, DIAL_TLS_FAILED, "TLS handshake with",
			    stream_strerror(&d->stream, r));
	if (clock_ms() >= d->deadline_ms)
		return fail(d, DIAL_TIMED_OUT, "TLS handshake with", strerror(ETIMEDOUT));
	return DIAL_WAITING;
}

static enum dial_result handshake_begin(struct dial *d)
{
	const struct dial_known *known = d->known;
	struct stream *s = &d->stream;
	enum tls_begin r = TLS_LOCAL_FAULT;
	struct tls_why why;

	if (known)
		s->module = known->module;
	if (known || loader_tls(&s->module, &why) == 0)
		r = s->module->connect(s->fd, d->be, known ? known->tls : NULL, &s->tls,
				       &why);

	if (r == TLS_READY) {
		d->deadline_ms = d->end_ms;
		return handshake_step(d);
	}
	(void)snprintf(d->why, sizeof(d->why), "%s", why.text);
	dial_done(d);
	return r == TLS_MISCONFIGURED ? DIAL_MISCONFIGURED : DIAL_LOCAL_FAULT;
}

/* ---- addresses */

/* Keeps a local fault, else the error whose result comes first in enum dial_result. */
static void address_failed(struct dial *d, int error)
{
	stream_done(&d->stream);
	if (result_of(error) == DIAL_LOCAL_FAULT)
		d->left = 0; /* the others would fail as well */
	else if (d->error != 0 && result_of(error) >= result_of(d->error))
		return;
	d->error = error;
}

static int connect_begin(struct dial *d, const struct sockaddr *sa, socklen_t len)
{
	int fd = socket(sa->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	stream_open(fd, &d->stream);
	if (connect(fd, sa, len) == 0)
		return 0;
	return errno == EAGAIN
		       ? -ECONNREFUSED /* a local socket's full backlog, unix(7) */
		       : -errno;
}

/* Begins to connect to the next address. Returns 0, -EINPROGRESS, or another -errno. */
static int address_begin(struct dial *d)
{
	const struct addrinfo *ai = d->next;
	uint64_t now_ms = clock_ms();
	uint64_t rest_ms = d->end_ms > now_ms ? d->end_ms - now_ms : 0;

	d->deadline_ms = clock_deadline_ms(now_ms, rest_ms / d->left);
	d->left--;
	if (d->known)
		return connect_begin(d, (const struct sockaddr *)&d->known->addr,
				     d->known->addr_len);
	if (!ai) /* the backend is a literal address */
		return connect_begin(d, (const struct sockaddr *)&d->be->addr,
				     d->be->addr_len);
	d->next = ai->ai_next;
	return connect_begin(d, ai->ai_addr, ai->ai_addrlen);
}

static enum dial_result connected(struct dial *d)
{
	addresses_free(d);
	return d->be->tls ? handshake_begin(d) : DIAL_CONNECTED;
}

/* Tries the addresses that are left, until one accepts or has to be waited for. */
static enum dial_result try_addresses(struct dial *d)
{
	while (d->left > 0) {
		int r = address_begin(d);

		if (r == 0)
			return connected(d);
		if (r == -EINPROGRESS)
			return DIAL_WAITING;
		address_failed(d, r);
	}
	return fail(d, result_of(d->error), "cannot connect to", strerror(-d->error));
}

static int socket_error(int fd)
{
	socklen_t len = sizeof(int);
	int error = 0;

	return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0 ? -errno : -error;
}

static enum dial_result connect_step(struct dial *d, short revents)
{
	int r;

	if (!revents && clock_ms() < d->deadline_ms)
		return DIAL_WAITING;
	r = revents ? socket_error(d->stream.fd) : -ETIMEDOUT;
	if (r == 0)
		return connected(d);
	address_failed(d, r);
	return try_addresses(d);
}

/* ---- begin, step */

/* Returns true with the addresses in d, or false with the failure. */
static bool resolve(struct dial *d, enum dial_result *ret_failure)
{
	struct addrinfo *list = NULL;
	int r = loader_resolve(d->be, &list), error = errno;
	bool local =
		r == EAI_SYSTEM ? result_of(-error) == DIAL_LOCAL_FAULT : r == EAI_MEMORY;

	if (r != 0) {
		*ret_failure = fail(d, local ? DIAL_LOCAL_FAULT : DIAL_UNRESOLVED,
				    "cannot resolve",
				    r == EAI_SYSTEM ? strerror(error) : gai_strerror(r));
		return false;
	}
	d->next = d->list = list;
	for (const struct addrinfo *ai = list; ai; ai = ai->ai_next)
		d->left++;
	return true;
}

enum dial_result dial_begin(struct dial *ret, const struct backend *be,
			    const struct dial_known *known, uint64_t timeout_ms)
{
	enum dial_result failure;

	*ret = (struct dial){ .be = be, .known = known, .stream = STREAM_NONE };
	if (known || be->literal)
		ret->left = 1;
	else if (!resolve(ret, &failure))
		return failure;
	ret->end_ms = clock_deadline_ms(clock_ms(), timeout_ms);
	return try_addresses(ret);
}

enum dial_result dial_step(struct dial *d, short revents)
{
	return d->stream.tls ? handshake_step(d) : connect_step(d, revents);
}

struct pollfd dial_poll(const struct dial *d)
{
	short events = d->stream.tls ? d->stream.read_wants : POLLOUT;

	return (struct pollfd){ .fd = d->stream.fd, .events = events };
}
