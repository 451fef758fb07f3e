/* SPDX-License-Identifier: MIT */
/*
 * key_updates SECONDS [REQUEST] -- a TLS 1.3 client on standard input that asks (and waits for the
 * answer's head) and then sends KeyUpdate messages (RFC 8446 4.6.3) without a pause, which Python
 * cannot. Exit status: 0 when the other side ended it, 3 when the time was over.
 */
#include <openssl/ssl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define EACH 500

static SSL *handshake(void)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	SSL *ssl = ctx ? SSL_new(ctx) : NULL;

	if (!ssl || SSL_set_fd(ssl, 0) != 1 || SSL_connect(ssl) != 1)
		exit(1);
	return ssl;
}

static void ask(SSL *ssl, const char *request)
{
	char answer[65536];
	int len = 0, n;

	if (SSL_write(ssl, request, (int)strlen(request)) <= 0)
		exit(1);
	while (!memmem(answer, (size_t)len, "\r\n\r\n", 4)) {
		n = SSL_read(ssl, answer + len, (int)sizeof(answer) - len);
		if (n <= 0)
			exit(1);
		len += n;
	}
}

/* Returns 0 once the other side takes no more. */
static int send_all(const char *p, long len)
{
	while (len > 0) {
		ssize_t n = send(0, p, (size_t)len, 0);

		if (n <= 0)
			return 0;
		p += n;
		len -= n;
	}
	return 1;
}

int main(int argc, char *argv[])
{
	time_t end = time(NULL) + (argc > 1 ? atoi(argv[1]) : 0);
	BIO *out = BIO_new(BIO_s_mem());
	SSL *ssl = handshake();
	char *p;
	long len;

	(void)signal(SIGPIPE, SIG_IGN);
	if (argc > 2)
		ask(ssl, argv[2]);
	SSL_set0_wbio(ssl, out); /* many go with one call */
	do {
		for (int i = 0; i < EACH; i++)
			if (!SSL_key_update(ssl, SSL_KEY_UPDATE_NOT_REQUESTED) ||
			    SSL_do_handshake(ssl) != 1)
				return 1;
		len = BIO_get_mem_data(out, &p);
		if (!send_all(p, len))
			return 0;
		(void)BIO_reset(out);
	} while (time(NULL) < end);
	return 3;
}
