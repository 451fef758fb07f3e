/* SPDX-License-Identifier: MIT */
/*
 * The process shuts itself in, in two stages that only narrow: before the first byte of input
 * is parsed, and once a tunnel stands. For microseconds, which is why it is here and not in
 * the unit. Left out of builds with NOVNC_GATE_NO_SANDBOX (sanitizers need what it forbids).
 */
#ifndef NOVNC_GATE_SANDBOX_H
#define NOVNC_GATE_SANDBOX_H

#include <stdbool.h>

#include "config/config.h"

/* What the first stage has to leave open beside TCP to a literal address. */
enum sandbox_need {
	SANDBOX_UNIX = 1,    /* a backend behind a Unix socket */
	SANDBOX_LOAD = 2,    /* libraries */
	SANDBOX_RESOLVE = 7, /* a backend given by name; the resolver needs all of it */
	SANDBOX_TLS = 10,    /* TLS; its module, and the certificates of backends */
};

/* The result of the first stage. */
struct sandbox {
	const char *missing; /* what is not to be had here, in words, or NULL */
	bool seccomp;
};

/*
 * The first stage, for what the configuration tells and, with tls, TLS with the client.
 * Returns 0 or -errno, after which nothing may be served.
 */
int sandbox_enter(const struct config *cfg, bool tls, struct sandbox *ret);

/*
 * The second: nothing is opened, dialled or loaded any more, bytes go where they went, tls
 * those of TLS as well.
 * Returns 0 or -errno, after which the tunnel must not go on.
 */
int sandbox_narrow(const struct sandbox *sandbox, bool tls);

#endif
