/* SPDX-License-Identifier: MIT */
/* One connection, request after request. */
#ifndef NOVNC_GATE_CONN_H
#define NOVNC_GATE_CONN_H

#include "config/config.h"
#include "net/client.h"
#include "net/stream.h"
#include "process/sandbox.h"

struct conn_setup {
	const struct config *cfg;
	const struct client *client;   /* copied */
	int sigfd;                     /* borrowed; readable when SIGTERM has come */
	bool broken;                   /* the configuration is: each request gets a 500 */
	int unfit;                     /* -errno: nothing is read, a 500 is sent; or 0 */
	const char *unfit_why;         /* what failed */
	const struct sandbox *sandbox; /* borrowed; the first stage, where unfit is 0 */
	struct stream_tls *tls; /* borrowed; TLS with the client; NULL: plain HTTP */
};

/*
 * Serves the connection on fd, which it takes over, until either side ends it. What the
 * peers do wrong is answered and logged here. Returns 0; -EBADMSG where a fault of
 * the configuration showed only then; -errno where the gate itself had to give up (all logged).
 */
int conn_serve(int fd, const struct conn_setup *setup);

#endif
