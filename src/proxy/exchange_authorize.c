/* SPDX-License-Identifier: MIT */
/* Acts on the response to an authorization request. */
#include "proxy/exchange.h"

/* 401, 403 or 404: the client gets this response, as if it had made the request itself. */
static int exchange_deny(struct exchange *x)
{
	struct upstream *u = x->upstream;

	x->denied = true;
	buf_consume(&x->downstream->in, x->head_len);
	x->head_len = 0;
	if (x->no_content && u->response->framing != HTTP1_NO_BODY) {
		u->response->framing = HTTP1_NO_BODY;
		u->persistent = false; /* its content is not read */
	}
	return exchange_respond(x);
}

/* Drops the content, if all of it has come; else the connection is not kept. */
static void exchange_drop_content(struct exchange *x)
{
	struct upstream *u = x->upstream;
	struct slice content;
	struct body body;

	body_init(&body, u->response->framing, u->response->length);
	upstream_next(u);
	while (body_next(&body, u->in, &content) > 0)
		;
	u->persistent &= body.done;
}

/* Keeps the authorization request for RecheckSec=. Returns 1, or -1 with the fault. */
static int exchange_keep_request(struct exchange *x)
{
	struct downstream *d = x->downstream;
	struct upstream *u = x->upstream;
	/* it is still there after it has been sent */
	struct slice head = { d->backend_out.data, u->request_len };
	int r = recheck_new(u, head, d->cfg, &d->recheck);

	u->persistent = false; /* without its TLS it cannot be used again */
	if (r == 0)
		return 1;
	fault_set_broken(&x->fault, FAULT_BACKEND, u->be->name, &u->stream, r);
	return -1;
}

int exchange_judge(struct exchange *x)
{
	struct slice user;

	switch (authorize_judge(x->upstream->response, x->upstream->be->name, &user,
				&x->fault)) {
	case AUTHORIZE_DENIED: return exchange_deny(x);
	case AUTHORIZE_FAILED: return -1;
	case AUTHORIZE_GRANTED: break;
	}
	memcpy(x->user, user.p, user.len);
	x->user[user.len] = '\0';
	if (x->upgrade && x->downstream->cfg->recheck_ms != CLOCK_INFINITY)
		return exchange_keep_request(x);
	exchange_drop_content(x);
	return 1;
}
