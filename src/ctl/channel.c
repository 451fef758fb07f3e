/* SPDX-License-Identifier: MIT */
#include "ctl/channel.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "ctl/gate.h"

/* The module of TLS that connections use is loaded only when it is needed: it brings OpenSSL. */
#define MODULE "novnc-gate-tls.so"

/* ---- connecting */

/* Returns a descriptor, or -errno. */
static int connect_to(const struct in6_addr *address, uint16_t port)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(port) };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6,
				   .sin6_port = htons(port),
				   .sin6_addr = *address };
	bool is_v4 = IN6_IS_ADDR_V4MAPPED(address);
	const struct sockaddr *sa =
		is_v4 ? (struct sockaddr *)&v4 : (struct sockaddr *)&v6;
	int fd = socket(sa->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	memcpy(&v4.sin_addr, &address->s6_addr[12], sizeof(v4.sin_addr));
	if (fd >= 0 && connect(fd, sa, is_v4 ? sizeof(v4) : sizeof(v6)) == 0 &&
	    fcntl(fd, F_SETFL, O_NONBLOCK) == 0)
		return fd;
	fd_close_auto(&fd);
	return -errno;
}

bool channel_is_everywhere(const struct in6_addr *address)
{
	static const struct in6_addr any = { .s6_addr = { [10] = 0xff, [11] = 0xff } };

	return IN6_IS_ADDR_UNSPECIFIED(address) || IN6_ARE_ADDR_EQUAL(address, &any);
}

int channel_open(struct channel *c, const struct in6_addr *address, uint16_t port)
{
	static const struct in6_addr loopback = {
		.s6_addr = { [10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1 }
	};
	bool everywhere = channel_is_everywhere(address);

	c->fd = connect_to(everywhere ? &loopback : address, port);
	if (c->fd < 0 && everywhere)
		c->fd = connect_to(&in6addr_loopback, port);
	return c->fd < 0 ? c->fd : 0;
}

/* ---- TLS */

/* Beside the libraries of the gate, or where everything is in one directory, beside this program. */
static void *module_open(void)
{
	static const char *const places[] = { "../lib/novnc-gate/" MODULE, MODULE };
	char path[PATH_MAX];
	void *library = NULL;

	for (size_t i = 0; !library && i < COUNT(places); i++)
		if (gate_path(places[i], path) == 0)
			library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	return library;
}

static int module_load(struct channel *c)
{
	void *library = module_open(); /* stays until the program ends */
	const struct tls_module *m = library ? dlsym(library, TLS_SYMBOL) : NULL;
	const char *error = library ? NULL : dlerror();

	if (m && strcmp(m->version, NOVNC_GATE_VERSION) == 0 && m->layout == TLS_LAYOUT) {
		c->module = m;
		return 0;
	}
	(void)snprintf(c->why.text, sizeof(c->why.text), "%s",
		       library ? MODULE " is not from version " NOVNC_GATE_VERSION
		       : error ? error
			       : MODULE " is not there");
	return -ELIBACC;
}

static int wait_for(struct channel *c, short events)
{
	struct pollfd p[] = { { .fd = -1 }, { .fd = c->fd, .events = events } };
	int r = clock_wait(p, 2, clock_ms(), c->end_ms);

	return r < 0 ? r : 0;
}

/* The error of a call of the module, with its words. */
static int failed(struct channel *c, int error)
{
	(void)snprintf(c->why.text, sizeof(c->why.text), "%s", c->module->why(c->tls));
	return error;
}

int channel_start_tls(struct channel *c)
{
	/* the peer is this machine: no certificate can say more */
	const struct backend gate = { .name = "novnc-gate",
				      .section = "Tls",
				      .host = "localhost" };
	int r = module_load(c);
	short wants;

	if (r < 0)
		return r;
	if (c->module->connect(c->fd, &gate, NULL, &c->tls, &c->why) != TLS_READY)
		return -ELIBACC;
	while ((r = c->module->handshake(c->tls, &wants)) == -EAGAIN)
		if ((r = wait_for(c, wants)) < 0)
			return r;
	return r < 0 ? failed(c, r) : 0;
}

/* ---- bytes */

static ssize_t write_some(struct channel *c, struct slice data, short *wants)
{
	const struct iovec iov = { (void *)data.p, data.len };
	ssize_t n;

	if (c->tls)
		return c->module->write(c->tls, &iov, 1, wants);
	*wants = POLLOUT;
	n = send(c->fd, data.p, data.len, MSG_NOSIGNAL);
	return n < 0 ? -errno : n;
}

int channel_write(struct channel *c, struct slice data)
{
	short wants;

	while (data.len > 0) {
		ssize_t n = write_some(c, data, &wants);

		if (n > 0)
			data = slice_from(data, (size_t)n);
		else if (n != -EAGAIN)
			return c->tls ? failed(c, (int)n) : (int)n;
		else if ((n = wait_for(c, wants)) < 0)
			return (int)n;
	}
	return 0;
}

static ssize_t read_some(struct channel *c, struct buf *b, short *wants)
{
	ssize_t n;

	if (c->tls)
		return c->module->read(c->tls, b, wants);
	*wants = POLLIN;
	n = recv(c->fd, b->data + b->end, buf_room(b), 0);
	b->end += n > 0 ? (size_t)n : 0;
	return n < 0 ? -errno : n;
}

ssize_t channel_read(struct channel *c, struct buf *b)
{
	short wants;
	ssize_t n;
	int r;

	while ((n = read_some(c, b, &wants)) == -EAGAIN)
		if ((r = wait_for(c, wants)) < 0)
			return r;
	return n < 0 && c->tls ? failed(c, (int)n) : n;
}

const char *channel_why(const struct channel *c, int error)
{
	return c->why.text[0] ? c->why.text : strerror(-error);
}

void channel_done(struct channel *c)
{
	if (c->tls)
		c->module->free(c->tls, true);
	fd_close_auto(&c->fd);
	*c = (struct channel){ .fd = -1 };
}
