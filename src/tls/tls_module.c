/* SPDX-License-Identifier: MIT */
/* A TLS connection with OpenSSL: the functions of tls.h. */
#include "tls/tls.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "tls/tls_certificate.h"
#include "tls/tls_context.h"

/* The most that one record holds (RFC 8446 5.1). */
#define TLS_RECORD      16384
#define TLS_SUBJECT_MAX 1024
/*
 * OpenSSL reads on until it has payload. A peer that sends records without any, such as KeyUpdate
 * messages of 27 bytes, could keep one call from returning, and neither a time-out nor SIGTERM
 * would be noticed. So a call stops after this many bytes that have brought no payload; its last read
 * may exceed the limit by TLS_READ_AHEAD. Payload is never held up: OpenSSL reads from the socket only
 * when it has less than a whole record.
 */
#define TLS_EXCESS_MAX  (64 * 1024)

struct tls {
	SSL_CTX *ctx;
	SSL *ssl;
	size_t excess; /* bytes read in this call, minus the payload it returned */
	bool open;     /* the handshake is done, nothing has broken since */
	bool shut;     /* close_notify has been sent */
	int read_error, write_error; /* -errno after which OpenSSL is not called again */
	struct tls_ticket_keys keys;
	char subject[TLS_SUBJECT_MAX];
	struct tls_why why;
};

/* ---- errors */

/* Puts OpenSSL's error into words. Returns it as -errno. */
static int explain(struct tls *t)
{
	unsigned long e = ERR_peek_error();
	int reason = ERR_GET_LIB(e) == ERR_LIB_SSL ? ERR_GET_REASON(e) : 0;

	if (reason == SSL_R_CERTIFICATE_VERIFY_FAILED) {
		(void)snprintf(t->why.text, sizeof(t->why.text),
			       "certificate verify failed: %s",
			       tls_certificate_reason(SSL_get_verify_result(t->ssl)));
		return -EKEYREJECTED;
	}
	(void)snprintf(t->why.text, sizeof(t->why.text), "%s",
		       reason == SSL_R_WRONG_VERSION_NUMBER && !SSL_is_server(t->ssl)
			       ? "wrong version number: the server does not speak TLS"
			       : tls_context_reason());
	if (reason == SSL_R_UNEXPECTED_EOF_WHILE_READING)
		return -ECONNABORTED;
	return reason >= SSL_AD_REASON_OFFSET ? -EREMOTEIO : -EPROTO;
}

/* Call it directly after an SSL_*() call has returned r <= 0. Returns -errno; 0: close_notify. */
static int failure(struct tls *t, int r, short *wants)
{
	int error = errno;

	switch (SSL_get_error(t->ssl, r)) {
	case SSL_ERROR_WANT_READ: *wants = POLLIN; return -EAGAIN;
	case SSL_ERROR_WANT_WRITE: *wants = POLLOUT; return -EAGAIN;
	case SSL_ERROR_ZERO_RETURN: return 0;
	case SSL_ERROR_SYSCALL:
		error = error != 0 ? -error : -ECONNABORTED;
		(void)snprintf(t->why.text, sizeof(t->why.text), "%s", strerror(-error));
		break;
	default: error = explain(t);
	}
	ERR_clear_error();
	t->open = false;
	return error;
}

/* ---- beginning */

/* Sets the name that the server's certificate must have; it is sent to the server as well (SNI). */
static bool expect_name(SSL *ssl, const char *host)
{
	struct in6_addr address;
	char name[sizeof(((struct backend *)0)->host)];
	size_t len = strlen(host);

	if (inet_pton(AF_INET, host, &address) == 1 ||
	    inet_pton(AF_INET6, host, &address) == 1)
		return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host);
	if (host[len - 1] == '.') /* neither certificates nor SNI have the final dot */
		len--;
	memcpy(name, host, len);
	name[len] = '\0';
	/* subjectAltName only (RFC 9110 4.3.4) */
	SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS |
				       X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
	return SSL_set1_host(ssl, name) && SSL_set_tlsext_host_name(ssl, name);
}

static void connection_free(struct tls *t, bool notify)
{
	if (notify && t->open && !t->shut)
		(void)SSL_shutdown(t->ssl); /* is not sent if the socket is full */
	SSL_free(t->ssl);
	t->ssl = NULL;
	t->open = t->shut = false;
}

static void tls_retire(struct tls *t)
{
	connection_free(t, true);
	ERR_clear_error();
}

