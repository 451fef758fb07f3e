/* SPDX-License-Identifier: MIT */
/* A span of time in equal slots, such as hours or days of local time, and the sessions in each. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define SLOTS_MAX 80

struct slot {
	uint64_t begin_us; /* since 1970 */
	uint64_t begun;
	uint64_t most; /* that were open at the same time */
};

struct slots {
	struct slot slot[SLOTS_MAX + 1]; /* the one behind the last has only its begin */
	size_t n;
	uint64_t width_s; /* about: days have 23 to 25 hours */
};

/* There is at least one. */
void slots_init(struct slots *ret, uint64_t since_us, uint64_t until_us);

/* The slot of that time, which is in the span. */
size_t slots_find(const struct slots *s, uint64_t time_us);
