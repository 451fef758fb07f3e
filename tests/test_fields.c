/* SPDX-License-Identifier: MIT */
/* fields.c: which names have a rule of their own, and which only look like one. */
#include "http/fields.h"

#include <ctype.h>

#include "testing.h"

enum rule { HOP = 1, RESERVED = 2, AMBIGUOUS = 4, TRAILS = 8, PROTECTED = 16 };

static const struct {
	const char *name;
	int rules;
} table[] = {
	{ "Accept", TRAILS },
	{ "Authorization", PROTECTED },
	{ "Cache-Control", 0 },
	{ "Connection", HOP },
	{ "Connections", TRAILS },
	{ "Content-Length", HOP | PROTECTED },
	{ "Content-MD5", 0 },
	{ "Cookie", PROTECTED },
	{ "Expect", 0 },
	{ "Forwarded", RESERVED | PROTECTED },
	{ "HTTP2-Settings", HOP },
	{ "Host", RESERVED | PROTECTED },
	{ "Hos", TRAILS },
	{ "Keep-Alive", HOP },
	{ "Location", 0 },
	{ "Max-Forwards", 0 },
	{ "Origin", PROTECTED },
	{ "Proxy", TRAILS },
	{ "Proxy-Authorization", HOP },
	{ "Range", 0 },
	{ "Sec-Fetch-Site", 0 },
	{ "Sec-WebSocket-Key", PROTECTED },
	{ "Set-Cookie", 0 },
	{ "TE", HOP },
	{ "Trailer", 0 },
	{ "Transfer-Encoding", HOP | PROTECTED },
	{ "Upgrade", HOP },
	{ "Vary", 0 },
	{ "WWW-Authenticate", 0 },
	{ "X-Client-Cert-Subject", RESERVED },
	{ "X-Forwarded", TRAILS },
	{ "X-Forwarded-For", RESERVED | PROTECTED },
	{ "X-Real-IP", RESERVED },
	{ "X_Forwarded_For", RESERVED | AMBIGUOUS },
	{ "a_b", RESERVED | AMBIGUOUS },
	{ "", TRAILS },
};

static int rules_of(struct slice name)
{
	return (fields_is_hop_by_hop(name) ? HOP : 0) |
	       (fields_is_reserved(name) ? RESERVED : 0) |
	       (fields_is_ambiguous(name) ? AMBIGUOUS : 0) |
	       (fields_may_trail(name) ? TRAILS : 0) |
	       (fields_is_protected(name) ? PROTECTED : 0);
}

START_TEST(a_name_has_its_rules_in_any_case)
{
	for (size_t i = 0; i < LENGTH(table); i++) {
		struct slice name = exact_str(table[i].name);

		for (int round = 0; round < 2; round++) {
			ck_assert_msg(rules_of(name) == table[i].rules,
				      "%.*s: %d, not %d", SLICE_FMT(name), rules_of(name),
				      table[i].rules);
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
