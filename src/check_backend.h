/* SPDX-License-Identifier: MIT */
/* `--check`: requests a page from a backend. */
#pragma once

#include "config/config.h"

/*
 * Sends a request to the backend, with the configured time limits, and prints the result. Returns
 * true after an HTTP response with any status, unless the gate itself has responded.
 */
bool check_backend(const struct config *cfg, enum config_backend backend);
