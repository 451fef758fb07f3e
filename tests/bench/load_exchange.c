/* SPDX-License-Identifier: MIT */
/* Exchanges on plain connections that stand, as many at once as are asked for. */
#include <sys/epoll.h>
#include <sys/socket.h>

#include "bench.h"
#include "load.h"

#define WARM_NS 50000000

struct peer {
	int fd;
	uint64_t sent_ns; /* 0: not a sample */
	size_t len;
	char buf[4096];
};

struct exchange {
	bool is_page;
	const char *message;
	size_t len;
	int epoll;
};

/* Whether the answer is there, and whole. */
static bool is_whole(const struct peer *p, bool is_page)
{
	const char *end, *length;

	if (!is_page)
		return p->len == PONG_SIZE;
	end = memmem(p->buf, p->len, "\r\n\r\n", 4);
	if (!end)
		return false;
	length = strcasestr(p->buf, "\r\ncontent-length:");
	if (strncmp(p->buf, "HTTP/1.1 200", 12) != 0 || !length)
		fail("not the page");
	return p->len == (size_t)(end + 4 - p->buf) + strtoull(length + 17, NULL, 10);
}

/* One read; after a whole answer the next message. */
static void exchange_on(const struct exchange *x, struct peer *p, struct samples *s)
{
	ssize_t n =
		recv(p->fd, p->buf + p->len, sizeof(p->buf) - 1 - p->len, MSG_DONTWAIT);
	uint64_t now = now_ns();

	if (n <= 0)
		fail("recv");
	p->len += (size_t)n;
	p->buf[p->len] = '\0';
	if (!is_whole(p, x->is_page))
		return;
	if (p->sent_ns > 0 && s->n < s->cap)
		s->ns[s->n++] = (uint32_t)(now - p->sent_ns);
	p->len = 0;
	p->sent_ns = now;
	conn_put(&(struct conn){ .fd = p->fd }, x->message, x->len);
}

static void exchange_for(const struct exchange *x, uint64_t ns, struct samples *s)
{
	uint64_t end = now_ns() + ns;
	struct epoll_event ev[64];

	s->n = 0;
	while (now_ns() < end) {
		int n = epoll_wait(x->epoll, ev, 64, 1000);

		if (n <= 0)
			fail("no answer");
		for (int i = 0; i < n; i++)
			exchange_on(x, ev[i].data.ptr, s);
	}
}

void bench_exchange(bool is_page, size_t n, double seconds)
{
	struct samples s = samples_shared(1 << 24);
	struct peer *peers = calloc(n, sizeof(*peers));
	char head[2048];
	struct exchange x = {
		.is_page = is_page,
		.message = is_page ? head : ping,
		.len = is_page ? request(head, sizeof(head), "GET /page", "") : PING_SIZE,
		.epoll = epoll_create1(EPOLL_CLOEXEC),
	};
	uint64_t start;

	if (!peers || x.epoll < 0)
		fail("epoll");
	for (size_t i = 0; i < n; i++) {
		struct epoll_event ev = { .events = EPOLLIN, .data.ptr = &peers[i] };
		struct conn c;

		if (is_page)
			c = conn_dial(load_port);
		else
			(void)tunnel("echo", &c);
		peers[i].fd = c.fd;
		if (epoll_ctl(x.epoll, EPOLL_CTL_ADD, peers[i].fd, &ev) < 0)
			fail("epoll_ctl");
		conn_put(&c, x.message, x.len);
	}
	exchange_for(&x, WARM_NS, &s);
	ready();
	for (size_t i = 0; i < n; i++)
		peers[i].sent_ns = 0; /* they waited for us */
	start = now_ns();
	exchange_for(&x, (uint64_t)(seconds * 1e9), &s);
	report(&s, now_ns() - start);
}
