/* SPDX-License-Identifier: MIT */
/* `--check`: requests a page from a backend. */
#pragma once

#include "config/config.h"

/*
 * Sends a request to the backend, with the configured time limits, and prints the result. Returns 0
 * after an HTTP response with any status; -ELOOP if the gate itself has responded; else -errno.
 */
int check_backend(const struct config *cfg, enum config_backend backend);
