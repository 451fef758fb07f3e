/* SPDX-License-Identifier: MIT */
/* fields.c: which names have a rule of their own, and which only look like one. */
#include "http/fields.h"

#include <ctype.h>

#include "testing.h"

#define HOP       FIELDS_HOP_BY_HOP
#define RESERVED  FIELDS_RESERVED
#define PROTECTED FIELDS_PROTECTED
#define HEAD      FIELDS_HEAD_ONLY
#define AMBIGUOUS FIELDS_AMBIGUOUS
#define PRIVATE   FIELDS_PRIVATE

static const struct {
	const char *name;
	unsigned rules;
} table[] = {
	{ "Accept", 0 },
	{ "Authorization", PROTECTED | HEAD },
	{ "Cache-Control", HEAD },
	{ "Connection", HOP },
	{ "Connections", 0 },
	{ "Content-Length", HOP | PROTECTED | HEAD },
	{ "Content-MD5", HEAD },
	{ "Cookie", PROTECTED | HEAD },
	{ "Expect", HEAD },
	{ "Forwarded", RESERVED | PROTECTED },
	{ "HTTP2-Settings", HOP },
	{ "Host", RESERVED | PROTECTED },
	{ "Hos", 0 },
	{ "Keep-Alive", HOP },
	{ "Location", HEAD },
	{ "Max-Forwards", HEAD },
	{ "Origin", PROTECTED | HEAD },
	{ "Proxy", 0 },
	{ "Proxy-Authorization", HOP },
	{ "Proxy-Status", RESERVED },
	{ "Proxy-Status-", HOP },
	{ "Proxy-S_", HOP | RESERVED | AMBIGUOUS },
	{ "Range", HEAD },
	{ "Sec-Fetch-Site", HEAD },
	{ "Sec-WebSocket-Key", PROTECTED | HEAD },
	{ "Set-Cookie", HEAD },
	{ "TE", HOP },
	{ "Trailer", HEAD },
	{ "Transfer-Encoding", HOP | PROTECTED },
	{ "Upgrade", HOP },
	{ "Vary", HEAD },
	{ "WWW-Authenticate", HEAD },
	{ "X-Client-Cert-Subject", RESERVED },
	{ "X-Forwarded", 0 },
	{ "X-Forwarded-For", RESERVED | PROTECTED },
	{ "X-Forwarded-User", RESERVED | PROTECTED },
	{ "X-Novnc", 0 },
	{ "X-Novnc-User", RESERVED | PRIVATE },
	{ "X-Novnc-Session", RESERVED | PRIVATE },
	{ "X-Novnc-", RESERVED | PRIVATE },
	{ "X-Real-IP", RESERVED },
	{ "X-Real-IPs", 0 },
	{ "X-Request-Id", RESERVED | PRIVATE },
	{ "X-Request-Ids", 0 },
	{ "X_Forwarded_For", RESERVED | AMBIGUOUS },
	{ "a_b", RESERVED | AMBIGUOUS },
	{ "", 0 },
};

START_TEST(a_name_has_its_rules_in_any_case)
{
	for (size_t i = 0; i < LENGTH(table); i++) {
		struct slice name = exact_str(table[i].name);

		for (int round = 0; round < 2; round++) {
			ck_assert_msg(fields_rules(name) == table[i].rules,
				      "%.*s: %u, not %u", SLICE_FMT(name),
				      fields_rules(name), table[i].rules);
			for (size_t k = 0; k < name.len; k++)
				((char *)name.p)[k] ^=
					(char)(isalpha((unsigned char)name.p[k]) ? 0x20
										 : 0);
		}
		slice_free(name);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("fields");
	TCase *t = tcase_create("fields");

	suite_add_tcase(s, t);
	tcase_add_test(t, a_name_has_its_rules_in_any_case);
	return suite_run(s);
}
