/* SPDX-License-Identifier: MIT */
#include "tls/tls_certificate.h"

#include <arpa/inet.h>
#include <openssl/bio.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <time.h>

/* The verification error of a certificate that names no host in its subjectAltName. */
#define NAMELESS X509_V_ERR_APPLICATION_VERIFICATION

int tls_certificate_subject(const X509 *certificate, char *ret, size_t size)
{
	BIO *bio = BIO_new(BIO_s_mem());
	int len = 0;

	if (bio)
		len = X509_NAME_print_ex(bio, X509_get_subject_name(certificate), 0,
					 XN_FLAG_RFC2253);
	len = len > 0 && (size_t)len < size ? BIO_read(bio, ret, len) : 0;
	ret[len > 0 ? len : 0] = '\0';
	(void)BIO_free(bio);
	return len > 0 ? 0 : -EPROTO;
}

/* Returns true if the subjectAltName has a DNS name or an address. */
static bool names_hosts(const X509 *certificate)
{
	GENERAL_NAMES *names =
		X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
	bool found = false;

	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		int type = sk_GENERAL_NAME_value(names, i)->type;

		found |= type == GEN_DNS || type == GEN_IPADD;
	}
	GENERAL_NAMES_free(names);
	return found;
}

/* Returns true if this very certificate is in the store that was read from CaFile=. */
static bool is_in_store(X509_STORE_CTX *ctx, const X509 *certificate)
{
	STACK_OF(X509) *same =
		X509_STORE_CTX_get1_certs(ctx, X509_get_subject_name(certificate));
	bool found = false;

	for (int i = 0; i < sk_X509_num(same); i++)
		found |= X509_cmp(sk_X509_value(same, i), certificate) == 0;
	sk_X509_pop_free(same, X509_free);
	return found;
}

/* Verifies a chain of one, for any host: OpenSSL still verifies the period and the key. */
static int verify_alone(X509_STORE_CTX *ctx, X509 *certificate)
{
	X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(ctx);
	STACK_OF(X509) *trusted = sk_X509_new_null();
	int r = 0;

	if (trusted && sk_X509_push(trusted, certificate) > 0 &&
	    X509_VERIFY_PARAM_set1_host(param, NULL, 0) &&
	    X509_VERIFY_PARAM_set1_ip(param, NULL, 0) &&
	    X509_VERIFY_PARAM_set_purpose(param, X509_PURPOSE_ANY)) {
		X509_STORE_CTX_set0_untrusted(ctx, NULL);
		X509_STORE_CTX_set0_trusted_stack(ctx, trusted);
		r = X509_verify_cert(ctx);
	} else {
		X509_STORE_CTX_set_error(ctx, X509_V_ERR_OUT_OF_MEM);
	}
	sk_X509_free(trusted);
	return r;
}

int tls_certificate_verify(X509_STORE_CTX *ctx, void *trust)
{
	X509 *certificate = X509_STORE_CTX_get0_cert(ctx);
	int r, error;

	if (((const struct config_backend_tls *)trust)->ca_file &&
	    is_in_store(ctx, certificate))
		return verify_alone(ctx, certificate);
	r = X509_verify_cert(ctx);
	error = X509_STORE_CTX_get_error(ctx);
	if ((error == X509_V_ERR_HOSTNAME_MISMATCH ||
	     error == X509_V_ERR_IP_ADDRESS_MISMATCH) &&
	    !names_hosts(certificate))
		X509_STORE_CTX_set_error(ctx, NAMELESS);
	return r;
}

const char *tls_certificate_reason(long result)
{
	if (result != NAMELESS)
		return X509_verify_cert_error_string(result);
	return "the certificate names no host in its subjectAltName (the Common Name does not "
	       "count): issue one that names the host there, or put a copy of this one into "
	       "CaFile=";
}

/* ---- the gate's own certificate */

