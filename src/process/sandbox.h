/* SPDX-License-Identifier: MIT */
/*
 * The sandbox: what this process cannot do any more. The process enters the sandbox before it reads
 * the first byte of its client, and tightens it when a tunnel is established. That costs
 * microseconds; the same in the unit would cost milliseconds. Builds with NOVNC_GATE_UNCONFINED
 * have none (sanitizers and valgrind need system calls that it forbids).
 */
#pragma once

#include <stdbool.h>

#include "config/config.h"

/* Needs of a process before a tunnel, besides TCP connections to literal addresses. */
enum sandbox_need {
	SANDBOX_UNIX = 1,    /* a backend behind a Unix socket */
	SANDBOX_LOAD = 2,    /* libraries, by the dynamic loader */
	SANDBOX_RESOLVE = 4, /* a backend given by name; never without the two above */
	SANDBOX_TLS = 8, /* TLS with a client or a backend; never without SANDBOX_LOAD */
};

/* Parts of the sandbox in this build, for --version. */
extern const char sandbox_parts[];

/* The sandbox that the process is in. */
struct sandbox {
	/* a sentence about the parts that the system lacks, or NULL */
	const char *missing;
	enum {
		SANDBOX_NO_SECCOMP,
		SANDBOX_SECCOMP,
		SANDBOX_SECCOMP_TLS, /* TLS is possible: a tunnel may need OpenSSL's calls */
	} seccomp;
	bool tightened; /* for a tunnel, with a second seccomp program */
};

/* Returns the needs of this configuration, as bits. tls: the client speaks TLS. */
unsigned sandbox_needs(const struct config *cfg, bool tls);

/* Enters the sandbox. Returns 0, or -errno, after which nothing may be served. */
int sandbox_enter(const struct config *cfg, bool tls, struct sandbox *ret);

/*
 * Tightens the sandbox for a tunnel: from now on the process opens no file or socket (only pipes),
 * connects to nothing and loads no library; it moves bytes between the descriptors that it has.
 * For RecheckSec= it may still open stream sockets of one address family and connect them; AF_UNSPEC: none.
 * Returns 0, or -errno, after which the tunnel must not go on.
 */
int sandbox_tighten(struct sandbox *sandbox, int family);
