/* SPDX-License-Identifier: MIT */
/* The entries and the status of one connection's requests. */
#ifndef NOVNC_GATE_CONN_LOG_H
#define NOVNC_GATE_CONN_LOG_H

#include "log/log.h"
#include "proxy/exchange.h"

/* One request, as the log and a reply need it once its head is gone. */
struct conn_request {
	struct verdict verdict;
	uint64_t start_ms;
	char path[LOG_VALUE_MAX + 1], session[LOG_VALUE_MAX + 1], method[32];
	struct log_fields fields; /* of the members above; at first only the client */
};

/* Before the first request; client has to outlive it. */
void conn_log_init(struct conn_request *ret, const char *client);

/* The next request: takes what outlives its head. */
void conn_log_begin(struct conn_request *q, const struct config *cfg,
		    const struct verdict *v, struct slice method);

/* One entry of the request; status 0: none was sent. */
void conn_log(struct conn_request *q, enum log_event ev, unsigned status,
	      const char *reason);

/* A fault of our own, with -errno. */
void conn_log_fault(struct conn_request *q, const char *what, int r);

/* Its verdict forwards nothing; with tls it came over TLS. */
void conn_log_refused(struct conn_request *q, const struct http1_head *h, bool tls);

/* It goes to its backend: a session's first opening entry, and fields that are dropped. */
void conn_log_forwarded(struct conn_request *q, const struct backend *be,
			const struct http1_head *h);

/* A tunnel stands: the second of a session's opening entries, and systemd's status. */
void conn_log_opened(struct conn_request *q);

/* It has ended. */
void conn_log_ended(struct conn_request *q, enum exchange_end end,
		    const struct exchange *x);

#endif
