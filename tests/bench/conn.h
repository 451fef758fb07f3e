/* SPDX-License-Identifier: MIT */
/* A connection that blocks, plain or with TLS, and what load.c and tls_backend.c say on it. What
 * goes wrong ends the process with a message. */
#pragma once

#include <openssl/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct conn {
	int fd;
	SSL *ssl; /* NULL: plain */
};

/* From now on, conn_dial() speaks TLS 1.3 with AES-128-GCM. */
void conn_use_tls(void);

/* From now on, it resumes the session whose ticket has come last, and fails where it cannot. */
void conn_use_session(void);

/* A connection to 127.0.0.1; with TLS, the handshake is done. */
struct conn conn_dial(int port);

/* The other end of a handshake like that, on a socket that was accepted. */
struct conn conn_accept(int fd, SSL_CTX *ctx);
SSL_CTX *conn_server(const char *certificate, const char *key);

void conn_put(struct conn *c, const void *p, size_t len);

/* What is there next, at most cap bytes; 0 at the end. */
size_t conn_get(struct conn *c, void *p, size_t cap);

/* Exactly so much. */
void conn_get_all(struct conn *c, void *p, size_t len);

/* Reads to the end of a head, and a NUL behind all that was read. Returns how much of it follows the
 * head; 0 in *len where there was none. */
size_t conn_get_head(struct conn *c, char *buf, size_t cap, size_t *len);

/* Throws away what arrives: n bytes, or (0) all until the end. Returns how many. */
uint64_t conn_discard(struct conn *c, uint64_t n);

/* Ends our direction. */
void conn_shut(struct conn *c);

void conn_close(struct conn *c);
