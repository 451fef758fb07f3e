/* SPDX-License-Identifier: MIT */
/* Certificates: what they say, and which are accepted. Part of the TLS module. */
#ifndef NOVNC_GATE_TLS_CERTIFICATE_H
#define NOVNC_GATE_TLS_CERTIFICATE_H

#include <openssl/x509.h>
#include <stddef.h>

/*
 * Writes the subject as RFC 2253 does, in printable ASCII whatever is in the certificate. 0, or
 * -EPROTO with an empty text where there is none or it does not fit.
 */
int tls_certificate_subject(const X509 *certificate, char *ret, size_t size);

#endif
