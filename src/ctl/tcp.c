/* SPDX-License-Identifier: MIT */
#include "ctl/tcp.h"

#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "ctl/memory.h"

#define TCP_DATAGRAM_MAX 65536 /* the kernel's are at most half as long */
/* All states but those without counters: TIME_WAIT, CLOSE and LISTEN. */
#define TCP_STATES       (~(1U << 6 | 1U << 7 | 1U << 10))

/* ---- the answer */

static struct in6_addr address_of(uint8_t family, const uint32_t from[4])
{
	struct in6_addr to = { 0 };

	if (family == AF_INET) {
		memset(&to.s6_addr[10], 0xff, 2);
		memcpy(&to.s6_addr[12], from, 4);
	} else {
		memcpy(&to, from, sizeof(to));
	}
	return to;
}

/* An older kernel's structure is shorter, a newer one's longer. */
static void counters_read(const struct rtattr *a, struct tcp_connection *ret)
{
	struct tcp_info info = { 0 };
	size_t len = RTA_PAYLOAD(a);

	memcpy(&info, RTA_DATA(a), len < sizeof(info) ? len : sizeof(info));
	/* the SYN is acknowledged like a byte */
	ret->sent = info.tcpi_bytes_acked > 0 ? info.tcpi_bytes_acked - 1 : 0;
	ret->received = info.tcpi_bytes_received;
	ret->idle_ms = info.tcpi_last_data_sent < info.tcpi_last_data_recv
			       ? info.tcpi_last_data_sent
			       : info.tcpi_last_data_recv;
}

static void append(struct tcp *t, const struct tcp_connection *c)
{
	if ((t->n & (t->n - 1)) == 0) /* full: its room is a power of two */
		t->connections =
			memory_array(t->connections, t->n > 0 ? 2 * t->n : 1, sizeof(*c));
	t->connections[t->n++] = *c;
}

/* Appends one connection; those without counters are left out. */
static void message_read(const struct nlmsghdr *h, struct tcp *t)
{
	const struct inet_diag_msg *m = NLMSG_DATA(h);
	struct tcp_connection c;
	const struct rtattr *a;
	size_t left;

	if (h->nlmsg_len < NLMSG_LENGTH(sizeof(*m)))
		return;
	c.ends = (struct parse_ends){
		.local = address_of(m->idiag_family, m->id.idiag_src),
		.remote = address_of(m->idiag_family, m->id.idiag_dst),
		.local_port = ntohs(m->id.idiag_sport),
		.remote_port = ntohs(m->id.idiag_dport),
	};
	left = h->nlmsg_len - NLMSG_LENGTH(sizeof(*m));
	a = (const struct rtattr *)(m + 1);
	while (left >= sizeof(*a) && a->rta_len >= sizeof(*a) && a->rta_len <= left) {
		size_t step = RTA_ALIGN(a->rta_len);

		if (a->rta_type == INET_DIAG_INFO) {
			counters_read(a, &c);
			append(t, &c);
			return;
		}
		if (step > left)
			return;
		left -= step;
		a = (const struct rtattr *)((const char *)a + step);
	}
}

static int error_read(const struct nlmsghdr *h)
{
	const struct nlmsgerr *e = NLMSG_DATA(h);

	if (h->nlmsg_len < NLMSG_LENGTH(sizeof(*e)) || e->error >= 0)
		return -EBADMSG;
	return e->error;
}

int tcp_parse(const void *datagram, size_t len, struct tcp *t)
{
	const char *p = datagram;

	while (len >= sizeof(struct nlmsghdr)) {
		const struct nlmsghdr *h = (const struct nlmsghdr *)p;
		size_t step;

		if (h->nlmsg_len < sizeof(*h) || h->nlmsg_len > len)
			return 0;
		if (h->nlmsg_type == NLMSG_DONE)
			return 1;
		if (h->nlmsg_type == NLMSG_ERROR)
			return error_read(h);
		if (h->nlmsg_type == SOCK_DIAG_BY_FAMILY)
			message_read(h, t);
		step = NLMSG_ALIGN(h->nlmsg_len);
		if (step > len)
			return 0;
		p += step;
		len -= step;
	}
	return 0;
}

/* ---- the question */

static int ask(int fd, uint8_t family)
{
	struct {
		struct nlmsghdr header;
		struct inet_diag_req_v2 request;
	} q = {
		.header = { .nlmsg_len = sizeof(q),
			    .nlmsg_type = SOCK_DIAG_BY_FAMILY,
			    .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP },
		.request = { .sdiag_family = family,
			     .sdiag_protocol = IPPROTO_TCP,
			     .idiag_ext = 1 << (INET_DIAG_INFO - 1),
			     .idiag_states = TCP_STATES },
	};

	return send(fd, &q, sizeof(q), 0) < 0 ? -errno : 0;
}

static int receive_all(int fd, char *room, struct tcp *t)
{
	int r = 0;

	while (r == 0) {
		ssize_t n = recv(fd, room, TCP_DATAGRAM_MAX, 0);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n >= 0)
			r = tcp_parse(room, (size_t)n, t);
	}
	return r < 0 ? r : 0;
}

static int compare(const void *a, const void *b)
{
	return memcmp(&((const struct tcp_connection *)a)->ends,
		      &((const struct tcp_connection *)b)->ends,
		      sizeof(struct parse_ends));
}

int tcp_read(struct tcp *ret)
{
	static const uint8_t families[] = { AF_INET, AF_INET6 };
	AUTO_FD int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
	char *room = memory_array(NULL, TCP_DATAGRAM_MAX, 1);
	int r = fd < 0 ? -errno : 0;

	_Static_assert(sizeof(struct parse_ends) == 36, "no padding, for memcmp()");
	*ret = (struct tcp){ 0 };
	for (size_t i = 0; i < sizeof(families) && r == 0; i++) {
		r = ask(fd, families[i]);
		if (r == 0)
			r = receive_all(fd, room, ret);
		if (r == -ENOENT && families[i] == AF_INET6)
			r = 0; /* a kernel without IPv6 */
	}
	free(room);
	if (ret->n > 0)
		qsort(ret->connections, ret->n, sizeof(ret->connections[0]), compare);
	return r;
}

const struct tcp_connection *tcp_find(const struct tcp *t, const struct parse_ends *ends)
{
	const struct tcp_connection key = { .ends = *ends };

	if (t->n == 0)
		return NULL;
	return bsearch(&key, t->connections, t->n, sizeof(key), compare);
}

void tcp_done(struct tcp *t)
{
	free(t->connections);
	*t = (struct tcp){ 0 };
}
