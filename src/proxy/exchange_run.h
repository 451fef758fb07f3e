/* SPDX-License-Identifier: MIT */
/* An exchange under way: what exchange.c and exchange_answer.c share, and nobody else. */
#ifndef NOVNC_GATE_EXCHANGE_RUN_H
#define NOVNC_GATE_EXCHANGE_RUN_H

#include "http/upgrade.h"
#include "proxy/exchange.h"
#include "proxy/relay.h"

/* What is still needed of the request once its head has gone, and of the answer's. */
struct run {
	struct wire *w;
	struct link *link;
	const struct backend *be;
	struct exchange *ret;
	struct relay relay;
	struct lines_scan scan; /* of the answer's head */
	struct http1_head answer;
	unsigned interim; /* answers so far */
	size_t sent_len;  /* of the composed request head, for another try */
	bool upgrade, head_method, http10, expect;
	bool persistent;  /* the client's wish */
	bool repeatable;  /* idempotent, without a body: may be sent once more */
	bool reused;      /* the connection has been used before */
	bool answered;    /* a final head has been composed for the client */
	bool close;       /* the client's connection ends after the answer */
	bool reset_shows; /* only a reset tells the client of an incomplete body */
	char accept[UPGRADE_ACCEPT_SIZE];
};

/* Says why it ends. */
void exchange_explain(struct run *x, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* It cannot go on: with a reply of that status, or, once an answer has begun, without. */
enum exchange_end exchange_fail(struct run *x, enum exchange_blame blame,
				unsigned status);

#define FAIL(x, blame, status, ...) \
	(exchange_explain(x, __VA_ARGS__), exchange_fail(x, blame, status))

/*
 * Reads what has come of the answer's heads, interim ones included, and composes them for
 * the client. EXCHANGE_NEXT: go on, with more of them, with the body or with the tunnel.
 */
enum exchange_end exchange_read_heads(struct run *x);

#endif
