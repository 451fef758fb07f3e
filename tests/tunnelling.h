/* SPDX-License-Identifier: MIT */
/* A tunnel of frames through a relay, and its peers. */
#pragma once

#include "relaying.h"

/* The key with which the source of a direction masks its frames, and the gate those that it inserts. */
static inline const unsigned char *source_key(enum direction d)
{
	return d == UP ? client_key : NULL;
}

static inline const unsigned char *gate_key(enum direction d)
{
	return d == UP ? tunnel_random.key : NULL;
}

static inline void tunnelling_open(struct relaying *w, bool tcp)
{
	relaying_open(w, tcp);
	relaying_tunnel(w);
}

/* ---- frames */

static inline void say_frame(struct relaying *w, enum direction d, unsigned first,
			     const char *text)
{
	peer_says_frame(*side_of(w, d).source, first, text, source_key(d));
}

/* One that its source has sent. */
static inline void hear_frame(struct relaying *w, enum direction d, unsigned first,
			      const char *text)
{
	peer_hears_frame(*side_of(w, d).sink, first, text, strlen(text), source_key(d));
}

static inline void pass_frame(struct relaying *w, enum direction d, unsigned first,
			      const char *text)
{
	say_frame(w, d, first, text);
	hear_frame(w, d, first, text);
}

static inline void say_close(struct relaying *w, enum direction d, unsigned code,
			     const char *reason)
{
	peer_says_close(*side_of(w, d).source, code, reason, source_key(d));
}

static inline void pass_close(struct relaying *w, enum direction d, unsigned code,
			      const char *reason)
{
	say_close(w, d, code, reason);
	peer_hears_close(*side_of(w, d).sink, code, reason, source_key(d));
}

/* ---- Closes of the gate */

/* The sink of this direction gets one; only the client gets a sentence. */
static inline void told(struct relaying *w, enum direction d, unsigned code,
			const char *sentence)
{
	char reason[124] = "";

	if (d == DOWN)
		(void)snprintf(reason, sizeof(reason), "%s; log id 4711", sentence);
	peer_hears_close(*side_of(w, d).sink, code, reason, gate_key(d));
}

/* It is over as soon as the peers have answered. */
static inline void over_at_once(struct relaying *w, enum tunnel_end end)
{
	relaying_tunnel_over(w, end);
	ck_assert_uint_lt(clock_ms(), w->relay.tunnel.end_ms);
}

/* The peers that are still there have heard all. */
static inline void nothing_is_left(struct relaying *w)
{
	if (w->client_peer >= 0)
		peer_hears_nothing(w->client_peer);
	if (w->backend_peer >= 0)
		peer_hears_nothing(w->backend_peer);
}

static inline void tunnelling_close(struct relaying *w)
{
	ck_assert_int_ne(w->relay.tunnel.client.close, TUNNEL_CLOSE_CUT);
	ck_assert_int_ne(w->relay.tunnel.backend.close, TUNNEL_CLOSE_CUT);
	nothing_is_left(w);
	relaying_close(w);
}
