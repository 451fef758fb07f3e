/* SPDX-License-Identifier: MIT */
/* What is configured, as OpenSSL's contexts. */
#include "tls_context.h"

#include <limits.h>
#include <openssl/conf.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

/* What is read from the socket at once, bytes: some records. */
#define TLS_READ_AHEAD (64 * 1024)
/* How long a ticket is good; novnc-gate-tls-ticket.service keeps a key as long at least. */
#define TLS_TICKET_SEC (8 * 60 * 60L)

/* Mozilla's "intermediate", without finite-field Diffie-Hellman; TLS 1.3 has its own. */
static const char ciphers[] = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
			      "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
			      "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";

static const unsigned char alpn[] = "\x08http/1.1";

static int skip_engines(CONF_IMODULE *section, const CONF *cnf)
{
	(void)section;
	(void)cnf;
	return 1;
}

/*
 * Where only a backend speaks TLS, OpenSSL starts inside the sandbox, and an engine in
 * openssl.cnf may ask the kernel for what that forbids. So engines are left out on both
 * ports; all other settings hold. Of two modules of one name OpenSSL uses the first, and it adds
 * its own later.
 */
__attribute__((constructor)) static void leave_out_engines(void)
{
	(void)CONF_module_add("engines", skip_engines, NULL); /* fails as all would then: no memory */
}

void tls_context_explain(struct tls_why *why, const char *about)
{
	unsigned long e = ERR_peek_error();
	const char *reason = ERR_SYSTEM_ERROR(e) ? strerror(ERR_GET_REASON(e))
						 : ERR_reason_error_string(e);

	(void)snprintf(why->text, sizeof(why->text), "%s%s%s", about,
		       about[0] ? ": " : "", reason ? reason : "unknown error");
	ERR_clear_error();
}

/* A passphrase would be asked for on a terminal. */
static int no_passphrase(char *room, int size, int writing, void *userdata)
{
	(void)room;
	(void)size;
	(void)writing;
	(void)userdata;
	return -1;
}

static SSL_CTX *context_new(const SSL_METHOD *method, struct tls_why *why)
{
	SSL_CTX *ctx = SSL_CTX_new(method);

	(void)snprintf(why->text, sizeof(why->text), "out of memory");
	if (!ctx && RAND_status() != 1)
		(void)snprintf(why->text, sizeof(why->text),
			       "the kernel gave no random numbers (getrandom)");
	if (!ctx)
		return NULL;
	if (SSL_CTX_get_min_proto_version(ctx) < TLS1_2_VERSION) /* openssl.cnf may ask for more */
		(void)SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION); /* is known */
	(void)SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
					       SSL_OP_CIPHER_SERVER_PREFERENCE |
					       SSL_OP_PRIORITIZE_CHACHA);
	(void)SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE |
					    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_read_ahead(ctx, 1);
	SSL_CTX_set_default_read_buffer_len(ctx, TLS_READ_AHEAD);
	SSL_CTX_set_default_passwd_cb(ctx, no_passphrase);
	return ctx;
}

/* OpenSSL would wait until somebody writes to it. */
static bool is_fifo(const char *file, struct tls_why *why)
{
	struct stat st;

	if (stat(file, &st) < 0 || !S_ISFIFO(st.st_mode))
		return false; /* what else is wrong with it OpenSSL tells */
	(void)snprintf(why->text, sizeof(why->text), "%s: is a FIFO", file);
	return true;
}

/* Certificate chain and key, each of which names itself where it is at fault. */
static int use_certificate(SSL_CTX *ctx, const char *certificate, const char *key,
			   struct tls_why *why)
{
	int lib;

	if (is_fifo(certificate, why) || is_fifo(key, why))
		return -EINVAL;
	if (SSL_CTX_use_certificate_chain_file(ctx, certificate) != 1) {
		tls_context_explain(why, certificate);
		return -EINVAL;
	}
	if (SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) == 1) {
		if (SSL_CTX_check_private_key(ctx) == 1)
			return 0;
		/* of another kind, so that it was taken for another certificate's */
		ERR_clear_error();
		(void)snprintf(why->text, sizeof(why->text), "%s: not the key of %s", key,
			       certificate);
		return -EINVAL;
	}
	lib = ERR_GET_LIB(ERR_peek_error());
	tls_context_explain(why, key);
	if (lib != ERR_LIB_SYS && lib != ERR_LIB_X509) /* "unsupported" is all it says */
		(void)snprintf(why->text, sizeof(why->text),
			       "%s: no private key in it, or one with a passphrase", key);
	return -EINVAL;
}

