/* SPDX-License-Identifier: MIT */
/* The WebSocket opening handshake: requests and 101 responses (RFC 6455 4). No I/O. */
#pragma once

#include "http/http1.h"

/* Sec-WebSocket-Accept is a SHA-1 in base64; with a NUL. */
#define UPGRADE_ACCEPT_SIZE 29

/* The head has both `Upgrade: websocket` and `Connection: upgrade`. */
bool upgrade_requested(const struct http1_head *h);

/*
 * Checks an upgrade as RFC 6455 4.2.1 demands. Returns 0, or the status to refuse it with (400,
 * 426) and sets *why to the reason in words.
 */
unsigned upgrade_refusal(const struct http1_head *h, const char **why);

/* The Sec-WebSocket-Accept for that Sec-WebSocket-Key, RFC 6455 4.2.2. */
void upgrade_accept(struct slice key, char ret[UPGRADE_ACCEPT_SIZE]);

/* The first subprotocol that the client offers, or "". */
struct slice upgrade_first_protocol(const struct http1_head *h);

/* The fault of a 101 that must not open a tunnel (RFC 6455 4.1), in words; or NULL. */
const char *upgrade_fault(const struct http1_head *h, const char *accept);

/*
 * What a 101 without such a fault chooses although the client has not offered it: it must fail then (RFC 6455 4.1).
 * "" if there is nothing; else *ret is "subprotocol" or "extension". request: the head that was sent.
 */
struct slice upgrade_unoffered(const struct http1_head *h, struct slice request,
			       const char **ret);
