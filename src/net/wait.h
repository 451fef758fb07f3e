/* SPDX-License-Identifier: MIT */
/* The one place where a connection waits. */
#pragma once

#include <poll.h>
#include <stdint.h>

/*
 * poll(2) until deadline_ms. p[0] is the signalfd of SIGTERM (fd -1: none); its events are
 * set here. now_ms is the time as the caller last read it. Returns how many of the others
 * have events; -ETIMEDOUT; -ECANCELED for SIGTERM, whatever else came; or another -errno.
 * EINTR and EAGAIN are handled here.
 */
int wait_poll(struct pollfd *p, nfds_t n, uint64_t now_ms, uint64_t deadline_ms);
