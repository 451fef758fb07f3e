/* SPDX-License-Identifier: MIT */
/* The connection to a backend between two requests: is it good for the next one? */
#include "proxy/upstream.h"

/* At rest for longer, it is not trusted with a request that cannot be repeated. */
#define UPSTREAM_TRUST_MS  2000
/* This long before the backend's own time-out it counts as closed. */
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
	/* TLS has input that is not HTTP: tickets come at any time */
	return u->phase == UPSTREAM_KEPT && stream_is_plain(&u->stream) ? u->stream.fd
									: -1;
}

void upstream_kept_events(struct upstream *u, short revents)
{
	u->quiet = upstream_kept_fd(u) >= 0;
	if (revents)
		upstream_close(u);
}

void upstream_kept_unseen(struct upstream *u)
{
	u->quiet = false;
}

bool upstream_kept_is_good(const struct upstream *u)
{
	uint64_t rest_ms = clock_ms() - u->since_ms;

	return u->phase == UPSTREAM_KEPT &&
	       (u->repeatable || rest_ms < UPSTREAM_TRUST_MS) &&
	       (u->keep_ms == CLOCK_INFINITY ||
		rest_ms + UPSTREAM_MARGIN_MS < u->keep_ms) &&
	       (u->quiet || stream_is_quiet(&u->stream));
}
