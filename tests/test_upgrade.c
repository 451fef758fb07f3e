/* SPDX-License-Identifier: MIT */
/* upgrade.c: what is a WebSocket request, and which 101 answers it. */
#include "http/upgrade.h"

#include <stdio.h>

#include "testing.h"

/* RFC 6455 1.3 */
#define KEY    "dGhlIHNhbXBsZSBub25jZQ=="
#define ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

static struct http1_head head;

/* A request, or the start of one, with these fields. */
static struct slice request(const char *start, const char *fields)
{
	char text[1000];

	(void)snprintf(text, sizeof(text), "%s\r\n%s\r\n", start, fields);
	return request_read(text, &head);
}

START_TEST(an_upgrade_is_asked_for_by_two_tokens)
{
	static const struct {
		const char *fields;
		bool requested;
	} table[] = {
		{ "Connection: Upgrade\r\nUpgrade: websocket\r\n", true },
		{ "CONNECTION: upgrade\r\nUPGRADE: WebSocket\r\n", true },
		{ "Upgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n", true },
		{ "Upgrade: h2c, websocket\r\nConnection: Upgrade, HTTP2-Settings\r\n",
		  true },
		{ "Upgrade: websocket,h2c\r\nConnection: Upgrade\r\n", true },
		{ "Upgrade: h2c\r\nUpgrade: websocket\r\nConnection: a\r\nConnection: upgrade\r\n",
		  true },
		{ "", false },
		{ "Upgrade: websocket\r\n", false },
		{ "Connection: Upgrade\r\n", false },
		{ "Connection: Upgrade\r\nUpgrade:\r\n", false },
		{ "Connection: close\r\nUpgrade: websocket\r\n", false },
		{ "Connection: websocket\r\nUpgrade: upgrade\r\n", false },
		{ "Connection: Upgrade\r\nUpgrade: h2c\r\n", false },
		{ "Connection: Upgrade\r\nUpgrade: websockets\r\n", false },
		{ "Connection: Upgrade\r\nUpgrade: websocket/13\r\n", false },
		{ "Connection: Upgrade\r\nUpgrade: web socket\r\n", false },
		{ "Connection: Upgrades\r\nUpgrade: websocket\r\n", false },
		{ "Proxy-Connection: Upgrade\r\nUpgrade: websocket\r\n", false },
	};

	for (size_t i = 0; i < LENGTH(table); i++) {
		struct slice raw = request("GET / HTTP/1.1", table[i].fields);

		ck_assert_msg(upgrade_requested(&head) == table[i].requested, "%s",
			      table[i].fields);
		slice_free(raw);
	}
}
END_TEST

/* ---- which requests can be answered */

static unsigned refusal(const char *start, const char *fields, const char **why)
{
	struct slice raw = request(start, fields);
	unsigned status = upgrade_refusal(&head, why);

	slice_free(raw);
	return status;
}

#define GET       "GET / HTTP/1.1"
#define KEY_FIELD "Sec-WebSocket-Key: " KEY "\r\n"
#define VERSION   "Sec-WebSocket-Version: 13\r\n"
#define NEEDS     "a WebSocket upgrade needs "
#define NO_KEY    NEEDS "one valid Sec-WebSocket-Key"
#define NOT_13    "the only supported WebSocket version is 13"

