/* SPDX-License-Identifier: MIT */
/* CLOCK_MONOTONIC in milliseconds: spans, deadlines, and the one place where a connection waits. */
#pragma once

#include <poll.h>
#include <stdint.h>

/* A span or a deadline that never passes. */
#define CLOCK_INFINITY UINT64_MAX

/* The time now. */
uint64_t clock_ms(void);

static inline uint64_t clock_earlier(uint64_t a_ms, uint64_t b_ms)
{
	return a_ms < b_ms ? a_ms : b_ms;
}

/* now + span, but CLOCK_INFINITY at most. */
uint64_t clock_deadline_ms(uint64_t now_ms, uint64_t span_ms);

/*
 * poll(2) until deadline_ms. p[0] is the signalfd of SIGTERM (fd -1: none); its events are
 * set here. now_ms is the time as the caller last read it. Returns how many of the others
 * have events; -ETIMEDOUT; -ECANCELED for SIGTERM, whatever else came; or another -errno.
 */
int clock_wait(struct pollfd *p, nfds_t n, uint64_t now_ms, uint64_t deadline_ms);
