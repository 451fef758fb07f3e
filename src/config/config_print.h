/* SPDX-License-Identifier: MIT */
/* Prints a configuration as a file (for --check). */
#pragma once

#include "config/config.h"

/* Prints every section, key and effective value to standard output. */
void config_print(const struct config *c);
