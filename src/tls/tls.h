/* SPDX-License-Identifier: MIT */
/*
 * TLS on a connected socket. All of it is in a module of its own, novnc-gate-tls.so, that
 * is loaded (loader.h) when the first TLS endpoint is met: a plain connection pays neither
 * OpenSSL's start nor its memory. Non-blocking throughout.
 */
#ifndef NOVNC_GATE_TLS_H
#define NOVNC_GATE_TLS_H

#include <stdbool.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "base/buf.h"
#include "config/config.h"

#define TLS_SYMBOL "novnc_gate_tls"

/* What went wrong, as OpenSSL words it. */
struct tls_why {
	char text[500];
};

/* The outcome of connect() and accept() of the module. */
enum tls_begin {
	TLS_READY,
	TLS_MISCONFIGURED, /* a file that the configuration names cannot be used */
	TLS_LOCAL_FAULT,   /* no memory; or the module cannot be loaded */
};

/* One end of a TLS connection. It borrows the socket. */
struct tls;

/* Told of a fault in a certificate; error is -EKEYEXPIRED where it is not valid now, else 0. */
typedef void (*tls_tell)(void *userdata, int error, const char *what);

/*
 * What the module offers. A function that has to wait returns -EAGAIN and in *wants what
 * poll(2) must wait for, POLLIN or POLLOUT, whichever way the bytes were to go. Other
 * errors are final and tls->why() has them in words: -ECONNABORTED where the peer ended
 * without a close_notify, -EPROTO for what is no valid TLS, or the socket's -errno.
 */
struct tls_module {
	/* NOVNC_GATE_VERSION and TLS_LAYOUT: another's structs are laid out differently */
	const char *version;
	uint64_t layout;

	/*
	 * Begin a connection to a backend, or with a client. An error is in *why, which names
	 * section and key first where they are misconfigured. ret wants free().
	 */
	enum tls_begin (*connect)(int fd, const struct backend *be, struct tls **ret,
				  struct tls_why *why);
	enum tls_begin (*accept)(int fd, const struct config_tls *cfg, struct tls **ret,
				 struct tls_why *why);

	/* Returns 0 once both sides are who they have to be. */
	int (*handshake)(struct tls *t, short *wants);

	/*
	 * Calls tell for each reason why clients will refuse the certificate that t, from
	 * accept(), shows them.
	 */
	void (*inspect)(const struct tls *t, tls_tell tell, void *userdata);

	/*
	 * Fills the room of b (which must have some). Returns the count, or 0 at the peer's
	 * close_notify. *wants is set with a count too where no more is there.
	 */
	ssize_t (*read)(struct tls *t, struct buf *b, short *wants);

	/*
	 * Writes what the socket takes; *wants as with read. Returns the count. All that was
	 * not taken must come again as the beginning of the next write; more may follow it.
	 */
	ssize_t (*write)(struct tls *t, const struct iovec *iov, size_t n, short *wants);

	/* Sends the close_notify. 0 once it is out. What comes in can still be read. */
	int (*shut)(struct tls *t, short *wants);

	/* Whether neither bytes have come nor an end. */
	bool (*is_quiet)(struct tls *t);

	/* The subject of the peer's certificate (RFC 2253), or NULL. */
	const char *(*subject)(const struct tls *t);

	/* "TLSv1.3" */
	const char *(*protocol)(const struct tls *t);

	/* The words for the last error that was returned. */
	const char *(*why)(const struct tls *t);

	/* With notify, a close_notify is sent before, if none was and it can be. */
	void (*free)(struct tls *t, bool notify);
};

/* The sizes of what both sides lay out, 12 bits each. */
#define TLS_LAYOUT                                                                  \
	((uint64_t)sizeof(struct tls_module) << 48 |                                \
	 (uint64_t)sizeof(struct tls_why) << 36 |                                   \
	 (uint64_t)sizeof(struct backend) << 24 | sizeof(struct config_tls) << 12 | \
	 sizeof(struct buf))

#endif
