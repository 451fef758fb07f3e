/* SPDX-License-Identifier: MIT */
#include "tls/tls_context.h"

#include <limits.h>
#include <openssl/conf.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "tls/tls_certificate.h"

/* The most that one read of the socket brings, bytes: several records. */
#define TLS_READ_AHEAD (64 * 1024)
/* The life of a ticket; novnc-gate-tls-ticket.service keeps a key at least as long. */
#define TLS_TICKET_SEC (8 * 60 * 60L)

/* For TLS 1.2: Mozilla's "intermediate" without finite-field Diffie-Hellman. */
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
 * If only a backend speaks TLS, OpenSSL starts inside the sandbox, where an engine may make system
 * calls that are forbidden. So the engines in openssl.cnf are ignored, also when OpenSSL starts before
 * the sandbox. All other settings hold. Of two configuration modules with one name OpenSSL uses the
 * first, and it adds its own later.
 */
__attribute__((constructor)) static void leave_out_engines(void)
{
	/* fails for lack of memory only, which shows up elsewhere */
	(void)CONF_module_add("engines", skip_engines, NULL);
}

const char *tls_context_reason(void)
{
	unsigned long e = ERR_peek_error();
	const char *text = ERR_SYSTEM_ERROR(e) ? strerror(ERR_GET_REASON(e))
					       : ERR_reason_error_string(e);

	return text ? text : "unknown error";
}

/* ---- files */

/* A file, and the section and key that name it. */
struct file {
	const char *section, *key, *path;
};

static enum tls_begin blame(const struct file *f, const char *what, struct tls_why *why)
{
	(void)snprintf(why->text, sizeof(why->text), "[%s] %s=%s: %s", f->section, f->key,
		       f->path, what);
	ERR_clear_error();
	return TLS_MISCONFIGURED;
}

/* After OpenSSL has failed to read certificates from the file. */
static enum tls_begin blame_certificates(const struct file *f, struct tls_why *why)
{
	unsigned long e = ERR_peek_error();
	int lib = ERR_GET_LIB(e), what = ERR_GET_REASON(e);

	if ((lib == ERR_LIB_PEM && what == PEM_R_NO_START_LINE) ||
	    (lib == ERR_LIB_X509 && what == X509_R_NO_CERTIFICATE_OR_CRL_FOUND))
		return blame(f, "contains no certificate", why);
	return blame(f, tls_context_reason(), why);
}

/* OpenSSL would ask for a passphrase on a terminal. */
static int no_passphrase(char *storage, int size, int writing, void *userdata)
{
	(void)storage;
	(void)size;
	(void)writing;
	(void)userdata;
	return -1;
}

SSL_CTX *tls_context_new(const SSL_METHOD *method, struct tls_why *why)
{
	SSL_CTX *ctx = SSL_CTX_new(method);

	if (!ctx && RAND_status() != 1)
		(void)snprintf(why->text, sizeof(why->text),
			       "no random numbers from the kernel (getrandom)");
	if (!ctx)
		return NULL;
	/* openssl.cnf may set a higher minimum version */
	if (SSL_CTX_get_min_proto_version(ctx) < TLS1_2_VERSION)
		(void)SSL_CTX_set_min_proto_version(ctx,
						    TLS1_2_VERSION); /* cannot fail */
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

/* OpenSSL would wait for a writer of a FIFO, and would read a directory as an empty file. */
static bool refuse_fifo_or_dir(const struct file *f, struct tls_why *why)
{
	struct stat st;

	if (stat(f->path, &st) < 0 || !(S_ISFIFO(st.st_mode) || S_ISDIR(st.st_mode)))
		return false; /* OpenSSL has words for all other faults */
	(void)blame(f, S_ISDIR(st.st_mode) ? "is a directory" : "is a FIFO", why);
	return true;
}

/* Usually the key is another certificate's, or the chain begins with an authority's certificate. */
static enum tls_begin blame_mismatch(const struct file *certificate, const char *subject,
				     const struct file *key, struct tls_why *why)
{
	char what[400];

	(void)snprintf(what, sizeof(what),
		       "does not belong to the first certificate in %s=%s (%s); the "
		       "certificate of this key must come first",
		       certificate->key, certificate->path, subject);
	return blame(key, what, why);
}

/* Certificate chain and key. */
static enum tls_begin use_certificate(SSL_CTX *ctx, const struct file *certificate,
				      const struct file *key, struct tls_why *why)
{
	char subject[200];
	int lib;

	if (refuse_fifo_or_dir(certificate, why) || refuse_fifo_or_dir(key, why))
		return TLS_MISCONFIGURED;
	if (SSL_CTX_use_certificate_chain_file(ctx, certificate->path) != 1)
		return blame_certificates(certificate, why);
	/* before the key: after a key of another type, SSL_CTX_get0_certificate() returns NULL */
	if (tls_certificate_subject(SSL_CTX_get0_certificate(ctx), subject,
				    sizeof(subject)) < 0)
		(void)snprintf(subject, sizeof(subject), "subject empty or too long");
	if (SSL_CTX_use_PrivateKey_file(ctx, key->path, SSL_FILETYPE_PEM) == 1)
		return SSL_CTX_check_private_key(ctx) == 1
			       ? TLS_READY
			       : blame_mismatch(certificate, subject, key, why);
	lib = ERR_GET_LIB(ERR_peek_error());
	if (lib == ERR_LIB_X509)
		return blame_mismatch(certificate, subject, key, why);
	if (lib == ERR_LIB_SYS)
		return blame(key, tls_context_reason(), why);
	/* "unsupported" is all that OpenSSL says */
	return blame(key, "contains no private key, or one with a passphrase", why);
}

/* Reads CaFile=. Without it, OpenSSL later finds files by hash in the system's directory. */
static enum tls_begin use_store(SSL_CTX *ctx, const struct backend *be,
				struct tls_why *why)
{
	const struct config_backend_tls *trust = &be->trust;
	const struct file file = { be->section, "CaFile", trust->ca_file };

	if (!trust->verify)
		return TLS_READY;
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_cert_verify_callback(ctx, tls_certificate_verify, (void *)trust);
	if (!trust->ca_file) {
		/* a missing directory is like an empty one */
		(void)SSL_CTX_set_default_verify_dir(ctx);
		return TLS_READY;
	}
	if (refuse_fifo_or_dir(&file, why))
		return TLS_MISCONFIGURED;
	/* an authority in CaFile= need not be self-signed */
	(void)X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(ctx),
					  X509_V_FLAG_PARTIAL_CHAIN);
	return SSL_CTX_load_verify_file(ctx, trust->ca_file) == 1
		       ? TLS_READY
		       : blame_certificates(&file, why);
}

