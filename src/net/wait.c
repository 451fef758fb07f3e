/* SPDX-License-Identifier: MIT */
#include "net/wait.h"

#include <errno.h>

#include "base/clock.h"

int wait_poll(struct pollfd *p, nfds_t n, uint64_t now_ms, uint64_t deadline_ms)
{
	p[0].events = POLLIN;
	for (;; now_ms = clock_ms()) {
		int timeout_ms = clock_timeout_ms(now_ms, deadline_ms);
		int r = poll(p, n, timeout_ms);

		if (r > 0)
			return p[0].revents ? -ECANCELED : r;
		/* the longest time that poll() takes may end before the deadline */
		if (r == 0 && timeout_ms < INT32_MAX)
			return -ETIMEDOUT;
		if (r < 0 && errno != EINTR && errno != EAGAIN)
			return -errno;
		if (r < 0 && clock_ms() >= deadline_ms)
			return -ETIMEDOUT;
	}
}