START_TEST(a_request_that_cannot_be_answered_is_refused_in_order)
{
	static const struct {
		const char *start, *fields;
		unsigned status;
		const char *why;
	} table[] = {
		{ GET, KEY_FIELD VERSION, 0, NULL },
		{ GET, "sec-websocket-version:\t13 \r\nsec-websocket-key:" KEY "\r\n", 0,
		  NULL },
		{ GET, "Content-Length: 0\r\n" KEY_FIELD VERSION, 0, NULL },
		{ "GET / HTTP/1.0", KEY_FIELD VERSION, 400, NEEDS "HTTP/1.1" },
		{ "POST / HTTP/1.1", KEY_FIELD VERSION, 400, NEEDS "the method GET" },
		{ "HEAD / HTTP/1.1", KEY_FIELD VERSION, 400, NEEDS "the method GET" },
		{ "OPTIONS / HTTP/1.1", KEY_FIELD VERSION, 400, NEEDS "the method GET" },
		{ GET, "Content-Length: 1\r\n" KEY_FIELD VERSION, 400,
		  "a WebSocket upgrade must not have a body" },
		{ GET, "Transfer-Encoding: chunked\r\n" KEY_FIELD VERSION, 400,
		  "a WebSocket upgrade must not have a body" },
		{ GET, VERSION, 400, NO_KEY },
		{ GET, KEY_FIELD KEY_FIELD VERSION, 400, NO_KEY },
		{ GET, KEY_FIELD, 426, NOT_13 },
		{ GET, KEY_FIELD VERSION VERSION, 426, NOT_13 },
		{ GET, KEY_FIELD VERSION "Sec-WebSocket-Version: 8\r\n", 426, NOT_13 },
		{ GET, KEY_FIELD "Sec-WebSocket-Version:\r\n", 426, NOT_13 },
		{ GET, KEY_FIELD "Sec-WebSocket-Version: 8\r\n", 426, NOT_13 },
		{ GET, KEY_FIELD "Sec-WebSocket-Version: 013\r\n", 426, NOT_13 },
		{ GET, KEY_FIELD "Sec-WebSocket-Version: 13, 8\r\n", 426, NOT_13 },
		{ GET, KEY_FIELD "Sec-WebSocket-Version: 130\r\n", 426, NOT_13 },
		{ GET, KEY_FIELD "Sec-WebSocket-Version: 1\r\n", 426, NOT_13 },
		/* two at once */
		{ "POST / HTTP/1.0", "", 400, NEEDS "HTTP/1.1" },
		{ "POST / HTTP/1.1", "Content-Length: 1\r\n", 400,
		  NEEDS "the method GET" },
		{ GET, "Content-Length: 1\r\n", 400,
		  "a WebSocket upgrade must not have a body" },
		{ GET, "", 400, NO_KEY },
	};

	for (size_t i = 0; i < LENGTH(table); i++) {
		const char *why = NULL;
		unsigned status = refusal(table[i].start, table[i].fields, &why);

		ck_assert_msg(status == table[i].status, "%u %s: %s\n%s", status, why,
			      table[i].start, table[i].fields);
		ck_assert_pstr_eq(why, table[i].why);
	}
}
END_TEST

START_TEST(a_key_is_22_base64_digits_and_their_padding)
{
	static const struct {
		const char *key;
		bool valid;
	} table[] = {
		{ KEY, true },
		{ "AAAAAAAAAAAAAAAAAAAAAA==", true },
		{ "/////////////////////w==", true },
		{ "++++++++++++++++++++++==", true },
		{ "abcdefghijklmnopqrstuQ==", true },
		{ "vwxyz0123456789+/ABCDg==", true },
		{ "AQIDBAUGBwgJCgsMDQ4PEC==",
		  true }, /* RFC 6455 4.1's, with padding bits */
		{ "AAAAAAAAAAAAAAAAAAAAAB==", true },
		{ "AAAAAAAAAAAAAAAAAAAAAR==", true },
		{ "AAAAAAAAAAAAAAAAAAAAA/==", true },
		{ "AAAAAAAAAAAAAAAAAAAAAA=", false },
		{ "AAAAAAAAAAAAAAAAAAAAAA===", false },
		{ "AAAAAAAAAAAAAAAAAAAAAA", false },
		{ "AAAAAAAAAAAAAAAAAAAAAAA=", false },
		{ "AAAAAAAAAAAAAAAAAAAAAA=A", false },
		{ "AAAAAAAAAAAAAAAAAAAAAAAA", false },
		{ "AAAAAAAAAAAAAAAAAAAAA===", false },
		{ "AAAAAAAAAAAAAAAAAAAA====", false },
		{ "AAAAAAAAAAA=AAAAAAAAAA==", false },
		{ "AAAAAAAAAAA AAAAAAAAAA==", false },
		{ "AAAAAAAAAA-_AAAAAAAAAA==", false },
		{ "=AAAAAAAAAAAAAAAAAAAAA==", false },
		{ "\x80"
		  "AAAAAAAAAAAAAAAAAAAAA==",
		  false },
		{ KEY ", " KEY, false },
		{ "", false },
	};

	for (size_t i = 0; i < LENGTH(table); i++) {
		char fields[200];
		const char *why = NULL;

		(void)snprintf(fields, sizeof(fields),
			       "Sec-WebSocket-Key: %s\r\n" VERSION, table[i].key);
		ck_assert_msg(refusal(GET, fields, &why) == (table[i].valid ? 0 : 400),
			      "%s", table[i].key);
	}
}
END_TEST

