/* SPDX-License-Identifier: MIT */
/* `--check`: requests a page from a backend. */
#pragma once

#include "config/config.h"

/*
 * Sends a request to the backend, with the configured time limits, and prints the result. Returns
 * true after a final HTTP response with any status except 101, unless the backend is the gate itself.
 */
bool check_backend(const struct config *cfg, enum config_backend backend);
