/* SPDX-License-Identifier: MIT */
/* One connection, request after request: read a head, decide, forward or refuse. */
#pragma once

#include "config/config.h"
#include "net/client.h"
#include "net/stream.h"
#include "process/sandbox.h"
#include "proxy/tunnel.h"

struct conn_setup {
	const struct config *cfg;
	const struct client *client; /* copied */
	int sigfd;                   /* borrowed; readable after SIGTERM */
	struct tunnel_random random;
	int null_fd;        /* of /dev/null; borrowed */
	bool misconfigured; /* each request gets a 500 */
	int error; /* -errno: sends a 500 at once, or nothing if it is TLS; 0: no error */
	const char *failure;     /* of that error: "cannot ..." */
	struct sandbox *sandbox; /* borrowed; entered, unless error is set */
	struct stream_tls *tls;  /* borrowed; NULL: plain HTTP */
};

/*
 * Serves the connection on fd, which it takes over, until one side ends it. Errors of the peers are
 * logged here. Returns 0; -EBADMSG if a request or the start of TLS has shown an error in the
 * configuration; or another -errno after a fault of the gate before the first request (all are logged).
 */
int conn_serve(int fd, const struct conn_setup *setup);