enum tls_begin tls_context_connect(SSL_CTX *ctx, const struct backend *be,
				   struct tls_why *why)
{
	const struct config_backend_tls *trust = &be->trust;
	const struct file certificate = { be->section, "ClientCertificate",
					  trust->certificate };
	const struct file key = { be->section, "ClientKey", trust->key };
	enum tls_begin r = use_store(ctx, be, why);

	if (r == TLS_READY && SSL_CTX_set_alpn_protos(ctx, alpn, sizeof(alpn) - 1) != 0)
		r = TLS_LOCAL_FAULT;
	if (r == TLS_READY && trust->certificate)
		r = use_certificate(ctx, &certificate, trust->key ? &key : &certificate,
				    why);
	return r;
}

/* ---- the server's side */

/* RFC 7301 3.2: a client that names protocols without ours is refused. */
static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_len,
			   const unsigned char *in, unsigned in_len, void *userdata)
{
	int r = SSL_select_next_proto((unsigned char **)out, out_len, alpn,
				      sizeof(alpn) - 1, in, in_len);

	(void)ssl;
	(void)userdata;
	return r == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK
					   : SSL_TLSEXT_ERR_ALERT_FATAL;
}

/* A name without "/" is a credential's, systemd.exec(5). storage is for its path. */
static struct file tls_file(const char *key, const char *name,
			    char storage[static PATH_MAX])
{
	const char *dir = getenv("CREDENTIALS_DIRECTORY");
	struct file f = { "Tls", key, name };

	if (name[0] == '/' || !dir)
		return f;
	(void)snprintf(storage, PATH_MAX, "%s/%s", dir, name);
	f.path = storage;
	return f;
}

/* Without tickets no TLS session is resumed. These calls cannot fail. */
static void no_tickets(SSL_CTX *ctx)
{
	(void)SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
	(void)SSL_CTX_set_num_tickets(ctx, 0);
}

/* Without a key file no tickets are issued: a key that only this process knows would be of no use. */
static enum tls_begin use_tickets(SSL_CTX *ctx, const char *name,
				  struct tls_ticket_keys *keys, struct tls_why *why)
{
	char storage[PATH_MAX];
	const struct file file = tls_file("TicketKey", name, storage);
	int r = tls_ticket_read(file.path, keys);

	if (r == -ENOENT) {
		no_tickets(ctx);
		return TLS_READY;
	}
	if (r < 0)
		return blame(&file,
			     r == -EINVAL ? "is neither 80 nor 160 bytes long"
					  : strerror(-r),
			     why);
	(void)SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, tls_ticket_use_key);
	(void)SSL_CTX_set_timeout(ctx, TLS_TICKET_SEC);
	return TLS_READY;
}

/*
 * A client certificate is asked for, but not required. No tickets are issued: a resumed TLS session
 * would accept a certificate that has expired since, because it is not verified again.
 */
static enum tls_begin use_client_ca(SSL_CTX *ctx, const char *path, struct tls_why *why)
{
	const struct file file = { "Tls", "ClientCaFile", path };
	STACK_OF(X509_NAME) * names;

	if (refuse_fifo_or_dir(&file, why))
		return TLS_MISCONFIGURED;
	names = SSL_load_client_CA_file(path);
	if (!names || SSL_CTX_load_verify_file(ctx, path) != 1) {
		sk_X509_NAME_pop_free(names, X509_NAME_free);
		return blame_certificates(&file, why);
	}
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_client_CA_list(ctx, names);
	no_tickets(ctx);
	return TLS_READY;
}

enum tls_begin tls_context_accept(SSL_CTX *ctx, const struct config_tls *cfg,
				  struct tls_ticket_keys *keys, struct tls_why *why)
{
	char certificate_path[PATH_MAX], key_path[PATH_MAX];
	const struct file certificate =
		tls_file("Certificate", cfg->certificate, certificate_path);
	const struct file key = tls_file("Key", cfg->key, key_path);
	enum tls_begin r;

	if (SSL_CTX_set_cipher_list(ctx, ciphers) != 1)
		return TLS_LOCAL_FAULT;
	(void)SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	/* the credentials of a request must not stay in OpenSSL's buffer */
	(void)SSL_CTX_set_options(ctx, SSL_OP_CLEANSE_PLAINTEXT);
	SSL_CTX_set_alpn_select_cb(ctx, choose_protocol, NULL);
	r = use_certificate(ctx, &certificate, &key, why);
	if (r == TLS_READY)
		r = use_tickets(ctx, cfg->ticket_key, keys, why);
	if (r == TLS_READY && cfg->client_ca_file)
		r = use_client_ca(ctx, cfg->client_ca_file, why);
	return r;
}
