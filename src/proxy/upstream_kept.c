/* SPDX-License-Identifier: MIT */
/* The connection to a backend between two requests, and whether the next one can use it. */
#include "proxy/upstream.h"

/* A connection idle for longer gets no request that cannot be repeated. */
#define UPSTREAM_TRUST_MS  2000
/* So long before the backend's own time-out the connection is not used any more. */
#define UPSTREAM_MARGIN_MS 1000

void upstream_keep(struct upstream *u)
{
	if (u->persistent && !stream_ended(&u->stream) && buf_len(u->in) == 0) {
		u->phase = UPSTREAM_KEPT;
		u->since_ms = clock_ms();
	} else {
		upstream_close(u);
	}
}

int upstream_kept_fd(const struct upstream *u)
{
	/* input of TLS need not be HTTP: tickets may come at any time */
	return u->phase == UPSTREAM_KEPT && stream_is_plain(&u->stream) ? u->stream.fd
									: -1;
}

void upstream_kept_events(struct upstream *u, short revents)
{
	u->quiet = upstream_kept_fd(u) >= 0;
	if (revents)
		upstream_close(u);
}

void upstream_kept_forget(struct upstream *u)
{
	u->quiet = false;
}

bool upstream_kept_is_good(const struct upstream *u)
{
	uint64_t idle_ms = clock_ms() - u->since_ms;

	return u->phase == UPSTREAM_KEPT &&
	       (u->repeatable || idle_ms < UPSTREAM_TRUST_MS) &&
	       (u->keep_ms == CLOCK_INFINITY ||
		idle_ms + UPSTREAM_MARGIN_MS < u->keep_ms) &&
	       (u->quiet || stream_is_quiet(&u->stream));
}