START_TEST(a_key_may_be_cut_anywhere)
{
	for (size_t n = 0; n <= strlen(KEY); n++) {
		struct slice raw = request(GET, KEY_FIELD VERSION);
		char *block = exact(KEY, n);
		const char *why;

		head.field[0].value = (struct slice){ block, n };
		ck_assert_uint_eq(upgrade_refusal(&head, &why),
				  n == strlen(KEY) ? 0 : 400);
		free(block);
		slice_free(raw);
	}
}
END_TEST

START_TEST(every_byte_of_a_key_counts)
{
	for (size_t n = 0; n < strlen(KEY); n++) {
		struct slice raw = request(GET, KEY_FIELD VERSION);
		char *block = exact(KEY, strlen(KEY));
		const char *why;

		block[n] = '\0'; /* which even a string's end would not excuse */
		head.field[0].value = (struct slice){ block, strlen(KEY) };
		ck_assert_uint_eq(upgrade_refusal(&head, &why), 400);
		free(block);
		slice_free(raw);
	}
}
END_TEST

/* ---- which 101 answers it */

START_TEST(an_accept_belongs_to_its_key)
{
	static const struct {
		const char *key, *accept;
	} table[] = {
		{ KEY, ACCEPT },
		{ "AAAAAAAAAAAAAAAAAAAAAA==", "ICX+Yqv66kxgM0FcWaLWlFLwTAI=" },
		{ "x3JJHMbDL1EzLkh9GBhXDw==", "HSmrc0sMlYUkAGmm5OPpG2HaGWk=" },
		/* its last digit as it came, not as its 16 bytes would be encoded anew */
		{ "AQIDBAUGBwgJCgsMDQ4PEC==", "OfS0wDaT5NoxF2gqm7Zj2YtetzM=" },
		{ "AQIDBAUGBwgJCgsMDQ4PEA==", "C/0nmHhBztSRGR1CwL6Tf4ZjwpY=" },
	};

	for (size_t i = 0; i < LENGTH(table); i++) {
		struct slice key = exact_str(table[i].key);
		char *accept = malloc(UPGRADE_ACCEPT_SIZE);

		upgrade_accept(key, accept);
		ck_assert_str_eq(accept, table[i].accept);
		free(accept);
		slice_free(key);
	}
}
END_TEST

#define UPGRADE      "Upgrade: websocket\r\n"
#define CONNECTION   "Connection: Upgrade\r\n"
#define ACCEPT_FIELD "Sec-WebSocket-Accept: " ACCEPT "\r\n"

