/* SPDX-License-Identifier: MIT */
/* A session as a browser opens it, through the gate on this machine, step by step. */
#pragma once

#include <netinet/in.h>

#include "ctl/gate.h"

/*
 * The gate listens at this address; at :: or 0.0.0.0, everywhere. Adds a result for each step. Returns 0 if the
 * session was opened; else an exit code of `check`.
 */
int handshake_run(const struct ctl *o, const struct in6_addr *address, uint16_t port,
		  struct gate_report *r);
