/* SPDX-License-Identifier: MIT */
/* Certificates: what they say, and which are accepted. */
#include "tls_certificate.h"

#include <errno.h>
#include <openssl/bio.h>

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
