/* SPDX-License-Identifier: MIT */
/* `--check`: requests a page from a backend. */
#pragma once

#include "config/config.h"

/*
 * Sends a request to the backend, with the configured time limits, and prints the result as check_say() does. Returns
 * true after a final HTTP response with any status except 101, unless the backend is the gate itself.
 */
bool check_backend(bool report, const struct config *cfg, enum config_backend backend);
