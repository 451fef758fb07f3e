/* SPDX-License-Identifier: MIT */
/* Log entries about one connection's requests, and its status in `systemctl status`. */
#pragma once

#include "log/log.h"
#include "proxy/exchange.h"

#define CONN_LOG_ID "X-Request-Id: "

/* The facts of a request that log entries and responses need after its head is consumed. */
struct conn_request {
	struct verdict verdict;
	uint64_t start_ms;
	char path[LOG_VALUE_MAX + 1], session[LOG_VALUE_MAX + 1], method[32];
	struct slice peer; /* address and port of the one that has connected */
	char client[INET6_ADDRSTRLEN]; /* that a trusted proxy has named */
	unsigned number;               /* of requests on this connection so far */
	size_t id_prefix; /* bytes of id_line that stay for the next request; 0: none */
	char id_line[sizeof(CONN_LOG_ID) + FORWARDED_ID_MAX + 1];
	char user[AUTHORIZE_USER_MAX + 1];
	struct log_fields
		fields; /* point to the members above, the peer, or the client's head */
};

/* The parts of its head that a page's entry quotes. */
struct conn_page {
	char referer[LOG_VALUE_MAX + 1], user_agent[LOG_VALUE_MAX + 1];
};

/* Before the first request; peer must outlive *ret. */
void conn_log_init(struct conn_request *ret, const char *peer);

/* After the verdict is set: begins the next request, gives it an id, copies what is needed of its head. */
void conn_log_begin(struct conn_request *q, const struct config *cfg,
		    struct slice method);

/* With Level=info, copies what the entry of a page quotes of its head to *page, and refers to it there. */
void conn_log_page(struct conn_request *q, const struct http1_head *h,
		   struct conn_page *page);

/* Writes an entry; status 0: not in the entry. */
void conn_log(struct conn_request *q, enum log_event ev, unsigned status,
	      const char *reason);

/* Writes an entry about a fault of the gate: "cannot ...", and the -errno. */
void conn_log_fault(struct conn_request *q, const char *failure, int error);

/* Logs that the head is refused; h has its method and target, or is NULL if they are not known. */
void conn_log_refused_head(struct conn_request *q, const struct http1_head *h,
			   const struct http1_fault *fault);

/* Logs that the verdict refuses the request; https: the client speaks TLS. */
void conn_log_refused(struct conn_request *q, const struct http1_head *h, bool https);

/* The request is authorized: its further entries name the user. Returns the name's copy in *q. */
struct slice conn_log_user(struct conn_request *q, const char *user);

/* Before the request is forwarded: the first entry of a session, and the names of dropped fields. */
void conn_log_forwarded(struct conn_request *q, const struct backend *be,
			const struct http1_head *h);

/*
 * After the tunnel is established: the second entry of a session, and systemd's status, which names
 * the connection to the backend.
 */
void conn_log_opened(struct conn_request *q, int upstream_fd);

/* Logs that a recheck of an open session has brought no decision. */
void conn_log_undecided(struct conn_request *q, const struct recheck *r);

/* Logs the end of the exchange. */
void conn_log_ended(struct conn_request *q, enum exchange_end end,
		    const struct exchange *x);
