/* SPDX-License-Identifier: MIT */
#include "conn.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/param.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "bench.h"

#define CIPHER "TLS_AES_128_GCM_SHA256"

static SSL_CTX *client;
static SSL_SESSION *newest, *session;

_Noreturn static void fail_tls(const char *what)
{
	(void)fprintf(stderr, "%s: ", what);
	ERR_print_errors_fp(stderr);
	exit(EXIT_FAILURE);
}

static SSL_CTX *context(const SSL_METHOD *method)
{
	SSL_CTX *ctx = SSL_CTX_new(method);

	if (!ctx || !SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) ||
	    !SSL_CTX_set_ciphersuites(ctx, CIPHER))
		fail_tls("TLS");
	/* some end without a close_notify */
	(void)SSL_CTX_set_options(ctx, SSL_OP_IGNORE_UNEXPECTED_EOF);
	return ctx;
}

static int keep_session(SSL *ssl, SSL_SESSION *s)
{
	(void)ssl;
	SSL_SESSION_free(newest);
	newest = s;
	return 1; /* it is ours now */
}

void conn_use_tls(void)
{
	client = context(TLS_client_method());
	(void)SSL_CTX_set_session_cache_mode(
		client, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL_STORE);
	SSL_CTX_sess_set_new_cb(client, keep_session);
}

void conn_use_session(void)
{
	errno = 0;
	if (!newest)
		fail("no session ticket");
	session = newest;
	newest = NULL;
	/* else it could be used only once */
	(void)SSL_CTX_set_session_cache_mode(client, SSL_SESS_CACHE_OFF);
}

static SSL *tls(SSL_CTX *ctx, int fd)
{
	SSL *ssl = SSL_new(ctx);

	if (!ssl || !SSL_set_fd(ssl, fd))
		fail_tls("TLS");
	return ssl;
}

struct conn conn_dial(int port)
{
	static const struct timeval patience = { .tv_sec = 20 };
	static const int on = 1;
	struct sockaddr_in sa = { .sin_family = AF_INET,
				  .sin_port = htons((uint16_t)port),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct conn c = { .fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) };

	if (c.fd < 0 || connect(c.fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
		fail("connect");
	(void)setsockopt(c.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	(void)setsockopt(c.fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	(void)setsockopt(c.fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	if (!client)
		return c;
	c.ssl = tls(client, c.fd);
	if (session && !SSL_set_session(c.ssl, session))
		fail_tls("session");
	if (SSL_connect(c.ssl) != 1)
		fail_tls("handshake");
	errno = 0;
	if (SSL_session_reused(c.ssl) != (session != NULL))
		fail("not resumed");
	return c;
}

SSL_CTX *conn_server(const char *certificate, const char *key)
{
	SSL_CTX *ctx = context(TLS_server_method());

	if (SSL_CTX_use_certificate_chain_file(ctx, certificate) != 1 ||
	    SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1)
		fail_tls(certificate);
	return ctx;
}

struct conn conn_accept(int fd, SSL_CTX *ctx)
{
	struct conn c = { .fd = fd, .ssl = tls(ctx, fd) };

	if (SSL_accept(c.ssl) != 1)
		fail_tls("handshake");
	return c;
}

void conn_put(struct conn *c, const void *p, size_t len)
{
	const char *at = p;

	if (c->ssl) {
		if (SSL_write_ex(c->ssl, p, len, &len) != 1)
			fail_tls("send");
		return;
	}
	while (len > 0) {
		ssize_t n = send(c->fd, at, len, MSG_NOSIGNAL);

		if (n < 0)
			fail("send");
		at += n;
		len -= (size_t)n;
	}
}

size_t conn_get(struct conn *c, void *p, size_t cap)
{
	ssize_t n;

	if (c->ssl) {
		size_t got = 0;

		if (SSL_read_ex(c->ssl, p, cap, &got) != 1 &&
		    SSL_get_error(c->ssl, 0) != SSL_ERROR_ZERO_RETURN)
			fail_tls("receive");
		return got;
	}
	n = recv(c->fd, p, cap, 0);
	if (n < 0)
		fail("recv");
	return (size_t)n;
}

void conn_get_all(struct conn *c, void *p, size_t len)
{
	for (size_t n, got = 0; got < len; got += n) {
		n = conn_get(c, (char *)p + got, len - got);
		errno = 0;
		if (n == 0)
			fail("early end");
	}
}

size_t conn_get_head(struct conn *c, char *buf, size_t cap, size_t *len)
{
	char *end = NULL;

	for (*len = 0; !end;) {
		size_t n = conn_get(c, buf + *len, cap - 1 - *len);

		if (n == 0) {
			*len = 0;
			return 0;
		}
		*len += n;
		buf[*len] = '\0';
		end = strstr(buf, "\r\n\r\n");
	}
	return *len - (size_t)(end + 4 - buf);
}

/* Plain bytes are not even copied. */
static size_t discard_some(struct conn *c, uint64_t most)
{
	static char scratch[1 << 16];
	ssize_t n;

	if (c->ssl)
		return conn_get(c, scratch, MIN(most, sizeof(scratch)));
	n = recv(c->fd, NULL, MIN(most, 1UL << 22), MSG_TRUNC);
	if (n < 0)
		fail("recv");
	return (size_t)n;
}

uint64_t conn_discard(struct conn *c, uint64_t n)
{
	uint64_t got = 0;

	while (n == 0 || got < n) {
		size_t r = discard_some(c, n ? n - got : UINT64_MAX);

		errno = 0;
		if (r == 0 && n > 0)
			fail("early end");
		if (r == 0)
			break;
		got += r;
	}
	return got;
}

void conn_shut(struct conn *c)
{
	if (c->ssl)
		(void)SSL_shutdown(c->ssl); /* 0 until the peer's has come as well */
	(void)shutdown(c->fd, SHUT_WR);
}

void conn_close(struct conn *c)
{
	if (c->ssl) /* or its session could not be resumed */
		SSL_set_shutdown(c->ssl, SSL_SENT_SHUTDOWN);
	SSL_free(c->ssl);
	(void)close(c->fd);
}
