/* SPDX-License-Identifier: MIT */
#include "base/clock.h"

#include <errno.h>
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

/* The time-out of poll(2), rounded up; 0 when past, -1 for infinity. */
static int timeout_of(uint64_t now_ms, uint64_t deadline_ms)
{
	if (deadline_ms == CLOCK_INFINITY)
		return -1;
	if (deadline_ms <= now_ms)
		return 0;
	/* now_ms is rounded down, so poll() has to wait one more to reach the deadline */
	return deadline_ms - now_ms >= INT32_MAX ? INT32_MAX
						 : (int)(deadline_ms - now_ms) + 1;
}

int clock_wait(struct pollfd *p, nfds_t n, uint64_t now_ms, uint64_t deadline_ms)
{
	p[0].events = POLLIN;
	for (;; now_ms = clock_ms()) {
		int timeout_ms = timeout_of(now_ms, deadline_ms);
		int r = poll(p, n, timeout_ms);

		if (r > 0)
			return p[0].revents ? -ECANCELED : r;
		/* INT32_MAX ms, the longest timeout of poll(), may pass before the deadline */
		if (r == 0 && timeout_ms < INT32_MAX)
			return -ETIMEDOUT;
		if (r < 0 && errno != EINTR && errno != EAGAIN)
			return -errno;
		/* repeated EINTR or EAGAIN cannot extend the wait */
		if (r < 0 && clock_ms() >= deadline_ms)
			return -ETIMEDOUT;
	}
}