/* The system's store is a directory that is looked up by hash: none of it is read before. */
static int use_store(SSL_CTX *ctx, const struct config_trust *trust, struct tls_why *why)
{
	if (!trust->verify)
		return 0;
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	if (!trust->ca_file) {
		(void)SSL_CTX_set_default_verify_dir(
			ctx); /* one that is missing has none */
		return 0;
	}
	if (is_fifo(trust->ca_file, why))
		return -EINVAL;
	/* what is in there is trusted, whoever may have issued it */
	(void)X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(ctx),
					  X509_V_FLAG_PARTIAL_CHAIN);
	if (SSL_CTX_load_verify_file(ctx, trust->ca_file) == 1)
		return 0;
	tls_context_explain(why, trust->ca_file);
	return -EINVAL;
}

int tls_context_client(const struct config_trust *trust, SSL_CTX **ret,
		       struct tls_why *why)
{
	SSL_CTX *ctx = context_new(TLS_client_method(), why);
	int r = ctx ? use_store(ctx, trust, why) : -ENOMEM;

	if (r == 0 && SSL_CTX_set_alpn_protos(ctx, alpn, sizeof(alpn) - 1) != 0)
		r = -ENOMEM;
	if (r == 0 && trust->certificate)
		r = use_certificate(ctx, trust->certificate,
				    trust->key ? trust->key : trust->certificate, why);
	if (r == 0)
		*ret = ctx;
	else
		SSL_CTX_free(ctx);
	return r;
}

/* ---- the server's side */

/* RFC 7301 3.2: a client that names protocols without ours is refused. */
static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_len,
			   const unsigned char *in, unsigned in_len, void *userdata)
{
	unsigned char *chosen;

	(void)ssl;
	(void)userdata;
	if (SSL_select_next_proto(&chosen, out_len, alpn, sizeof(alpn) - 1, in, in_len) !=
	    OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	*out = chosen;
	return SSL_TLSEXT_ERR_OK;
}

/* A name without "/" is a credential's, systemd.exec(5). */
static const char *credential(const char *name, char ret[static PATH_MAX])
{
	const char *dir = getenv("CREDENTIALS_DIRECTORY");

	if (name[0] == '/' || !dir)
		return name;
	(void)snprintf(ret, PATH_MAX, "%s/%s", dir, name);
	return ret;
}

/* Nothing is resumed; these cannot fail. */
static void no_tickets(SSL_CTX *ctx)
{
	(void)SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
	(void)SSL_CTX_set_num_tickets(ctx, 0);
}

/* Without a key that the next process has as well, a ticket is of no use. */
static int use_tickets(SSL_CTX *ctx, const char *name, struct tls_ticket_keys *keys,
		       struct tls_why *why)
{
	char path[PATH_MAX];
	int r = tls_ticket_read(credential(name, path), keys);

	if (r == -ENOENT) {
		no_tickets(ctx);
		return 0;
	}
	if (r < 0) {
		(void)snprintf(why->text, sizeof(why->text), "%s: %s", name,
			       r == -EINVAL ? "is not 80 or 160 bytes long"
					    : strerror(-r));
		return -EINVAL;
	}
	(void)SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, tls_ticket_key);
	(void)SSL_CTX_set_timeout(ctx, TLS_TICKET_SEC);
	return 0;
}

/*
 * Client certificates are asked for, not demanded. A ticket would carry one on that nobody
 * verifies again, past its end and its authority's.
 */
static int use_client_ca(SSL_CTX *ctx, const char *file, struct tls_why *why)
{
	STACK_OF(X509_NAME) *names = SSL_load_client_CA_file(file);

	if (!names || SSL_CTX_load_verify_file(ctx, file) != 1) {
		tls_context_explain(why, file);
		sk_X509_NAME_pop_free(names, X509_NAME_free);
		return -EINVAL;
	}
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_client_CA_list(ctx, names);
	no_tickets(ctx);
	return 0;
}

int tls_context_server(const struct config_tls *cfg, struct tls_ticket_keys *keys,
		       SSL_CTX **ret, struct tls_why *why)
{
	char certificate[PATH_MAX], key[PATH_MAX];
	SSL_CTX *ctx = context_new(TLS_server_method(), why);
	int r = ctx && SSL_CTX_set_cipher_list(ctx, ciphers) == 1 ? 0 : -ENOMEM;

	if (r == 0) {
		(void)SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
		SSL_CTX_set_alpn_select_cb(ctx, choose_protocol, NULL);
		r = use_certificate(ctx, credential(cfg->certificate, certificate),
				    credential(cfg->key, key), why);
	}
	if (r == 0)
		r = use_tickets(ctx, cfg->ticket_key, keys, why);
	if (r == 0 && cfg->client_ca_file)
		r = is_fifo(cfg->client_ca_file, why)
			    ? -EINVAL
			    : use_client_ca(ctx, cfg->client_ca_file, why);
	if (r == 0)
		*ret = ctx;
	else
		SSL_CTX_free(ctx);
	return r;
}
