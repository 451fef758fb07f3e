/* SPDX-License-Identifier: MIT */
/* How a tunnel has ended, as a sentence for its closing entry. */
#pragma once

#include "proxy/fault.h"
#include "proxy/tunnel.h"

/* The tunnel is over. poll_error is the -errno behind TUNNEL_FAULT. */
void tunnel_fault(const struct tunnel *t, int poll_error, struct fault *ret);
