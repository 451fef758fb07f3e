/* SPDX-License-Identifier: MIT */
/* URLs in a response that would lead the browser past the gate to the backend. No I/O. */
#pragma once

#include "base/buf.h"
#include "config/config.h"

/*
 * Returns true if a URL names that backend and means the same without its scheme and authority.
 * *ret_path is then the rest: it begins with "/", "?" or "#", or is empty.
 */
bool location_names(const struct backend *be, struct slice url, struct slice *ret_path);

/* The URL in a Refresh field, as browsers find it; empty if they find none. */
struct slice location_in_refresh(struct slice value);
