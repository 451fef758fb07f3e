/* SPDX-License-Identifier: MIT */
#include "base/clock.h"

#include <time.h>

uint64_t clock_ms(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts); /* cannot fail: the clock exists */
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

uint64_t clock_deadline_ms(uint64_t now_ms, uint64_t span_ms)
{
	return span_ms >= CLOCK_INFINITY - now_ms ? CLOCK_INFINITY : now_ms + span_ms;
}

int clock_timeout_ms(uint64_t now_ms, uint64_t deadline_ms)
{
	if (deadline_ms == CLOCK_INFINITY)
		return -1;
	if (deadline_ms <= now_ms)
		return 0;
	/* now_ms is rounded down, so poll() has to wait one more to reach the deadline */
	return deadline_ms - now_ms >= INT32_MAX ? INT32_MAX
						 : (int)(deadline_ms - now_ms) + 1;
}
