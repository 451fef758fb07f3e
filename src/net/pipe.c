/* SPDX-License-Identifier: MIT */
#include "net/pipe.h"

#include <fcntl.h>

#define PIPE_MIN (64 * 1024) /* a smaller pipe is no better than copying */

void pipe_close(struct pipe *p, enum pipe_state next)
{
	fd_close_auto(&p->fd[0]);
	fd_close_auto(&p->fd[1]);
	p->state = next;
	p->bytes = 0;
}

void pipe_open(struct pipe *p)
{
	int ends[2];

	p->state = PIPE_UNAVAILABLE;
	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
		return; /* out of descriptors: copying is slower, but works */
	memcpy(p->fd, ends,
	       sizeof(ends)); /* valgrind's pipe2() changes its array even if it fails */
	/* EPERM if the user's pipes have reached /proc/sys/fs/pipe-user-pages-soft: then the
	 * pipe has two pages only */
	if (fcntl(p->fd[1], F_SETPIPE_SZ, PIPE_SIZE) < 0 &&
	    fcntl(p->fd[1], F_SETPIPE_SZ, PIPE_MIN) < 0)
		pipe_close(p, PIPE_UNAVAILABLE);
	else
		p->state = PIPE_OPEN;
}

ssize_t pipe_fill(struct pipe *p, struct stream *from, size_t len)
{
	ssize_t n = stream_splice_in(from, p->fd[1], len);

	if (n > 0)
		p->bytes += (size_t)n;
	return n;
}

ssize_t pipe_drain(struct pipe *p, struct stream *to, size_t len)
{
	ssize_t n = stream_splice_out(to, p->fd[0], len);

	if (n > 0)
		p->bytes -= (size_t)n;
	return n;
}

/* n bytes have been taken out. */
static ssize_t taken(struct pipe *p, ssize_t n)
{
	if (n <= 0)
		return n < 0 ? -errno : -EIO;
	p->bytes -= (size_t)n;
	return n;
}

ssize_t pipe_read(struct pipe *p, void *ret, size_t len)
{
	return taken(p, read(p->fd[0], ret, len));
}

ssize_t pipe_discard(struct pipe *p, int fd, size_t len)
{
	return taken(p, splice(p->fd[0], NULL, fd, NULL, len, SPLICE_F_NONBLOCK));
}

int pipe_tee(const struct pipe *p, struct pipe *copy)
{
	ssize_t n = tee(p->fd[0], copy->fd[1], p->bytes, SPLICE_F_NONBLOCK);

	if (n < 0)
		return -errno;
	copy->bytes = (size_t)n;
	return 0;
}
