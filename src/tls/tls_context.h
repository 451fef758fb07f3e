/* SPDX-License-Identifier: MIT */
/* What is configured, as OpenSSL's contexts. Part of the TLS module. */
#ifndef NOVNC_GATE_TLS_CONTEXT_H
#define NOVNC_GATE_TLS_CONTEXT_H

#include "tls/tls.h"
#include "tls/tls_ticket.h"

/*
 * For connections to a backend, and with clients. 0, -ENOMEM with *why as it was (or a
 * better reason), or -EINVAL where a file is at fault, which *why names with its section and
 * key. The caller frees *ret and wipes *keys.
 */
int tls_context_client(const struct backend *be, SSL_CTX **ret, struct tls_why *why);
int tls_context_server(const struct config_tls *cfg, struct tls_ticket_keys *keys,
		       SSL_CTX **ret, struct tls_why *why);

/* OpenSSL's first word on what has just failed. */
void tls_context_explain(struct tls_why *why);

#endif
