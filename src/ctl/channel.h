/* SPDX-License-Identifier: MIT */
/* A connection to the gate on this machine, plain or with TLS. */
#pragma once

#include <netinet/in.h>

#include "base/buf.h"
#include "tls/tls.h"

struct channel {
	int fd;          /* owned; -1: none */
	uint64_t end_ms; /* of all waits */
	/* NULL until channel_start_tls() */
	const struct tls_module *module;
	struct tls *tls; /* owned */
	struct tls_why why;
};

/* Addresses at which a program listens on all: :: and 0.0.0.0. */
bool channel_is_everywhere(const struct in6_addr *address);

/*
 * Connects to this address, or to loopback for such an address. The caller has set fd to -1 and end_ms. Returns 0
 * or -errno; the caller calls channel_done() in any case.
 */
int channel_open(struct channel *c, const struct in6_addr *address, uint16_t port);

/* The handshake of TLS; the certificate is not verified. Returns 0 or -errno. */
int channel_start_tls(struct channel *c);

/* Sends all. Returns 0 or -errno. */
int channel_write(struct channel *c, struct slice data);

/* Fills the room of b (which must have some). Returns the count; 0 at the end of the connection; or -errno. */
ssize_t channel_read(struct channel *c, struct buf *b);

/* The words for the last -errno, but -ETIMEDOUT. Borrowed. */
const char *channel_why(const struct channel *c, int error);

void channel_done(struct channel *c);
