/* SPDX-License-Identifier: MIT */
#include "net/stream.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "process/loader.h"

/* Keep-alive probes: when the first is sent, how far apart they are, how many may be lost. */
#define STREAM_PROBE_SEC      60
#define STREAM_PROBE_NEXT_SEC 15
#define STREAM_PROBES         4

static void option_set(int fd, int level, int option, int value)
{
	/* it fails on sockets that are not TCP, which neither delay nor probe */
	(void)setsockopt(fd, level, option, &value, sizeof(value));
}

void stream_open(int fd, struct stream *ret)
{
	option_set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	*ret = (struct stream){
		.fd = fd,
		.can_read = true,
		.can_write = true,
		.read_wants = POLLIN,
		.write_wants = POLLOUT,
		.watch = STREAM_UNWATCHED,
	};
}

int stream_adopt(int fd, struct stream *ret)
{
	/* a socket has no other flag worth keeping */
	if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
		return -errno;
	stream_open(fd, ret);
	return 0;
}

void stream_keep_alive(const struct stream *s)
{
	socklen_t len = sizeof(int);
	int on = 0;

	/* the settings of the socket unit (KeepAlive*=) hold */
	if (getsockopt(s->fd, SOL_SOCKET, SO_KEEPALIVE, &on, &len) == 0 && on)
		return;
	option_set(s->fd, SOL_SOCKET, SO_KEEPALIVE, 1);
	option_set(s->fd, IPPROTO_TCP, TCP_KEEPIDLE, STREAM_PROBE_SEC);
	option_set(s->fd, IPPROTO_TCP, TCP_KEEPINTVL, STREAM_PROBE_NEXT_SEC);
	option_set(s->fd, IPPROTO_TCP, TCP_KEEPCNT, STREAM_PROBES);
}

bool stream_error_is_local(int error)
{
	switch (error) {
	case -EPIPE:
	case -ECONNRESET:
	case -ECONNABORTED:
	case -ECONNREFUSED:
	case -ETIMEDOUT:
	case -EHOSTUNREACH:
	case -EHOSTDOWN:
	case -ENETUNREACH:
	case -ENETDOWN:
	case -ENONET:
	case -ENOPROTOOPT:
	case -EACCES: /* a firewall on the way */
	case -EPROTO: /* this and the next two: TLS */
	case -EKEYREJECTED:
	case -EREMOTEIO: return false;
	default: return true;
	}
}

const char *stream_strerror(const struct stream *s, int error)
{
	const char *why = s->tls ? s->module->why(s->tls) : "";

	return why[0] ? why : strerror(-error);
}

/* ---- TLS */

void stream_tls_prepare(int fd, const struct config_tls *cfg, struct stream_tls *ret)
{
	ret->tls = NULL;
	ret->result = loader_tls(&ret->module, &ret->why) < 0
			      ? TLS_LOCAL_FAULT
			      : ret->module->accept(fd, cfg, &ret->tls, &ret->why);
}

void stream_tls_done(struct stream_tls *t)
{
	if (t->tls)
		t->module->free(t->tls, false);
	t->tls = NULL;
}

void stream_secure(struct stream *s, struct stream_tls *t)
{
	assert(t->tls);
	s->module = t->module;
	s->tls = t->tls;
	t->tls = NULL;
}

int stream_handshake(struct stream *s)
{
	int r = s->module->handshake(s->tls, &s->read_wants);

	if (r == 0)
		s->read_wants = POLLIN;
	return r;
}

const char *stream_subject(const struct stream *s)
{
	return s->tls ? s->module->subject(s->tls) : NULL;
}

/* Updates the state after a call of the TLS module; wants is 0 if it may be called again at once. */
static ssize_t tls_result(ssize_t n, short wants, short *ret_wants, bool *can)
{
	*can = wants == 0; /* poll(2) does not see what TLS has read ahead */
	if (wants != 0)
		*ret_wants = wants;
	return n;
}

static ssize_t tls_read(struct stream *s, struct buf *b)
{
	short wants = 0;
	ssize_t n = s->module->read(s->tls, b, &wants);

	if (n == 0)
		s->input = STREAM_EOF;
	if (n == -ECONNABORTED) {
		s->input = STREAM_CUT;
		n = 0;
	}
	return tls_result(n, wants, &s->read_wants, &s->can_read);
}

static ssize_t tls_write(struct stream *s, const struct iovec *iov, size_t n, size_t want)
{
	short wants = 0;
	ssize_t written = s->module->write(s->tls, iov, n, &wants);

	written = tls_result(written, wants, &s->write_wants, &s->can_write);
	/* full, or the peer is gone: poll(2) first, so that its last bytes are read */
	if (written >= 0 && (size_t)written < want)
		s->can_write = false;
	return written;
}

