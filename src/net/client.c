/* SPDX-License-Identifier: MIT */
#include "net/client.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

static int option_get(int fd, int option, int *ret)
{
	socklen_t len = sizeof(*ret);

	return getsockopt(fd, SOL_SOCKET, option, ret, &len) < 0 ? -errno : 0;
}

static void client_format(const struct sockaddr_storage *ss, struct client *ret)
{
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)ss;
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)ss;
	bool mapped = ss->ss_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr);
	size_t size = sizeof(ret->address);

	*ret = (struct client){ .text = "local" };
	if (ss->ss_family == AF_INET || mapped) {
		(void)inet_ntop(AF_INET,
				mapped ? (const void *)&v6->sin6_addr.s6_addr[12]
				       : (const void *)&v4->sin_addr,
				ret->address, (socklen_t)size); /* fits */
		(void)snprintf(ret->text, sizeof(ret->text), "%s:%u", ret->address,
			       ntohs(mapped ? v6->sin6_port : v4->sin_port));
	} else if (ss->ss_family == AF_INET6) {
		(void)inet_ntop(AF_INET6, &v6->sin6_addr, ret->address, (socklen_t)size);
		(void)snprintf(ret->text, sizeof(ret->text), "[%s]:%u", ret->address,
			       ntohs(v6->sin6_port));
	}
}

enum client_peer client_identify(int fd, struct client *ret)
{
	struct sockaddr_storage ss = { 0 };
	socklen_t len = sizeof(ss);
	int type, listening;

	if (option_get(fd, SO_TYPE, &type) < 0 || type != SOCK_STREAM ||
	    option_get(fd, SO_ACCEPTCONN, &listening) < 0)
		return CLIENT_NO_STREAM;
	if (listening)
		return CLIENT_LISTENING;
	if (getpeername(fd, (struct sockaddr *)&ss, &len) < 0)
		return errno == ENOTCONN ? CLIENT_GONE : CLIENT_NO_STREAM;
	client_format(&ss, ret);
	return CLIENT_CONNECTED;
}
