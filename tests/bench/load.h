/* SPDX-License-Identifier: MIT */
/* What the parts of load.c share: time, samples, results, requests. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conn.h"

/* Where all connections go. */
extern int load_port;
extern const char *load_scheme; /* of the page that asks: "http" or "https" */

uint64_t now_ns(void);

/* Times in ns; shared with processes that are forked later. */
struct samples {
	uint32_t *ns;
	size_t n, cap;
};
struct samples samples_shared(size_t cap);

/* Whoever measures looks at its clocks and counters, then sends a line: returns then. */
void ready(void);

/* The result: of so many samples, or of so many bytes, in so much time. */
void report(struct samples *s, uint64_t ns);
void report_bytes(uint64_t bytes, uint64_t ns);

/* A head as long as a browser's. */
size_t request(char *buf, size_t cap, const char *line, const char *more);

/* Reads to the end of a head with this status. What follows it was read as well: its length. */
size_t answer(struct conn *c, const char *status);

/* A tunnel to what backend.c does for `query`; see answer() for what is returned. */
size_t tunnel(const char *query, struct conn *ret);

/* load_exchange.c: for so long, one exchange after the other on each of n connections. */
void bench_exchange(bool is_page, size_t n, double seconds);
