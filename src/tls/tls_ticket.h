/* SPDX-License-Identifier: MIT */
/*
 * TLS session tickets (RFC 5077, RFC 8446 4.6.1). Each connection is served by a process of its own,
 * so a TLS session can be resumed only with keys that all processes share. Part of the TLS module.
 */
#pragma once

#include <openssl/ssl.h>

/* The newest key, under which tickets are issued, and the one before it. */
#define TLS_TICKET_KEYS 2

struct tls_ticket_keys {
	size_t n;
	struct tls_ticket_key {
		unsigned char name[16], cipher[32], mac[32];
	} key[TLS_TICKET_KEYS];
};

/*
 * Reads one or two keys of 80 random bytes, the newest first. Returns 0; -ENOENT if there is no
 * file or it contains "none"; -EINVAL if it has another size; or another -errno.
 */
int tls_ticket_read(const char *file, struct tls_ticket_keys *ret);

/* The callback of SSL_CTX_set_tlsext_ticket_key_evp_cb(); the SSL's app data are the keys. */
int tls_ticket_use_key(SSL *ssl, unsigned char *name, unsigned char *iv,
		       EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int encrypt);
