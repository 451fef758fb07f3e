/* SPDX-License-Identifier: MIT */
#include "proxy/authorize.h"

static bool is_user(struct slice s)
{
	if (s.len == 0 || s.len > AUTHORIZE_USER_MAX)
		return false;
	for (size_t i = 0; i < s.len; i++)
		if (s.p[i] <= ' ' || s.p[i] > '~')
			return false;
	return true;
}

enum authorize_result authorize_judge(const struct http1_head *h, const char *name,
				      struct slice *ret_user, struct fault *fault)
{
	static const struct slice user = SLICE_INIT("X-Novnc-User");
	const struct field *field;

	switch (h->status) {
	case 401:
	case 403:
	case 404: return AUTHORIZE_DENIED;
	}
	if (h->status < 200 || h->status > 299) {
		fault_set(fault, FAULT_BACKEND, 502,
			  "%s responded with %u to the authorization request", name,
			  h->status);
		return AUTHORIZE_FAILED;
	}
	field = http1_field(h, user);
	if (http1_count(h, user) != 1 || !is_user(field->value)) {
		fault_set(fault, FAULT_BACKEND, 502,
			  "%s authorized the request without a valid X-Novnc-User", name);
		return AUTHORIZE_FAILED;
	}
	*ret_user = field->value;
	return AUTHORIZE_GRANTED;
}
