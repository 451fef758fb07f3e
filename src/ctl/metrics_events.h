/* SPDX-License-Identifier: MIT */
/* What the entries of the gate count for, and the metrics in Prometheus' text format. No I/O but *to. */
#pragma once

#include <stdbool.h>
#include <stdio.h>

#include "ctl/counters.h"

/* An entry of the journal. Texts are "" if it does not have them. */
struct metrics_entry {
	const char *id; /* MESSAGE_ID= */
	const char *session, *request_id, *backend, *reason, *closed_by;
	unsigned status; /* 0: none */
	uint64_t up, down, duration_ms;
	uint64_t time_us; /* since 1970 */
};

/* The ids of entries that count, with NULL at the end. */
extern const char *const metrics_ids[];

void metrics_count(struct counters *c, const struct metrics_entry *e);

/* Writes all that metrics_count() counts. */
void metrics_write_counted(const struct counters *c, FILE *to);

/* Writes the head of a metric: "# HELP" and "# TYPE". */
void metrics_write_head(FILE *to, const char *name, const char *type, const char *help);
