/* SPDX-License-Identifier: MIT */
/* A session as a browser opens it, through the gate on this machine, step by step. */
#pragma once

#include "ctl/gate.h"
#include "ctl/sockets.h"

/* The gate listens at that address. Adds a result for each step. Returns 0 if the session was opened; else an exit code of `check`. */
int handshake_run(const struct ctl *o, const struct sockets_address *at,
		  struct gate_report *r);
