/* SPDX-License-Identifier: MIT */
/* OpenSSL's contexts, made from the configuration. Part of the TLS module. */
#pragma once

#include "tls/tls.h"
#include "tls/tls_ticket.h"

/*
 * For connections to a backend, and with clients. TLS_MISCONFIGURED: *why names the file with
 * its section and key. TLS_LOCAL_FAULT: *why stays as it was, or has a better reason. The
 * caller frees *ret and wipes *keys.
 */
enum tls_begin tls_context_client(const struct backend *be, SSL_CTX **ret,
				  struct tls_why *why);
enum tls_begin tls_context_server(const struct config_tls *cfg,
				  struct tls_ticket_keys *keys, SSL_CTX **ret,
				  struct tls_why *why);

/* The first error that OpenSSL has noted, in words. */
void tls_context_explain(struct tls_why *why);
