/* SPDX-License-Identifier: MIT */
/* The beginning of a tunnel, and the sentence about its end. */
#pragma once

#include "proxy/relay.h"

/* Begins the tunnel, behind the 101 in the client's buffer. */
void tunnel_begin(struct relay *r);

/* Sets *ret to how the tunnel ended; failed: the flow that failed, or NULL. */
void tunnel_explain(const struct relay *r, const struct flow *failed,
		    enum fault_blame blame, struct fault *ret);

/* The name of the client or the backend in sentences. */
const char *tunnel_side(const struct relay *r, enum relay_side side);
