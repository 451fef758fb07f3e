/* SPDX-License-Identifier: MIT */
/*
 * TLS on a connected socket. It is a module of its own, novnc-gate-tls.so, which is loaded
 * (loader.h) before the first TLS connection: a plain one needs neither the time that OpenSSL
 * takes to start nor its memory. The module never blocks.
 */
#pragma once

#include <sys/types.h>
#include <sys/uio.h>

#include "base/buf.h"
#include "config/config.h"

#define TLS_SYMBOL "novnc_gate_tls"

/* An error in words, mostly those of OpenSSL. */
struct tls_why {
	char text[500];
};

/* The outcome of connect() and accept() of the module. */
enum tls_begin {
	TLS_READY,
	TLS_MISCONFIGURED, /* a file that the configuration names cannot be used */
	TLS_LOCAL_FAULT,   /* no memory, no random numbers, or loader_tls() failed */
};

/* One end of a TLS connection. It borrows the socket. */
struct tls;

/* Called for a fault of a certificate; invalid_now: its period has not begun, or is over. */
typedef void (*tls_tell)(void *userdata, bool invalid_now, const char *what);

/*
 * The functions of the module. One that would have to wait returns -EAGAIN and sets *wants to
 * the event to poll(2) for: a read may need POLLOUT, and a write POLLIN. Other errors are final,
 * and why() has them in words: -ECONNABORTED if the peer ended without a close_notify, -EKEYREJECTED
 * if its certificate is not accepted, -EREMOTEIO if it sent an alert, -EPROTO for any other fault of
 * TLS, or the socket's -errno. why() has no words for -EPIPE: the connection is no longer open for
 * writing.
 */
struct tls_module {
	/* NOVNC_GATE_VERSION and TLS_LAYOUT; a module with others is not used */
	const char *version;
	uint64_t layout;

	/*
	 * Begin a connection to a backend, or with a client. On an error, *why has the reason; for
	 * TLS_MISCONFIGURED with section and key first. After TLS_READY, *ret goes to free() below.
	 * If `earlier`, a retired connection to the same backend, is not NULL, its context is used, so
	 * that no file is opened.
	 */
	enum tls_begin (*connect)(int fd, const struct backend *be,
				  const struct tls *earlier, struct tls **ret,
				  struct tls_why *why);
	enum tls_begin (*accept)(int fd, const struct config_tls *cfg, struct tls **ret,
				 struct tls_why *why);

	/*
	 * Returns 0 when it is complete and the certificates are accepted; -EPROTO also if the peer
	 * sends a close_notify first.
	 */
	int (*handshake)(struct tls *t, short *wants);

	/*
	 * Calls tell once for each reason for which a client may refuse the certificate of t, which
	 * is from accept().
	 */
	void (*inspect)(const struct tls *t, tls_tell tell, void *userdata);

	/*
	 * For the same certificate: the hosts that its subjectAltName names, with spaces in between, as many
	 * as fit, and its last second, since 1970. Returns false if there is no such time.
	 */
	bool (*describe)(const struct tls *t, char *names, size_t size, int64_t *until);

	/*
	 * Fills the room of b (which must have some). Returns the count, or 0 at the peer's
	 * close_notify. With a count, *wants is set if the next read would have to wait.
	 */
	ssize_t (*read)(struct tls *t, struct buf *b, short *wants);

	/*
	 * Writes as many of the bytes (there must be some) as the socket takes; *wants as with
	 * read. Returns the count. The bytes that were not taken must be the beginning of the
	 * next write; more may follow them.
	 */
	ssize_t (*write)(struct tls *t, const struct iovec *iov, size_t n, short *wants);

	/* Sends the close_notify: 0 when it is sent. The stream can still be read. */
	int (*shut)(struct tls *t, short *wants);

	/* Returns true if neither bytes nor an end have come. */
	bool (*is_quiet)(struct tls *t);

	/* The subject of the peer's certificate (RFC 2253), or NULL. */
	const char *(*subject)(const struct tls *t);

	/* The words for the last error that was returned. */
	const char *(*why)(const struct tls *t);

	/* Ends a connection to a backend with a close_notify; only its context is kept, for connect(). */
	void (*retire)(struct tls *t);

	/* With notify it sends a close_notify first, if none was sent and there is room. */
	void (*free)(struct tls *t, bool notify);
};

/* The sizes of the structs that program and module share, 12 bits each. */
#define TLS_LAYOUT                                                                  \
	((uint64_t)sizeof(struct tls_module) << 48 |                                \
	 (uint64_t)sizeof(struct tls_why) << 36 |                                   \
	 (uint64_t)sizeof(struct backend) << 24 | sizeof(struct config_tls) << 12 | \
	 sizeof(struct buf))
