/* SPDX-License-Identifier: MIT */
/*
 * poll(2) with a witness: counts the calls of the code under test, which runs in a thread, and
 * tells when it stands still, that is, waits and has nothing of what it waits for. So a test
 * needs no sleep, and a busy loop is a failure.
 */
#pragma once

#include <check.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

#define STILL_FDS     8
/* More rounds than this between two looks are a busy loop. */
#define STILL_SPIN    20000
#define STILL_SECONDS 60

static struct {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	unsigned calls;
	bool waiting;
	struct pollfd fds[STILL_FDS];
	nfds_t n;
	int timeout_ms;
	unsigned failures; /* so many of the next calls fail */
} still = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };

/* The real one; a timeout below 0 is none. */
static int still_ppoll(struct pollfd *fds, nfds_t n, int timeout_ms)
{
	struct timespec span = { timeout_ms / 1000, timeout_ms % 1000 * 1000000L };

	return ppoll(fds, n, timeout_ms < 0 ? NULL : &span, NULL);
}

static void still_note(bool waiting, const struct pollfd *fds, nfds_t n, int timeout_ms)
{
	pthread_mutex_lock(&still.lock);
	still.waiting = waiting;
	if (waiting) {
		ck_assert_uint_le(n, STILL_FDS);
		memcpy(still.fds, fds, n * sizeof(*fds));
		still.n = n;
		still.timeout_ms = timeout_ms;
	} else {
		still.calls++;
	}
	pthread_cond_signal(&still.changed);
	pthread_mutex_unlock(&still.lock);
}

static bool still_fails(void)
{
	bool fails;

	pthread_mutex_lock(&still.lock);
	fails = still.failures > 0;
	still.failures -= fails;
	pthread_mutex_unlock(&still.lock);
	return fails;
}

/* Under another name here, for <poll.h> may have an inline one. */
int still_poll(struct pollfd *fds, nfds_t n, int timeout_ms) __asm__("poll");

int still_poll(struct pollfd *fds, nfds_t n, int timeout_ms)
{
	int r = still_ppoll(fds, n, 0);

	if (still_fails()) {
		errno = ENOMEM;
		return -1;
	}
	if (r == 0 && timeout_ms != 0) {
		still_note(true, fds, n, timeout_ms);
		r = still_ppoll(fds, n, timeout_ms);
	}
	still_note(false, NULL, 0, 0);
	return r;
}

/* The number of calls since the last question. */
static unsigned still_calls(void)
{
	unsigned calls;

	pthread_mutex_lock(&still.lock);
	calls = still.calls;
	still.calls = 0;
	pthread_mutex_unlock(&still.lock);
	return calls;
}

/* Waits until the code under test stands still. */
static inline void still_wait(void)
{
	struct timespec until = { time(NULL) + STILL_SECONDS, 0 };
	int r = 0;

	pthread_mutex_lock(&still.lock);
	while (r == 0 && still.calls < STILL_SPIN &&
	       !(still.waiting && still_ppoll(still.fds, still.n, 0) == 0))
		r = pthread_cond_timedwait(&still.changed, &still.lock, &until);
	pthread_mutex_unlock(&still.lock);
	ck_assert_msg(r == 0, "it never comes to rest");
	ck_assert_msg(still.calls < STILL_SPIN, "poll() is called over and over");
}

/* So many of its next calls of poll() fail with ENOMEM, after the one in which it waits. */
static inline void still_fail(unsigned n)
{
	pthread_mutex_lock(&still.lock);
	still.failures = n;
	pthread_mutex_unlock(&still.lock);
}

/* It waits for this event at fd, be it among others. */
static inline bool still_asks(int fd, short event)
{
	bool asks = false;

	pthread_mutex_lock(&still.lock);
	for (nfds_t i = 0; i < still.n; i++)
		asks |= still.fds[i].fd == fd && (still.fds[i].events & event) != 0;
	pthread_mutex_unlock(&still.lock);
	return asks;
}

/* The time-out that it gave poll(), ms; -1: none. */
static inline int still_timeout(void)
{
	int timeout_ms;

	pthread_mutex_lock(&still.lock);
	timeout_ms = still.timeout_ms;
	pthread_mutex_unlock(&still.lock);
	return timeout_ms;
}
