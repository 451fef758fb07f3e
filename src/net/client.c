/* SPDX-License-Identifier: MIT */
#include "net/client.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/network.h"

static int option_get(int fd, int option, int *ret)
{
	socklen_t len = sizeof(*ret);

	return getsockopt(fd, SOL_SOCKET, option, ret, &len) < 0 ? -errno : 0;
}

/* An IPv4 address becomes a v4-mapped one; a local socket keeps its family. */
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

void client_set_address(struct client *c, const struct in6_addr *address, uint16_t port)
{
	bool v4 = IN6_IS_ADDR_V4MAPPED(address);

	network_format(address, c->address);
	(void)snprintf(c->text, sizeof(c->text), v4 ? "%s:%u" : "[%s]:%u", c->address,
		       port);
}

enum client_peer client_identify(int fd, struct client *ret)
{
	struct sockaddr_storage ss = { 0 };
	socklen_t len = sizeof(ss);
	struct sockaddr_in6 peer;
	int type, listening;

	if (option_get(fd, SO_TYPE, &type) < 0 || type != SOCK_STREAM ||
	    option_get(fd, SO_ACCEPTCONN, &listening) < 0)
		return CLIENT_NO_STREAM;
	if (listening)
		return CLIENT_LISTENING;
	if (getpeername(fd, (struct sockaddr *)&ss, &len) < 0)
		return errno == ENOTCONN ? CLIENT_GONE : CLIENT_NO_STREAM;
	*ret = (struct client){ .text = "local" };
	peer = mapped(&ss);
	if (peer.sin6_family == AF_INET6)
		client_set_address(ret, &peer.sin6_addr, ntohs(peer.sin6_port));
	return CLIENT_CONNECTED;
}

bool client_ends(int fd, char ret[static CLIENT_ENDS_MAX])
{
	struct sockaddr_storage own = { 0 }, peer = { 0 };
	socklen_t own_len = sizeof(own), peer_len = sizeof(peer);
	struct sockaddr_in6 here, there;
	struct client local, remote;

	if (getsockname(fd, (struct sockaddr *)&own, &own_len) < 0 ||
	    getpeername(fd, (struct sockaddr *)&peer, &peer_len) < 0 ||
	    own.ss_family == AF_UNIX)
		return false;
	here = mapped(&own);
	there = mapped(&peer);
	client_set_address(&local, &here.sin6_addr, ntohs(here.sin6_port));
	client_set_address(&remote, &there.sin6_addr, ntohs(there.sin6_port));
	(void)snprintf(ret, CLIENT_ENDS_MAX, "%s-%s", local.text, remote.text); /* fits */
	return true;
}

bool client_is_loop(int dialled_fd, int accepted_fd)
{
	struct sockaddr_storage there = { 0 }, here = { 0 };
	socklen_t there_len = sizeof(there), here_len = sizeof(here);
	struct sockaddr_in6 x, y;

	if (getpeername(dialled_fd, (struct sockaddr *)&there, &there_len) < 0 ||
	    getsockname(accepted_fd, (struct sockaddr *)&here, &here_len) < 0)
		return false; /* the next use of that socket returns the error */
	if (there.ss_family == AF_UNIX)
		return there_len == here_len && there_len > sizeof(sa_family_t) &&
		       memcmp(&there, &here, here_len) == 0;
	x = mapped(&there);
	y = mapped(&here);
	return y.sin6_family == AF_INET6 && x.sin6_port == y.sin6_port &&
	       memcmp(&x.sin6_addr, &y.sin6_addr, sizeof(x.sin6_addr)) == 0;
}
