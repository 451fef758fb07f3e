/* SPDX-License-Identifier: MIT */
/* Parsers of what systemd knows of a connection: the status and the name of its unit. No I/O. */
#pragma once

#include <netinet/in.h>

#include "base/buf.h"

/* The units of connections, for systemd and fnmatch(3); not those of novnc-gate-metrics.socket. */
#define PARSE_CONNECTIONS "novnc-gate-*-[0-9]*@*.service"

/* Both ends of a TCP connection; IPv4 addresses are v4-mapped. */
struct parse_ends {
	struct in6_addr local, remote;
	uint16_t local_port, remote_port;
};

/* The status of a connection (conn_log.c writes it); slices point into the text, empty: not known. */
struct parse_status {
	bool is_session;
	bool closed;   /* only the process is left (main.c writes this) */
	bool has_ends; /* of the connection to the master-controller */
	struct slice id, user, client;
	struct parse_ends ends;
};

/* Reads a status. Those of earlier gates do not name the connection to the master-controller. */
void parse_status(struct slice text, struct parse_status *ret);

/* "127.0.0.1:40001-127.0.0.1:4000", "[::1]:40001-[::1]:4000". Returns false for anything else. */
bool parse_ends(struct slice text, struct parse_ends *ret);

/* One end: "127.0.0.1:40001", "[::1]:40001". Returns false for anything else. */
bool parse_end(struct slice text, struct in6_addr *ret_address, uint16_t *ret_port);

/*
 * The client in a unit's name, which is the peer that has connected: "192.0.2.1:51234" for
 * "novnc-gate-http-03@7-192.0.2.10:3000-192.0.2.1:51234.service", or "local". free() it.
 */
char *parse_unit_client(const char *unit);
