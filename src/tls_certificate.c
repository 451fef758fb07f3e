/* SPDX-License-Identifier: MIT */
/* Certificates: what they say, and which are accepted. */
#include "tls_certificate.h"

#include <errno.h>
#include <openssl/bio.h>
#include <openssl/x509v3.h>
#include <stdbool.h>

#include "config.h"

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

/* Whether any host can be it: subjectAltName has a DNS name or an address. */
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

/* Whether the store that was read from CaFile= has that very certificate. */
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

/* As a chain of one, for any name: what OpenSSL still looks at is its time and its key. */
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

	if (((const struct config_trust *)trust)->ca_file &&
	    is_in_store(ctx, certificate))
		return verify_alone(ctx, certificate);
	r = X509_verify_cert(ctx);
	error = X509_STORE_CTX_get_error(ctx);
	if ((error == X509_V_ERR_HOSTNAME_MISMATCH ||
	     error == X509_V_ERR_IP_ADDRESS_MISMATCH) &&
	    !names_hosts(certificate))
		X509_STORE_CTX_set_error(ctx, TLS_CERTIFICATE_NAMELESS);
	return r;
}
