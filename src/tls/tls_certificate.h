/* SPDX-License-Identifier: MIT */
/* Certificates: what they say, and which are accepted. Part of the TLS module. */
#ifndef NOVNC_GATE_TLS_CERTIFICATE_H
#define NOVNC_GATE_TLS_CERTIFICATE_H

#include <openssl/x509_vfy.h>
#include <stddef.h>

#include "tls/tls.h"

/* The error of verification where the certificate names nobody in its subjectAltName. */
#define TLS_CERTIFICATE_NAMELESS X509_V_ERR_APPLICATION_VERIFICATION

/*
 * Writes the subject as RFC 2253 does, in printable ASCII whatever is in the certificate. 0, or
 * -EPROTO with an empty text where there is none or it does not fit.
 */
int tls_certificate_subject(const X509 *certificate, char *ret, size_t size);

/*
 * For SSL_CTX_set_cert_verify_callback(), on a backend's certificate; trust is the backend's
 * struct config_trust. What is itself in CaFile= is believed whatever it names and whoever
 * issued it, as long as it is valid; all others are OpenSSL's to judge.
 */
int tls_certificate_verify(X509_STORE_CTX *ctx, void *trust);

/* As the module's inspect(). */
void tls_certificate_inspect(const X509 *certificate, tls_tell tell, void *userdata);

#endif
