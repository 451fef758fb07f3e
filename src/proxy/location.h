/* SPDX-License-Identifier: MIT */
/* URLs in a backend's answer that lead the browser to the backend itself. No I/O. */
#ifndef NOVNC_GATE_LOCATION_H
#define NOVNC_GATE_LOCATION_H

#include "base/buf.h"
#include "config/config.h"

/*
 * Whether a URL names that backend and may be sent without its scheme and authority. *ret_path
 * is then what is behind these: it begins with "/", "?" or "#", or is empty.
 */
bool location_names(const struct backend *be, struct slice url, struct slice *ret_path);

/* The URL in a Refresh, as browsers find it; empty where they find none. */
struct slice location_in_refresh(struct slice value);

#endif
