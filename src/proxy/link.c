/* SPDX-License-Identifier: MIT */
/* The one connection that is kept to a backend. */
#include "proxy/link.h"

/* At rest for longer, it is not trusted with a request that cannot be repeated. */
#define LINK_TRUST_MS     2000
/* This long before the backend's own time-out it counts as closed. */
#define LINK_MARGIN_MS    1000
/* No backend means longer than a day. */
#define LINK_KEEP_MAX_SEC 86400

/* The digits at the beginning of s, or LINK_KEEP_MAX_SEC where they say more. */
static uint64_t seconds_parse(struct slice s)
{
	uint64_t seconds = 0;

	for (size_t i = 0; i < s.len && s.p[i] >= '0' && s.p[i] <= '9'; i++) {
		seconds = seconds * 10 + (uint64_t)(s.p[i] - '0');
		if (seconds > LINK_KEEP_MAX_SEC)
			return LINK_KEEP_MAX_SEC;
	}
	return seconds;
}

/* `Keep-Alive: timeout=5, max=100`, as RFC 2068 19.7.1.1 left it. */
static uint64_t keep_alive_ms(const struct http1_head *h)
{
	const struct field *field = http1_field(h, SLICE("Keep-Alive"));
	struct slice list = field ? field->value : (struct slice){ NULL, 0 }, item;

	while (slice_split(&list, ',', &item)) {
		item = slice_trim(item);
		if (slice_casestarts(item, SLICE("timeout=")))
			return seconds_parse(slice_from(item, strlen("timeout="))) * 1000;
	}
	return CLOCK_INFINITY;
}

void link_take_answer(struct link *l, const struct http1_head *answer)
{
	l->kept = http1_persistent(answer) && answer->framing != HTTP1_UNTIL_CLOSE;
	l->keep_ms = keep_alive_ms(answer);
}

void link_rest(struct link *l)
{
	l->since_ms = clock_ms();
}

int link_watch(const struct link *l)
{
	/* input of TLS need not be any of HTTP: tickets come when they like */
	return stream_is_plain(&l->stream) ? l->stream.fd : -1;
}

void link_watched(struct link *l, short revents)
{
	l->quiet = link_watch(l) >= 0;
	if (revents)
		link_drop(l);
}

void link_unwatch(struct link *l)
{
	l->quiet = false;
}

bool link_reusable(struct link *l, bool repeatable)
{
	uint64_t rest_ms = clock_ms() - l->since_ms;

	if (l->kept && (repeatable || rest_ms < LINK_TRUST_MS) &&
	    (l->keep_ms == CLOCK_INFINITY || rest_ms + LINK_MARGIN_MS < l->keep_ms) &&
	    (l->quiet || stream_is_quiet(&l->stream)))
		return true;
	link_drop(l);
	return false;
}

void link_drop(struct link *l)
{
	stream_done(&l->stream);
	*l = LINK_NONE;
}
