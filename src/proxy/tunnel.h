/* SPDX-License-Identifier: MIT */
/* A tunnel, from the checked 101 to the words for its end. */
#ifndef NOVNC_GATE_TUNNEL_H
#define NOVNC_GATE_TUNNEL_H

#include "proxy/relay.h"

/* The 101 has been written for the client: from here on bytes are bytes. */
void tunnel_begin(struct relay *r);

/*
 * Sets the fault, one of nobody or with that blame, to how the tunnel ended: by itself, or where
 * `failed` is not NULL, by the failure of that flow.
 */
void tunnel_explain(const struct relay *r, const struct flow *failed,
		    enum fault_blame blame, struct fault *ret);

/* The name of a side, for people. */
const char *tunnel_side(const struct relay *r, enum relay_first side);

#endif
