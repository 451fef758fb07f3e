/* SPDX-License-Identifier: MIT */
/* CLOCK_MONOTONIC in milliseconds: spans, deadlines and the time-outs of poll(2). */
#pragma once

#include <stdint.h>

/* A span or a deadline that never passes. */
#define CLOCK_INFINITY UINT64_MAX

/* The time now. */
uint64_t clock_ms(void);

/* now + span, but CLOCK_INFINITY at most. */
uint64_t clock_deadline_ms(uint64_t now_ms, uint64_t span_ms);

/* For poll(2): the time from now until deadline, rounded up; 0 when past, -1 for infinity. */
int clock_timeout_ms(uint64_t now_ms, uint64_t deadline_ms);
