/* SPDX-License-Identifier: MIT */
/*
 * Session tickets under keys that all processes share (RFC 5077, RFC 8446 4.6.1): each
 * connection is served by a process of its own, so nothing else could resume a session.
 * Part of the TLS module.
 */
#ifndef NOVNC_GATE_TLS_TICKET_H
#define NOVNC_GATE_TLS_TICKET_H

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
 * Reads one key of 80 random bytes or two, the newest first. 0, -ENOENT also where it
 * is the word none, -EINVAL where it is of another size, or the -errno of reading it.
 */
int tls_ticket_read(const char *file, struct tls_ticket_keys *ret);

/* The callback of SSL_CTX_set_tlsext_ticket_key_evp_cb(); the SSL's app data are the keys. */
int tls_ticket_key(SSL *ssl, unsigned char *name, unsigned char *iv,
		   EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int encrypt);

#endif
