/* SPDX-License-Identifier: MIT */
/* The client: the peer that connected, or the one that a PROXY header has named instead. */
#pragma once

#include <arpa/inet.h>
#include <stdbool.h>

struct client {
	char address[INET6_ADDRSTRLEN]; /* v4-mapped as IPv4; "" for a local socket */
	/* "192.0.2.1:51234", "[2001:db8::1]:51234", "local" */
	char text[INET6_ADDRSTRLEN + 8];
	bool tls;            /* its connection is TLS */
	const char *subject; /* of its certificate; NULL: it sent none */
};

enum client_peer {
	CLIENT_CONNECTED,
	CLIENT_GONE,      /* it has closed the connection already */
	CLIENT_LISTENING, /* no connection, but a listening socket (Accept=no) */
	CLIENT_NO_STREAM, /* no stream socket, or no socket at all */
};

/* Gets the address of fd's peer. *ret is written only if the result is CLIENT_CONNECTED. */
enum client_peer client_identify(int fd, struct client *ret);

/* Sets the address and the port; an IPv4 address is v4-mapped. */
void client_set_address(struct client *c, const struct in6_addr *address, uint16_t port);

/* Room for the text of client_ends(). */
#define CLIENT_ENDS_MAX (2 * (INET6_ADDRSTRLEN + 8))

/*
 * Writes both ends of a connection, the local one first, as in the names of connections' units:
 * "192.0.2.10:40001-192.0.2.20:4000". Returns false for a local socket, or after an error.
 */
bool client_ends(int fd, char ret[static CLIENT_ENDS_MAX]);

/* The backend that was dialled has the address at which the client was accepted. */
bool client_is_loop(int dialled_fd, int accepted_fd);
