/* SPDX-License-Identifier: MIT */
/* Counts the entries of the gate, and writes the counters in Prometheus' text format. No I/O but *to. */
#pragma once

#include <stdio.h>

#include "ctl/counters.h"
#include "ctl/events.h"

/* The bounds of the histograms, in rising order, with 0 at the end. */
extern const uint64_t metrics_durations_ms[], metrics_bytes[];

void metrics_count(struct counters *c, const struct entry *e);

/* Writes all that metrics_count() counts. */
void metrics_write_counted(const struct counters *c, FILE *to);

/* Writes the head of a metric: "# HELP" and "# TYPE". */
void metrics_write_head(FILE *to, const char *name, const char *type, const char *help);
