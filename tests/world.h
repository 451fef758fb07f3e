/* SPDX-License-Identifier: MIT */
/* The world of the code under test: a thread that runs it, and streams whose peer is the test. */
#pragma once

#include <pthread.h>

#include "net/stream.h"
#include "peers.h"

struct world {
	int stop[2]; /* a pipe in place of a signalfd */
	pthread_t thread;
};

static inline void world_open(struct world *w)
{
	ck_assert_int_eq(pipe2(w->stop, O_CLOEXEC), 0);
}

static inline void world_close(struct world *w)
{
	peer_close(&w->stop[0]);
	peer_close(&w->stop[1]);
}

static inline void world_start(struct world *w, void *(*run)(void *), void *userdata)
{
	ck_assert_int_eq(pthread_create(&w->thread, NULL, run, userdata), 0);
}

/* Waits until the thread has ended. */
static inline void world_join(struct world *w)
{
	ck_assert_int_eq(pthread_join(w->thread, NULL), 0);
}

/* SIGTERM. */
static inline void world_terminate(struct world *w)
{
	ck_assert_int_eq(write(w->stop[1], "T", 1), 1);
}

/* A stream of the gate and its peer. */
static inline void stream_pair(bool tcp, struct stream *ret, int *peer)
{
	int ours;

	pair_open(tcp, &ours, peer);
	ck_assert_int_eq(stream_adopt(ours, ret), 0);
}
