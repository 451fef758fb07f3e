/* SPDX-License-Identifier: MIT */
/* The sockets of the gate: do they listen, where, how many connections they have. */
#pragma once

#include <netinet/in.h>

#include "ctl/systemd.h"

#define SOCKETS_KINDS 3

/* The services that start them, in the order http, tls, proxy, with NULL at the end. */
extern const char *const sockets_umbrellas[SOCKETS_KINDS + 1];

/* Connections that one socket has accepted and refused since systemd has loaded it. */
struct sockets_count {
	char *unit;
	uint64_t accepted, refused;
};

/* All sockets of one kind, which share a port. */
struct sockets {
	const char *umbrella; /* "novnc-gate.service" */
	char *active;         /* its state; NULL: not loaded */
	size_t n, listening;  /* sockets; those that listen */
	char *listen;         /* "[::]:3000", NULL: none are loaded */
	uint64_t open, limit; /* connections now; MaxConnections= of all together */
	uint64_t fullest, fullest_limit; /* of the fullest socket */
	uint64_t accepted, refused;      /* since systemd has loaded the sockets */
	struct sockets_count *count;     /* owned: the two above, of each socket */
};

/* Returns 0; -ENOPKG, if systemd finds no novnc-gate.service; or another -errno. */
int sockets_installed(sd_bus *bus);

/* Reads all kinds, in that order. Returns 0 or -errno. */
int sockets_read(sd_bus *bus, struct sockets ret[static SOCKETS_KINDS]);
void sockets_done(struct sockets kinds[static SOCKETS_KINDS]);

/* True if any of them listens. */
bool sockets_listen(const struct sockets kinds[static SOCKETS_KINDS]);

/* An address to which a browser can connect: of plain HTTP or, if that does not listen, of TLS. */
struct sockets_address {
	bool listens; /* false: neither does */
	bool tls;
	struct in6_addr address; /* :: and 0.0.0.0: everywhere */
	uint16_t port;
};

int sockets_address(sd_bus *bus, struct sockets_address *ret);
