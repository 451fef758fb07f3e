/* SPDX-License-Identifier: MIT */
/* Prints a configuration as a file (for --check). */
#ifndef NOVNC_GATE_CONFIG_PRINT_H
#define NOVNC_GATE_CONFIG_PRINT_H

#include "config/config.h"

/* Prints every section, key and effective value to standard output. */
void config_print(const struct config *c);

#endif
