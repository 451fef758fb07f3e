/* SPDX-License-Identifier: MIT */
/* OpenSSL's contexts, made from the configuration. Part of the TLS module. */
#pragma once

#include "tls/tls.h"
#include "tls/tls_ticket.h"

/*
 * Returns a context that the caller frees by SSL_CTX_free(), or NULL after an error. Before the call,
 * set *why to "out of memory"; it is overwritten if the reason is another.
 */
SSL_CTX *tls_context_new(const SSL_METHOD *method, struct tls_why *why);

/*
 * Sets the context up for a connection to a backend, or with a client. After TLS_MISCONFIGURED *why
 * names the file with its section and key. The caller wipes *keys.
 */
enum tls_begin tls_context_connect(SSL_CTX *ctx, const struct backend *be,
				   struct tls_why *why);
enum tls_begin tls_context_accept(SSL_CTX *ctx, const struct config_tls *cfg,
				  struct tls_ticket_keys *keys, struct tls_why *why);

/* The first error that OpenSSL has noted, in words. */
const char *tls_context_reason(void);