START_TEST(only_a_101_that_says_it_all_opens_a_tunnel)
{
	static const char no_upgrade[] = "101 without Upgrade: websocket";
	static const char no_option[] = "101 without Connection: upgrade";
	static const char other_accept[] =
		"Sec-WebSocket-Accept does not match the client's key";
	static const char no_accept[] = "101 without Sec-WebSocket-Accept";
	static const char upgrades[] = "101 with more than one Upgrade";
	static const char accepts[] = "101 with more than one Sec-WebSocket-Accept";
	static const struct {
		const char *fields, *fault;
	} table[] = {
		{ UPGRADE CONNECTION ACCEPT_FIELD, NULL },
		{ "UPGRADE: WebSocket\r\nconnection: UPGRADE\r\nsec-websocket-accept:" ACCEPT
		  " \r\n",
		  NULL },
		{ UPGRADE "Connection: keep-alive, Upgrade\r\n" ACCEPT_FIELD
			  "Sec-WebSocket-Protocol: binary\r\n",
		  NULL },
		{ UPGRADE CONNECTION ACCEPT_FIELD "Sec-WebSocket-Protocol: a\r\n"
						  "sec-websocket-protocol: a\r\n",
		  "101 with more than one Sec-WebSocket-Protocol" },
		{ CONNECTION ACCEPT_FIELD, no_upgrade },
		{ UPGRADE UPGRADE CONNECTION ACCEPT_FIELD, upgrades },
		{ "Upgrade: h2c\r\n" UPGRADE CONNECTION ACCEPT_FIELD, upgrades },
		{ "Upgrade:\r\n" CONNECTION ACCEPT_FIELD, no_upgrade },
		{ "Upgrade: h2c\r\n" CONNECTION ACCEPT_FIELD, no_upgrade },
		{ "Upgrade: websocket, h2c\r\n" CONNECTION ACCEPT_FIELD, no_upgrade },
		{ "Upgrade: websockets\r\n" CONNECTION ACCEPT_FIELD, no_upgrade },
		{ UPGRADE ACCEPT_FIELD, no_option },
		{ UPGRADE "Connection: close\r\n" ACCEPT_FIELD, no_option },
		{ UPGRADE "Connection: Upgrades\r\n" ACCEPT_FIELD, no_option },
		{ UPGRADE CONNECTION, no_accept },
		{ UPGRADE CONNECTION "Sec-WebSocket-Accept:\r\n", other_accept },
		{ UPGRADE CONNECTION ACCEPT_FIELD ACCEPT_FIELD, accepts },
		{ UPGRADE CONNECTION
		  "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo\r\n",
		  other_accept },
		{ UPGRADE CONNECTION
		  "Sec-WebSocket-Accept: S3PPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n",
		  other_accept },
		{ UPGRADE CONNECTION
		  "Sec-WebSocket-Accept: ICX+Yqv66kxgM0FcWaLWlFLwTAI=\r\n",
		  other_accept },
		{ UPGRADE CONNECTION "Sec-WebSocket-Accept: " KEY "\r\n", other_accept },
		{ UPGRADE CONNECTION "Sec-WebSocket-Accept: " ACCEPT "=\r\n",
		  other_accept },
		{ UPGRADE CONNECTION "Sec-WebSocket-Accept: " ACCEPT ", x\r\n",
		  other_accept },
		{ UPGRADE CONNECTION "Sec-WebSocket-Key: " ACCEPT "\r\n", no_accept },
		{ UPGRADE CONNECTION ACCEPT_FIELD
		  "Sec-WebSocket-Accept: ICX+Yqv66kxgM0FcWaLWlFLwTAI=\r\n",
		  accepts },
	};
	char text[500];

	for (size_t i = 0; i < LENGTH(table); i++) {
		struct slice raw,
			accept = { exact(ACCEPT, sizeof(ACCEPT)), sizeof(ACCEPT) };

		(void)snprintf(text, sizeof(text),
			       "HTTP/1.1 101 Switching Protocols\r\n%s\r\n",
			       table[i].fields);
		raw = answer_read(text, &head);
		ck_assert_pstr_eq(upgrade_fault(&head, accept.p), table[i].fault);
		slice_free(raw);
		slice_free(accept);
	}
}
END_TEST

#define PROTOCOL   "Sec-WebSocket-Protocol: "
#define EXTENSIONS "Sec-WebSocket-Extensions: "