static void tls_shut(struct stream *s)
{
	short wants = 0;
	int r = s->module->shut(s->tls, &wants);

	(void)tls_result(r, wants, &s->write_wants, &s->can_write);
	s->output = r == -EAGAIN ? STREAM_OUT_SHUTTING : STREAM_OUT_SHUT;
}

/* ---- poll(2) */

short stream_events(const struct stream *s, bool to_read, bool to_write)
{
	int events = 0;

	if (to_read && !s->can_read)
		events |= s->read_wants;
	if ((to_write || s->output == STREAM_OUT_SHUTTING) && !s->can_write)
		events |= s->write_wants;
	return (short)events;
}

void stream_note_events(struct stream *s, short revents)
{
	if ((revents & POLLRDHUP) && s->input == STREAM_OPEN)
		s->input = STREAM_ENDING;
	if (revents & (s->read_wants | POLLHUP | POLLERR))
		s->can_read = true;
	if (revents & (s->write_wants | POLLHUP | POLLERR))
		s->can_write = true;
}

/* ---- read and write */

/* Updates *can after a call for `want` bytes on a socket, which returned n. */
static ssize_t result(ssize_t n, size_t want, bool *can)
{
	if (n < 0 && errno == EINTR)
		return -EAGAIN;
	if (n < 0 ? errno == EAGAIN : (size_t)n < want)
		*can = false;
	return n < 0 ? -errno : n;
}

static ssize_t read_result(struct stream *s, ssize_t n, size_t want)
{
	n = result(n, want, &s->can_read);
	if (n == 0 && s->output == STREAM_OUT_BROKEN)
		return -ECONNRESET; /* the kernel reports a reset once, and did so to the write */
	if (n == 0)
		s->input = STREAM_EOF;
	return n;
}

static ssize_t write_result(struct stream *s, ssize_t n, size_t want)
{
	n = result(n, want, &s->can_write);
	/* not after EPIPE: the peer had ended its direction before its reset, so a later EOF is real */
	if (n < 0 && n != -EAGAIN && n != -EPIPE)
		s->output = STREAM_OUT_BROKEN;
	return n;
}

ssize_t stream_read(struct stream *s, struct buf *b)
{
	size_t room = buf_room(b);
	ssize_t n;

	assert(room > 0);
	if (s->tls)
		return tls_read(s, b);
	n = read_result(s, recv(s->fd, b->data + b->end, room, 0), room);
	if (n > 0)
		b->end += (size_t)n;
	return n;
}

ssize_t stream_write(struct stream *s, const struct iovec *iov, size_t n)
{
	size_t want = 0;

	for (size_t i = 0; i < n; i++)
		want += iov[i].iov_len;
	if (s->tls)
		return tls_write(s, iov, n, want);
	return write_result(s, writev(s->fd, iov, (int)n), want);
}

ssize_t stream_splice_in(struct stream *s, int pipe_fd, size_t len)
{
	/* a short count may come from a full pipe: it says nothing of the socket */
	return read_result(s, splice(s->fd, NULL, pipe_fd, NULL, len, SPLICE_F_NONBLOCK),
			   1);
}

ssize_t stream_splice_out(struct stream *s, int pipe_fd, size_t len)
{
	ssize_t n = splice(pipe_fd, NULL, s->fd, NULL, len, SPLICE_F_NONBLOCK);

	if (n < 0 && errno == EINVAL)
		return -EINVAL;       /* the socket cannot splice, and is not broken */
	return write_result(s, n, 0); /* a short count may come from an empty pipe */
}

bool stream_is_plain(const struct stream *s)
{
	return s->fd >= 0 && !s->tls;
}

bool stream_is_quiet(const struct stream *s)
{
	char byte;

	if (s->tls)
		return s->module->is_quiet(s->tls);
	return recv(s->fd, &byte, 1, MSG_PEEK) < 0 && errno == EAGAIN;
}

/* ---- end and reset */

void stream_shut(struct stream *s)
{
	if (s->fd < 0 || s->output >= STREAM_OUT_SHUT)
		return;
	if (s->tls) {
		tls_shut(s);
		return;
	}
	(void)shutdown(s->fd, SHUT_WR); /* a dead peer shows up at the next read */
	s->output = STREAM_OUT_SHUT;
}

static void stream_close(struct stream *s, bool notify)
{
	if (s->tls)
		s->module->free(s->tls, notify);
	s->tls = NULL;
	fd_close_auto(&s->fd);
}

void stream_reset(struct stream *s)
{
	static const struct linger now = { .l_onoff = 1, .l_linger = 0 };

	if (s->fd < 0)
		return;
	(void)setsockopt(s->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	stream_close(s, false);
}

void stream_disconnect(const struct stream *s)
{
	static const struct sockaddr_in nowhere = { .sin_family = AF_UNSPEC };

	(void)connect(s->fd, (const struct sockaddr *)&nowhere, sizeof(nowhere));
}

void stream_done(struct stream *s)
{
	stream_close(s, true);
}
