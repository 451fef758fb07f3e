/* SPDX-License-Identifier: MIT */
/* authorize.c: which responses of Next.js authorize a request, as whom, and which deny it. */
#include "proxy/authorize.h"

#include <stdio.h>

#include "testing.h"

static enum authorize_result judge(const char *head, char user[static 300],
				   struct fault *fault)
{
	struct http1_head h;
	struct slice raw = answer_read(head, &h), name = { NULL, 0 };
	enum authorize_result r;

	fault_clear(fault);
	r = authorize_judge(&h, "Next.js", &name, fault);
	(void)snprintf(user, 300, "%.*s", SLICE_FMT(name));
	slice_free(raw);
	return r;
}

START_TEST(the_status_decides)
{
	char text[100], user[300], reason[100];
	struct fault fault;

	for (unsigned status = 200; status <= 599; status++) {
		bool denied = status == 401 || status == 403 || status == 404;

		(void)snprintf(text, sizeof(text),
			       "HTTP/1.1 %u x\r\nX-Novnc-User: alice\r\n\r\n", status);
		(void)snprintf(reason, sizeof(reason),
			       "Next.js responded with %u to the authorization request",
			       status);
		ck_assert_int_eq(judge(text, user, &fault), status < 300
								    ? AUTHORIZE_GRANTED
							    : denied ? AUTHORIZE_DENIED
								     : AUTHORIZE_FAILED);
		ck_assert_str_eq(user, status < 300 ? "alice" : "");
		ck_assert_str_eq(fault.reason, status < 300 || denied ? "" : reason);
		ck_assert_uint_eq(fault.status, status < 300 || denied ? 0 : 502);
	}
}
END_TEST

#define A64  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define A255 A64 A64 A64 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static const struct {
	const char *fields, *user; /* no user: it fails */
} users[] = {
	{ "X-Novnc-User: a\r\n", "a" },
	{ "x-NOVNC-user:\t a \t\r\n", "a" },
	{ "X-Novnc-User: !~\\\"%41,;@\r\n", "!~\\\"%41,;@" },
	{ "X-Novnc-User: " A255 "b\r\n", A255 "b" },
	{ "X-Novnc-User: " A255 "bc\r\n", NULL },
	{ "X-Novnc-User:\r\n", NULL },
	{ "X-Novnc-User: \t\r\n", NULL },
	{ "X-Novnc-User: a b\r\n", NULL },
	{ "X-Novnc-User: a\tb\r\n", NULL },
	{ "X-Novnc-User: caf\xc3\xa9\r\n", NULL },
	{ "X-Novnc-User: \x80\r\n", NULL },
	{ "X-Novnc-User: a\r\nX-Novnc-User: a\r\n", NULL },
	{ "X-Novnc-User: a\r\nB: c\r\nX-Novnc-User:\r\n", NULL },
	{ "X-Novnc-Users: a\r\n", NULL },
	{ "X_Novnc_User: a\r\n", NULL },
	{ "X-Forwarded-User: a\r\n", NULL },
	{ "", NULL },
};

START_TEST(a_user_is_one_field_of_visible_characters)
{
	char text[1000], user[300];
	struct fault fault;

	for (size_t i = 0; i < LENGTH(users); i++) {
		const char *expected = users[i].user;

		(void)snprintf(text, sizeof(text), "HTTP/1.1 200 OK\r\n%s\r\n",
			       users[i].fields);
		ck_assert_msg(judge(text, user, &fault) ==
				      (expected ? AUTHORIZE_GRANTED : AUTHORIZE_FAILED),
			      "%s", text);
		ck_assert_str_eq(user, expected ? expected : "");
		ck_assert_str_eq(
			fault.reason,
			expected
				? ""
				: "Next.js authorized the request without a valid X-Novnc-User");
		ck_assert_int_eq(fault.blame, expected ? FAULT_NOBODY : FAULT_BACKEND);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("authorize");
	TCase *t = tcase_create("authorize");

	suite_add_tcase(s, t);
	tcase_add_test(t, the_status_decides);
	tcase_add_test(t, a_user_is_one_field_of_visible_characters);
	return suite_run(s);
}
