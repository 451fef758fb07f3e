/* SPDX-License-Identifier: MIT */
/*
 * How Next.js decides by its response to an authorization request (rewrite_authorization()): may this
 * client make its request to the master-controller, and who is it? No I/O.
 */
#pragma once

#include "http/http1.h"
#include "proxy/fault.h"

/* The longest name of a user in X-Novnc-User, in bytes. */
#define AUTHORIZE_USER_MAX 256

enum authorize_result {
	AUTHORIZE_GRANTED,
	AUTHORIZE_DENIED, /* 401, 403 or 404, which the client gets */
	AUTHORIZE_FAILED, /* any other response: the fault is set */
};

/*
 * Judges the final response h of the backend `name`. If the client is authorized, *ret_user is its name
 * in h.
 */
enum authorize_result authorize_judge(const struct http1_head *h, const char *name,
				      struct slice *ret_user, struct fault *fault);
