/* SPDX-License-Identifier: MIT */
/* One HTTP request on a socket, and its response: how Prometheus scrapes. */
#pragma once

#include "base/buf.h"

struct scrape {
	int fd; /* borrowed */
	bool is_head;
};

/*
 * Reads a request for /metrics. Returns false if there is none: the client has gone, or has got an error
 * response already.
 */
bool scrape_read(struct scrape *ret, int fd);

/* Sends a response with this text (status 200: metrics), and waits until the client has it. */
void scrape_respond(const struct scrape *s, unsigned status, struct slice text);
