/* SPDX-License-Identifier: MIT */
/* Is this a WebSocket request; does this 101 answer it (RFC 6455 4). No I/O. */
#ifndef NOVNC_GATE_UPGRADE_H
#define NOVNC_GATE_UPGRADE_H

#include "http/http1.h"

/* Sec-WebSocket-Accept: the base64 of a SHA-1, with a NUL. */
#define UPGRADE_ACCEPT_SIZE 29

/*
 * Whether the head says both `Upgrade: websocket` and `Connection: upgrade`; anything
 * less is no upgrade.
 */
bool upgrade_requested(const struct http1_head *h);

/*
 * Whether a request for an upgrade is one that RFC 6455 4.2.1 lets be answered. Returns
 * 0, or the status to refuse it with (400, 426) and in *why the reason for people.
 */
unsigned upgrade_refusal(const struct http1_head *h, const char **why);

/* What Sec-WebSocket-Accept must be for that Sec-WebSocket-Key, RFC 6455 4.2.2. */
void upgrade_accept(struct slice key, char ret[UPGRADE_ACCEPT_SIZE]);

/* Why a 101 does not open the tunnel (RFC 6455 4.1), for people; NULL where it does. */
const char *upgrade_fault(const struct http1_head *h, const char *accept);

#endif
