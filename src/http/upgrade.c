/* SPDX-License-Identifier: MIT */
#include "http/upgrade.h"

#include <sha1.h>

#define PROTOCOL   SLICE("Sec-WebSocket-Protocol")
#define EXTENSIONS SLICE("Sec-WebSocket-Extensions")

static const char alphabet[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

bool upgrade_requested(const struct http1_head *h)
{
	return http1_has_token(h, SLICE("Upgrade"), SLICE("websocket")) &&
	       http1_has_token(h, SLICE("Connection"), SLICE("upgrade"));
}

/*
 * 16 bytes in base64: 22 digits and "==". Four bits of the last digit are unused and may have any
 * value (RFC 4648 3.5); in the example of RFC 6455 4.1 they are not zero.
 */
static bool key_valid(struct slice key)
{
	if (key.len != 24 || key.p[22] != '=' || key.p[23] != '=')
		return false;
	for (size_t i = 0; i < 22; i++)
		if (!memchr(alphabet, key.p[i], sizeof(alphabet) - 1))
			return false;
	return true;
}

unsigned upgrade_refusal(const struct http1_head *h, const char **why)
{
	if (h->minor == 0) {
		*why = "a WebSocket upgrade needs HTTP/1.1";
	} else if (!slice_eq(h->method, SLICE("GET"))) {
		*why = "a WebSocket upgrade needs the method GET";
	} else if (h->framing == HTTP1_CHUNKED || h->length > 0) {
		*why = "a WebSocket upgrade must not have a body";
	} else if (!key_valid(http1_only(h, SLICE("Sec-WebSocket-Key")))) {
		*why = "a WebSocket upgrade needs one valid Sec-WebSocket-Key";
	} else if (!slice_eq(http1_only(h, SLICE("Sec-WebSocket-Version")),
			     SLICE("13"))) {
		*why = "the only supported WebSocket version is 13";
		return 426;
	} else {
		return 0;
	}
	return 400;
}

void upgrade_accept(struct slice key, char ret[UPGRADE_ACCEPT_SIZE])
{
	/* RFC 6455 1.3 */
	static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
	uint8_t digest[SHA1_DIGEST_LENGTH + 1] = { 0 }; /* whole groups of 3 bytes */
	SHA1_CTX sha;

	SHA1Init(&sha);
	SHA1Update(&sha, (const uint8_t *)key.p, key.len);
	SHA1Update(&sha, (const uint8_t *)guid, sizeof(guid) - 1);
	SHA1Final(digest, &sha);
	for (size_t i = 0; i < sizeof(digest); i += 3) {
		unsigned bits = (unsigned)digest[i] << 16 | (unsigned)digest[i + 1] << 8 |
				digest[i + 2];

		*ret++ = alphabet[bits >> 18];
		*ret++ = alphabet[bits >> 12 & 63];
		*ret++ = alphabet[bits >> 6 & 63];
		*ret++ = alphabet[bits & 63];
	}
	ret[-1] = '='; /* padding: the last digit comes from the added zero byte only */
	ret[0] = '\0';
}

struct slice upgrade_first_protocol(const struct http1_head *h)
{
	struct http1_list protocols = { .head = h, .name = PROTOCOL };
	struct slice first;

	return http1_list_next(&protocols, &first) ? first : SLICE("");
}

/* An element of a list, without the parameters that an extension has (RFC 6455 9.1). */
static struct slice without_parameters(struct slice element)
{
	struct slice name = SLICE("");

	(void)slice_split(&element, ';', &name);
	return slice_trim(name);
}

/* The head of a request offers it in a header of that name. */
static bool is_offered(struct slice choice, struct slice name, struct slice request)
{
	struct field field;

	(void)lines_next(&request); /* the request line */
	while (lines_field(&request, &field) > 0) {
		struct slice offer;

		if (!slice_caseeq(field.name, name))
			continue;
		while (slice_split(&field.value, ',', &offer))
			if (slice_eq(without_parameters(offer), choice))
				return true;
	}
	return false;
}

struct slice upgrade_unoffered(const struct http1_head *h, struct slice request,
			       const char **ret)
{
	struct http1_list extensions = { .head = h, .name = EXTENSIONS };
	struct slice choice = http1_only(h, PROTOCOL);

	*ret = "subprotocol";
	if (choice.len > 0 && !is_offered(choice, PROTOCOL, request))
		return choice;
	*ret = "extension";
	while (http1_list_next(&extensions, &choice)) {
		choice = without_parameters(choice);
		if (choice.len > 0 && !is_offered(choice, EXTENSIONS, request))
			return choice;
	}
	return SLICE("");
}

const char *upgrade_fault(const struct http1_head *h, const char *accept)
{
	size_t accepts = http1_count(h, SLICE("Sec-WebSocket-Accept"));

	if (h->minor == 0)
		return "101 with HTTP/1.0";
	if (http1_count(h, SLICE("Upgrade")) > 1)
		return "101 with more than one Upgrade";
	if (!slice_caseeq(http1_only(h, SLICE("Upgrade")), SLICE("websocket")))
		return "101 without Upgrade: websocket";
	if (!http1_has_token(h, SLICE("Connection"), SLICE("upgrade")))
		return "101 without Connection: upgrade";
	if (accepts == 0)
		return "101 without Sec-WebSocket-Accept";
	if (accepts > 1)
		return "101 with more than one Sec-WebSocket-Accept";
	if (!slice_eq(http1_only(h, SLICE("Sec-WebSocket-Accept")), slice_str(accept)))
		return "Sec-WebSocket-Accept does not match the client's key";
	if (http1_count(h, PROTOCOL) > 1)
		return "101 with more than one Sec-WebSocket-Protocol";
	return NULL;
}
