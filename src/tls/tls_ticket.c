/* SPDX-License-Identifier: MIT */
#include "tls/tls_ticket.h"

#include <fcntl.h>
#include <openssl/core_names.h>
#include <openssl/rand.h>

#include "base/buf.h"

_Static_assert(sizeof(struct tls_ticket_key) == 80, "the file's layout");

int tls_ticket_read(const char *file, struct tls_ticket_keys *ret)
{
	unsigned char bytes[sizeof(ret->key) + 1];
	AUTO_FD int fd = open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	ssize_t len = fd < 0 ? -1 : read(fd, bytes, sizeof(bytes));
	int r = 0;

	if (len < 0)
		return -errno;
	if ((len == 4 || (len == 5 && bytes[4] == '\n')) && memcmp(bytes, "none", 4) == 0)
		return -ENOENT;
	ret->n = (size_t)len / sizeof(ret->key[0]);
	if (ret->n < 1 || (size_t)len != ret->n * sizeof(ret->key[0]))
		r = -EINVAL;
	else
		memcpy(ret->key, bytes, (size_t)len);
	OPENSSL_cleanse(bytes, sizeof(bytes));
	return r;
}

static int mac_init(EVP_MAC_CTX *mac, struct tls_ticket_key *key)
{
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)"SHA256",
						 0),
		OSSL_PARAM_END,
	};

	return EVP_MAC_init(mac, key->mac, sizeof(key->mac), params);
}

/*
 * Returns 1; 2 if the client shall get a new ticket as well; 0 if the key is not known; -1 after
 * an error. A ticket of TLS 1.3 is used once, so a client that resumes needs another.
 */
int tls_ticket_use_key(SSL *ssl, unsigned char *name, unsigned char *iv,
		       EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int encrypt)
{
	struct tls_ticket_keys *keys = SSL_get_app_data(ssl);
	struct tls_ticket_key *key = keys->key;
	size_t i = 0;

	if (encrypt) {
		memcpy(name, key->name, sizeof(key->name));
		if (RAND_bytes(iv, EVP_CIPHER_get_iv_length(EVP_aes_256_cbc())) != 1)
			return -1;
	} else {
		while (i < keys->n &&
		       memcmp(name, keys->key[i].name, sizeof(key->name)) != 0)
			i++;
		if (i == keys->n)
			return 0;
		key = &keys->key[i];
	}
	if (EVP_CipherInit_ex2(cipher, EVP_aes_256_cbc(), key->cipher, iv, encrypt,
			       NULL) != 1 ||
	    mac_init(mac, key) != 1)
		return -1;
	return encrypt || (i == 0 && SSL_version(ssl) < TLS1_3_VERSION) ? 1 : 2;
}