static void tls_free(struct tls *t, bool notify)
{
	connection_free(t, notify);
	SSL_CTX_free(t->ctx);
	OPENSSL_cleanse(&t->keys, sizeof(t->keys));
	ERR_clear_error();
	free(t);
}

/* Without a context. Sets *why to "out of memory" already, for all later errors without a text of their own. */
static struct tls *tls_new(struct tls_why *why)
{
	(void)snprintf(why->text, sizeof(why->text), "out of memory");
	return calloc(1, sizeof(struct tls));
}

/* The last step of connect() and accept(): hands t on, or frees it after an error. */
static enum tls_begin finish(struct tls *t, enum tls_begin r, struct tls **ret)
{
	if (r == TLS_READY)
		*ret = t;
	else if (t)
		tls_free(t, false);
	return r;
}

/* Each function that calls failure() begins with this: no errors yet, nothing read in this call. */
static void call_begin(struct tls *t)
{
	t->excess = 0;
	ERR_clear_error();
	errno = 0;
}

/* At the limit it pretends that the socket is empty; poll(2) will say that it is not. */
static long on_socket(BIO *bio, int op, const char *data, size_t len, int argi, long argl,
		      int ret, size_t *processed)
{
	struct tls *t = (struct tls *)BIO_get_callback_arg(bio);

	(void)data;
	(void)len;
	(void)argi;
	(void)argl;
	if (op == BIO_CB_READ && t->excess >= TLS_EXCESS_MAX) {
		BIO_set_retry_read(bio);
		return -1;
	}
	if (op == (BIO_CB_READ | BIO_CB_RETURN) && ret > 0)
		t->excess += *processed;
	return ret;
}

/* set_state makes it a client or a server. Fails for lack of memory only. */
static bool attach(struct tls *t, int fd, void (*set_state)(SSL *ssl))
{
	BIO *bio;

	t->ssl = SSL_new(t->ctx);
	if (!t->ssl || SSL_set_fd(t->ssl, fd) != 1)
		return false;
	bio = SSL_get_rbio(t->ssl);
	BIO_set_callback_ex(bio, on_socket);
	BIO_set_callback_arg(bio, (char *)t);
	(void)SSL_set_app_data(t->ssl, &t->keys); /* cannot fail */
	set_state(t->ssl);
	return true;
}

/* Sets the context of t: that of `earlier`, or a new one. */
static enum tls_begin client_context(struct tls *t, const struct backend *be,
				     const struct tls *earlier, struct tls_why *why)
{
	if (earlier) {
		(void)SSL_CTX_up_ref(earlier->ctx); /* cannot fail */
		t->ctx = earlier->ctx;
		return TLS_READY;
	}
	t->ctx = tls_context_new(TLS_client_method(), why);
	return t->ctx ? tls_context_connect(t->ctx, be, why) : TLS_LOCAL_FAULT;
}

static enum tls_begin tls_connect(int fd, const struct backend *be,
				  const struct tls *earlier, struct tls **ret,
				  struct tls_why *why)
{
	struct tls *t = tls_new(why);
	enum tls_begin r = t ? client_context(t, be, earlier, why) : TLS_LOCAL_FAULT;

	if (r == TLS_READY &&
	    !(attach(t, fd, SSL_set_connect_state) && expect_name(t->ssl, be->host)))
		r = TLS_LOCAL_FAULT;
	return finish(t, r, ret);
}

static enum tls_begin tls_accept(int fd, const struct config_tls *cfg, struct tls **ret,
				 struct tls_why *why)
{
	struct tls *t = tls_new(why);
	enum tls_begin r = TLS_LOCAL_FAULT;

	if (t)
		t->ctx = tls_context_new(TLS_server_method(), why);
	if (t && t->ctx)
		r = tls_context_accept(t->ctx, cfg, &t->keys, why);
	if (r == TLS_READY && !attach(t, fd, SSL_set_accept_state))
		r = TLS_LOCAL_FAULT;
	return finish(t, r, ret);
}

/* ---- the connection */

static int tls_handshake(struct tls *t, short *wants)
{
	const X509 *peer;
	int r;

	call_begin(t);
	r = SSL_do_handshake(t->ssl);
	if (r != 1) {
		r = failure(t, r, wants);
		if (r < 0)
			return r;
		(void)snprintf(t->why.text, sizeof(t->why.text), "the peer closed TLS");
		return -EPROTO;
	}
	t->open = true;
	peer = SSL_is_server(t->ssl) ? SSL_get0_peer_certificate(t->ssl) : NULL;
	r = peer ? tls_certificate_subject(peer, t->subject, sizeof(t->subject)) : 0;
	if (r == 0)
		return 0;
	t->open = false;
	(void)snprintf(t->why.text, sizeof(t->why.text),
		       "the client certificate's subject is empty or too long");
	return r;
}