START_TEST(a_101_chooses_only_what_the_client_has_offered)
{
	static const struct {
		const char *offers, *chooses, *unoffered;
	} table[] = {
		{ "", "", "" },
		{ "", PROTOCOL "\r\n", "" },
		{ "", PROTOCOL "binary\r\n", "binary" },
		{ PROTOCOL "\r\n", PROTOCOL "binary\r\n", "binary" },
		{ PROTOCOL "binary\r\n", "", "" },
		{ PROTOCOL "binary\r\n", PROTOCOL "\r\n", "" },
		{ PROTOCOL "binary\r\n", PROTOCOL "binary\r\n", "" },
		{ PROTOCOL "binary\r\n", PROTOCOL "base64\r\n", "base64" },
		{ PROTOCOL "binary\r\n", PROTOCOL "Binary\r\n", "Binary" },
		{ PROTOCOL "binary\r\n", PROTOCOL "binar\r\n", "binar" },
		{ PROTOCOL "binary\r\n", PROTOCOL "binary, base64\r\n",
		  "binary, base64" },
		{ PROTOCOL "base64,\tbinary \r\n", PROTOCOL "binary\r\n", "" },
		{ PROTOCOL "a\r\nX: y\r\nsec-websocket-protocol: b\r\n", PROTOCOL "b\r\n",
		  "" },
		{ "X: binary\r\n", PROTOCOL "binary\r\n", "binary" },
		{ EXTENSIONS "binary\r\n", PROTOCOL "binary\r\n", "binary" },
		{ "", EXTENSIONS " , \r\n", "" },
		{ "", EXTENSIONS "deflate\r\n", "deflate" },
		{ "", EXTENSIONS "deflate ; bits=15\r\n", "deflate" },
		{ PROTOCOL "deflate\r\n", EXTENSIONS "deflate\r\n", "deflate" },
		{ EXTENSIONS "deflate; bits, deflate\r\n",
		  EXTENSIONS "deflate;bits=9\r\n", "" },
		{ EXTENSIONS "deflate\r\n", EXTENSIONS "deflate, mux; a=b\r\n", "mux" },
		{ EXTENSIONS "deflate; mux\r\n", EXTENSIONS "mux\r\n", "mux" },
		{ EXTENSIONS "deflate\r\n",
		  EXTENSIONS "deflate\r\nsec-websocket-extensions: mux\r\n", "mux" },
		{ EXTENSIONS "deflate\r\nX: y\r\nsec-websocket-extensions: mux\r\n",
		  EXTENSIONS "mux\r\n" EXTENSIONS "deflate\r\n", "" },
	};
	char text[500];

	for (size_t i = 0; i < LENGTH(table); i++) {
		const char *what = NULL;
		struct slice raw, request;

		(void)snprintf(text, sizeof(text), "GET / HTTP/1.1\r\n%s\r\n",
			       table[i].offers);
		request = exact_str(text);
		(void)snprintf(text, sizeof(text), "HTTP/1.1 101 x\r\n%s\r\n",
			       table[i].chooses);
		raw = answer_read(text, &head);
		ck_assert_slice_eq(upgrade_unoffered(&head, request, &what),
				   table[i].unoffered);
		if (table[i].unoffered[0])
			ck_assert_str_eq(what, strncmp(table[i].chooses, PROTOCOL,
						       strlen(PROTOCOL)) == 0
						       ? "subprotocol"
						       : "extension");
		slice_free(raw);
		slice_free(request);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("upgrade");
	TCase *tc = tcase_create("upgrade");

	suite_add_tcase(suite, tc);
	tcase_add_test(tc, an_upgrade_is_asked_for_by_two_tokens);
	tcase_add_test(tc, a_request_that_cannot_be_answered_is_refused_in_order);
	tcase_add_test(tc, a_key_is_22_base64_digits_and_their_padding);
	tcase_add_test(tc, a_key_may_be_cut_anywhere);
	tcase_add_test(tc, every_byte_of_a_key_counts);
	tcase_add_test(tc, an_accept_belongs_to_its_key);
	tcase_add_test(tc, only_a_101_that_says_it_all_opens_a_tunnel);
	tcase_add_test(tc, a_101_chooses_only_what_the_client_has_offered);
	return suite_run(suite);
}
