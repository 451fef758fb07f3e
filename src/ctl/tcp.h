/* SPDX-License-Identifier: MIT */
/* The kernel's counters of each TCP connection of this machine: sock_diag(7), for any user. */
#pragma once

#include <stddef.h>

#include "ctl/parse.h"

struct tcp_connection {
	struct parse_ends ends;
	uint64_t sent,
		received; /* bytes that were acknowledged; without retransmissions */
	uint64_t idle_ms; /* since data was last sent or received */
};

struct tcp {
	struct tcp_connection
		*connections; /* owned; sorted by their ends after tcp_read() */
	size_t n;
};

/* Asks the kernel for all connections. Returns 0 or -errno; *ret is fine for tcp_done() in any case. */
int tcp_read(struct tcp *ret);

/* The connection with these ends, or NULL. */
const struct tcp_connection *tcp_find(const struct tcp *t, const struct parse_ends *ends);

void tcp_done(struct tcp *t);

/*
 * Reads one datagram of the kernel's answer and appends its connections; a message that is cut, and
 * what follows it, is left out. Returns 0 if more datagrams follow, 1 after the last one, or -errno.
 */
int tcp_parse(const void *datagram, size_t len, struct tcp *t);
