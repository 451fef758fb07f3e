/* SPDX-License-Identifier: MIT */
/*
 * The floor: the least that an inetd helper can do. Connects to 127.0.0.1:PORT and splices both
 * ways until both sides have ended; parses nothing, decides nothing, logs nothing. The yardstick of
 * the bench, so it stays as it is: a change needs its reason in the commit that makes it.
 */
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define PIPE_SIZE (1024 * 1024)
#define GROW_AT   (32 * 1024) /* an idle tunnel keeps the pipes it was born with */

struct flow {
	int from, to, pipe[2];
	ssize_t held; /* in the pipe */
	bool grown, ended;
};

/* Sockets that neither block nor wait for more to send. */
static int prepare(int fd)
{
	static const int on = 1;

	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	return fcntl(fd, F_SETFL, O_RDWR | O_NONBLOCK);
}

static int dial(int port)
{
	struct sockaddr_in sa = {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
		return -1;
	return fd;
}

/* One move in and one out, as far as they go; false on an error. */
static bool step(struct flow *f, bool can_read)
{
	ssize_t n;

	if (can_read && f->held == 0) {
		n = splice(f->from, NULL, f->pipe[1], NULL, PIPE_SIZE, SPLICE_F_NONBLOCK);
		if (n < 0)
			return false;
		if (n == 0) {
			f->ended = true;
			return shutdown(f->to, SHUT_WR) == 0;
		}
		f->held = n;
		if (n >= GROW_AT && !f->grown) {
			(void)fcntl(f->pipe[1], F_SETPIPE_SZ, PIPE_SIZE);
			f->grown = true;
		}
	}
	if (f->held > 0) {
		n = splice(f->pipe[0], NULL, f->to, NULL, (size_t)f->held,
			   SPLICE_F_NONBLOCK);
		if (n > 0)
			f->held -= n;
	}
	return true;
}

int main(int argc, char *argv[])
{
	int backend = argc == 2 ? dial(atoi(argv[1])) : -1;
	struct flow up = { .from = STDIN_FILENO, .to = backend },
		    down = { .from = backend, .to = STDIN_FILENO };

	if (backend < 0 || prepare(STDIN_FILENO) < 0 || prepare(backend) < 0 ||
	    pipe2(up.pipe, O_CLOEXEC) < 0 || pipe2(down.pipe, O_CLOEXEC) < 0)
		return EXIT_FAILURE;
	(void)close(STDOUT_FILENO); /* inetd's second name for the connection */
	while (!up.ended || !down.ended) {
		struct pollfd p[] = { { .fd = STDIN_FILENO }, { .fd = backend } };

		p[0].events = (short)((up.ended || up.held > 0 ? 0 : POLLIN) |
				      (down.held > 0 ? POLLOUT : 0));
		p[1].events = (short)((down.ended || down.held > 0 ? 0 : POLLIN) |
				      (up.held > 0 ? POLLOUT : 0));
		if (poll(p, 2, -1) < 0)
			return EXIT_FAILURE;
		if ((p[0].revents | p[1].revents) & (POLLERR | POLLNVAL))
			return EXIT_FAILURE;
		if (!step(&up, !up.ended && p[0].revents & (POLLIN | POLLHUP)) ||
		    !step(&down, !down.ended && p[1].revents & (POLLIN | POLLHUP)))
			return EXIT_FAILURE;
	}
	return EXIT_SUCCESS;
}
