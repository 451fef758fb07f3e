/* SPDX-License-Identifier: MIT */
/* Certificates: their content, and which are accepted. Part of the TLS module. */
#pragma once

#include <openssl/x509_vfy.h>
#include <stddef.h>

#include "tls/tls.h"

/*
 * Writes the subject in the form of RFC 2253; all characters but printable ASCII are escaped.
 * Returns 0, or -EPROTO with an empty text if the subject is empty or does not fit.
 */
int tls_certificate_subject(const X509 *certificate, char *ret, size_t size);

/*
 * For SSL_CTX_set_cert_verify_callback(), on a backend's certificate; trust is the backend's
 * struct config_backend_tls. A certificate that is itself in CaFile= is accepted for any host and
 * from any issuer while it is valid; OpenSSL verifies all others.
 */
int tls_certificate_verify(X509_STORE_CTX *ctx, void *trust);

/* The result of a verification, of SSL_get_verify_result(), in words. */
const char *tls_certificate_reason(long result);

/* As the module's inspect(). */
void tls_certificate_inspect(const X509 *certificate, tls_tell tell, void *userdata);

/* As the module's describe(). */
bool tls_certificate_describe(const X509 *certificate, char *names, size_t size,
			      int64_t *until);
