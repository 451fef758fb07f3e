/* SPDX-License-Identifier: MIT */
/* A connection to a backend between two requests. */
#include "proxy/upstream.h"

/* Only a repeatable request uses a connection that was idle for longer. */
#define UPSTREAM_TRUST_MS  2000
/* A connection is given up this long before the backend's own time-out. */
#define UPSTREAM_MARGIN_MS 1000

void upstream_keep(struct upstream *u)
{
	/* a response may have come before all of the head was sent */
	if (u->persistent && !stream_ended(&u->stream) && buf_len(u->in) == 0 &&
	    buf_len(u->out) == 0) {
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
	u->quiet = upstream_kept_fd(u) >= 0 && !revents;
	if (revents)
		upstream_close(u);
}

void upstream_quiet_clear(struct upstream *u)
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
