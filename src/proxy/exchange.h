/* SPDX-License-Identifier: MIT */
/* One request with its backend: dial or reuse, answer, tunnel. */
#ifndef NOVNC_GATE_EXCHANGE_H
#define NOVNC_GATE_EXCHANGE_H

#include "http/http1.h"
#include "proxy/route.h"
#include "proxy/wire.h"

enum exchange_end {
	EXCHANGE_NEXT,    /* the connection is ready for another request */
	EXCHANGE_LAST,    /* the answer is complete; the connection ends after it */
	EXCHANGE_REFUSED, /* nothing has been sent to the client: a reply is due */
	EXCHANGE_CUT,     /* ends incomplete, which a plain end of the stream shows */
	EXCHANGE_RESET,   /* likewise, which only a reset shows */
	EXCHANGE_GONE,    /* the client is gone, or the process is to end */
};

enum exchange_blame {
	EXCHANGE_NOBODY,
	EXCHANGE_CLIENT,
	EXCHANGE_BACKEND,
	EXCHANGE_GATE,
	EXCHANGE_CONFIG, /* the operator's: a key that has to be mended */
};

/* What came of it: for the log, and for the reply that is due. */
struct exchange {
	unsigned status; /* of the answer, or of the reply that is due; 0: none */
	enum exchange_blame blame;     /* whose fault it was that it went wrong */
	bool tunnel;                   /* a checked 101 had opened it */
	uint64_t up_bytes, down_bytes; /* of bodies or of the tunnel */
	char reason[512]; /* one sentence without its full stop; "" where all went well */
	/* the same for the client, without addresses and files; "": it may read the reason */
	char reply[256];
};

/*
 * Carries out a verdict that forwards: the head h (of head_len bytes at the beginning of
 * client_in, consumed here) goes to the verdict's backend, the answer to the client.
 * opened is called once a tunnel stands; -errno from it ends the tunnel.
 */
enum exchange_end exchange_run(struct wire *w, const struct http1_head *h,
			       size_t head_len, const struct verdict *v,
			       int (*opened)(void *userdata), void *userdata,
			       struct exchange *ret);

#endif
