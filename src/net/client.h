/* SPDX-License-Identifier: MIT */
/* Who is at the other end of the connection. */
#ifndef NOVNC_GATE_CLIENT_H
#define NOVNC_GATE_CLIENT_H

#include <arpa/inet.h>
#include <stdbool.h>

struct client {
	char address[INET6_ADDRSTRLEN]; /* v4-mapped as v4; "" for a local socket */
	char text[INET6_ADDRSTRLEN +
		  8];        /* "192.0.2.1:51234", "[2001:db8::1]:51234", "local" */
	bool tls;            /* it speaks TLS with us, */
	const char *subject; /* and this is whom its certificate names; NULL for nobody */
};

/*
 * Asks fd for its peer. Returns 0; -ENOTSOCK where fd is no stream socket, -EINVAL where
 * it listens (Accept=no), -ENOTCONN where the peer is gone already.
 */
int client_identify(int fd, struct client *ret);

#endif
