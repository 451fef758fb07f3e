/* SPDX-License-Identifier: MIT */
/* Certificates: their content, and which are accepted. Part of the TLS module. */
#pragma once

#include <openssl/x509_vfy.h>
#include <stddef.h>

#include "tls/tls.h"

/* The verification error of a certificate that names no host in its subjectAltName. */
#define TLS_CERTIFICATE_NAMELESS X509_V_ERR_APPLICATION_VERIFICATION

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

/* As the module's inspect(). */
void tls_certificate_inspect(const X509 *certificate, tls_tell tell, void *userdata);