static void tell_time(const char *what, const ASN1_TIME *time, tls_tell tell,
		      void *userdata)
{
	char text[100];
	BIO *bio = BIO_new(BIO_s_mem());
	int len = snprintf(text, sizeof(text), "%s ", what);

	if (bio && ASN1_TIME_print(bio, time) == 1) {
		int n = BIO_read(bio, text + len, (int)sizeof(text) - len - 1);

		text[len + (n > 0 ? n : 0)] = '\0';
	}
	(void)BIO_free(bio);
	tell(userdata, true, text);
}

static void inspect_time(const X509 *certificate, tls_tell tell, void *userdata)
{
	const ASN1_TIME *since = X509_get0_notBefore(certificate);
	const ASN1_TIME *until = X509_get0_notAfter(certificate);

	if (X509_cmp_current_time(until) <= 0)
		tell_time("expired on", until, tell, userdata);
	else if (X509_cmp_current_time(since) > 0)
		tell_time("not valid before", since, tell, userdata);
}

/* All browsers accept RSA with 2048 bits or more, P-256 and P-384. */
static void inspect_key(const X509 *certificate, tls_tell tell, void *userdata)
{
	EVP_PKEY *key = X509_get0_pubkey(certificate);
	const char *type = key ? EVP_PKEY_get0_type_name(key) : NULL;
	char text[200], curve[80] = "";

	if (EVP_PKEY_is_a(key, "RSA") && EVP_PKEY_get_bits(key) >= 2048)
		return;
	if (EVP_PKEY_is_a(key, "EC")) {
		(void)EVP_PKEY_get_group_name(key, curve, sizeof(curve), NULL);
		if (strcmp(curve, "prime256v1") == 0 || strcmp(curve, "secp384r1") == 0)
			return;
	}
	(void)snprintf(
		text, sizeof(text),
		"browsers refuse its key (%s%s%s, %d bits); use RSA with 2048 bits or EC "
		"on P-256",
		type ? type : "unknown type", curve[0] ? " on " : "", curve,
		EVP_PKEY_get_bits(key));
	tell(userdata, false, text);
}

void tls_certificate_inspect(const X509 *certificate, tls_tell tell, void *userdata)
{
	inspect_key(certificate, tell, userdata);
	if (!names_hosts(certificate))
		tell(userdata, false,
		     "names no host in its subjectAltName, so browsers refuse it");
	inspect_time(certificate, tell, userdata);
}

/* A host as text; "" for other kinds of names, and for one that is not printable ASCII. */
static void host_text(const GENERAL_NAME *name, char *ret, size_t size)
{
	const unsigned char *p = NULL;
	int len = 0;

	ret[0] = '\0';
	if (name->type == GEN_DNS) {
		p = ASN1_STRING_get0_data(name->d.dNSName);
		len = ASN1_STRING_length(name->d.dNSName);
		for (int i = 0; i < len; i++)
			if (p[i] <= ' ' || p[i] > '~')
				return;
		(void)snprintf(ret, size, "%.*s", len, (const char *)p);
	} else if (name->type == GEN_IPADD) {
		p = ASN1_STRING_get0_data(name->d.iPAddress);
		len = ASN1_STRING_length(name->d.iPAddress);
		if (len == 4 || len == 16)
			(void)inet_ntop(len == 4 ? AF_INET : AF_INET6, p, ret,
					(socklen_t)size);
	}
}

bool tls_certificate_describe(const X509 *certificate, char *names, size_t size,
			      int64_t *until)
{
	GENERAL_NAMES *list =
		X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
	size_t len = 0;
	struct tm tm;

	names[0] = '\0';
	for (int i = 0; i < sk_GENERAL_NAME_num(list); i++) {
		char host[256];

		host_text(sk_GENERAL_NAME_value(list, i), host, sizeof(host));
		if (host[0] == '\0' || strlen(host) + 2 > size - len)
			continue;
		len += (size_t)snprintf(names + len, size - len, "%s%s",
					len > 0 ? " " : "", host);
	}
	GENERAL_NAMES_free(list);
	if (!ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &tm))
		return false;
	*until = timegm(&tm);
	return true;
}