static ssize_t tls_read(struct tls *t, struct buf *b, short *wants)
{
	size_t start = b->end, n;
	int r = 1;

	if (t->read_error < 0)
		return t->read_error;
	*wants = 0;
	call_begin(t);
	while (buf_room(b) > 0) {
		errno = 0;
		r = SSL_read_ex(t->ssl, b->data + b->end, buf_room(b), &n);
		if (r <= 0)
			break;
		b->end += n;
		t->excess -= n < t->excess ? n : t->excess;
	}
	if (r <= 0) {
		r = failure(t, r, wants);
		if (r < 0 && r != -EAGAIN)
			t->read_error = r;
	}
	return b->end > start ? (ssize_t)(b->end - start) : r;
}

/*
 * The payload of the next record: smaller pieces are put together in storage. One record at a time,
 * because bytes that SSL_write() did not take must be the first ones in the next call.
 */
static struct slice next_record(const struct iovec *iov, size_t n, size_t skip,
				char storage[static TLS_RECORD])
{
	struct buf b = { .data = storage, .cap = TLS_RECORD };

	for (; n > 0; iov++, n--) {
		struct slice piece = { iov->iov_base, iov->iov_len };
		size_t skipped = skip < piece.len ? skip : piece.len;

		skip -= skipped;
		piece = slice_from(piece, skipped);
		if (piece.len > buf_room(&b))
			piece.len = buf_room(&b);
		if (buf_len(&b) == 0 && (piece.len == TLS_RECORD || n == 1))
			return piece;
		(void)buf_put_slice(&b, piece); /* was cut to fit */
	}
	return buf_slice(&b);
}

static ssize_t tls_write(struct tls *t, const struct iovec *iov, size_t n, short *wants)
{
	char storage[TLS_RECORD];
	size_t done = 0, written;
	struct slice record;
	int r = 1;

	if (t->write_error < 0)
		return t->write_error;
	*wants = 0;
	call_begin(t);
	while (r > 0 && (record = next_record(iov, n, done, storage)).len > 0) {
		errno = 0;
		r = SSL_write_ex(t->ssl, record.p, record.len, &written);
		if (r > 0)
			done += written;
	}
	if (r <= 0) {
		r = failure(t, r, wants);
		if (r != -EAGAIN)
			t->write_error = r < 0 ? r : -EPIPE;
	}
	return done > 0 ? (ssize_t)done : r == 0 ? -EPIPE : r;
}

static int tls_shut(struct tls *t, short *wants)
{
	int r;

	if (!t->open)
		return t->write_error < 0 ? t->write_error : -EPIPE;
	if (t->shut)
		return 0;
	call_begin(t);
	/* OpenSSL sets SSL_SENT_SHUTDOWN before it writes, so that says nothing. */
	r = SSL_shutdown(t->ssl);
	if (r < 0)
		return failure(t, r, wants);
	t->shut = true;
	return 0;
}

static bool tls_is_quiet(struct tls *t)
{
	short wants;
	size_t n;
	char byte;
	int r;

	if (t->read_error < 0)
		return false;
	call_begin(t);
	r = SSL_peek_ex(t->ssl, &byte, 1, &n);
	return r <= 0 && failure(t, r, &wants) == -EAGAIN;
}

static const char *tls_subject(const struct tls *t)
{
	return t->subject[0] ? t->subject : NULL;
}

static const char *tls_why_text(const struct tls *t)
{
	return t->why.text;
}

static void tls_inspect(const struct tls *t, tls_tell tell, void *userdata)
{
	tls_certificate_inspect(SSL_get_certificate(t->ssl), tell, userdata);
}

static bool tls_describe(const struct tls *t, char *names, size_t size, int64_t *until)
{
	return tls_certificate_describe(SSL_get_certificate(t->ssl), names, size, until);
}

__attribute__((visibility("default"))) const struct tls_module novnc_gate_tls = {
	.version = NOVNC_GATE_VERSION,
	.layout = TLS_LAYOUT,
	.connect = tls_connect,
	.accept = tls_accept,
	.inspect = tls_inspect,
	.describe = tls_describe,
	.handshake = tls_handshake,
	.read = tls_read,
	.write = tls_write,
	.shut = tls_shut,
	.is_quiet = tls_is_quiet,
	.subject = tls_subject,
	.why = tls_why_text,
	.retire = tls_retire,
	.free = tls_free,
};
