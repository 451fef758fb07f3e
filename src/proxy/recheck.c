/* SPDX-License-Identifier: MIT */
#include "proxy/recheck.h"

#include <sys/mman.h>
#include <sys/socket.h>

#include "process/pages.h"

/* How u was reached, so that it can be reached again. Returns 0 or -errno. */
static int known_init(struct dial_known *ret, struct upstream *u)
{
	const struct backend *be = u->be;
	struct stream *s = &u->stream;

	*ret = (struct dial_known){ .addr = be->addr, .addr_len = be->addr_len };
	if (!be->literal) {
		ret->addr_len = sizeof(ret->addr);
		if (getpeername(s->fd, (struct sockaddr *)&ret->addr, &ret->addr_len) < 0)
			return -errno;
	}
	if (s->tls) {
		s->module->retire(s->tls);
		ret->module = s->module;
		ret->tls = s->tls;
		s->tls = NULL;
	}
	return 0;
}

/* One mapping for all. While no request is under way, only the pages with the request's head are in use. */
int recheck_new(struct upstream *u, struct slice head, const struct config *cfg,
		struct recheck **ret)
{
	size_t in = 2 * cfg->head_max;
	size_t len = sizeof(struct recheck) + head.len + in;
	struct dial_known known;
	struct recheck *r = MAP_FAILED;
	int error = known_init(&known, u);

	if (error == 0) {
		r = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			 -1, 0);
		error = r == MAP_FAILED ? -errno : 0;
	}
	if (error < 0) {
		if (known.tls)
			known.module->free(known.tls, false);
		return error;
	}
	upstream_init(&r->upstream, u->be);
	r->known = known;
	r->request = (struct upstream_request){
		.new_connection = true,
		.connect_ms = cfg->connect_ms,
		.response_ms = cfg->authorize_ms,
		.head_max = cfg->head_max,
		.known = &r->known,
		.fault = &r->fault,
	};
	r->span_ms = cfg->recheck_ms;
	r->next_ms = CLOCK_INFINITY;
	r->head_len = head.len;
	r->storage_len = len;
	r->out = (struct buf){ .data = (char *)(r + 1), .cap = head.len };
	r->in = (struct buf){ .data = r->out.data + head.len, .cap = in };
	memcpy(r->out.data, head.p, head.len);
	*ret = r;
	return 0;
}

void recheck_free(struct recheck **r)
{
	struct recheck *old = *r;

	if (!old)
		return;
	upstream_close(&old->upstream);
	if (old->known.tls)
		old->known.module->free(old->known.tls, false);
	explicit_bzero(old->out.data, old->head_len);
	(void)munmap(old, old->storage_len); /* cannot fail */
	*r = NULL;
}

int recheck_family(const struct recheck *r)
{
	return r ? r->known.addr.ss_family : AF_UNSPEC;
}

void recheck_begin(struct recheck *r, uint64_t now_ms)
{
	r->next_ms = clock_deadline_ms(now_ms, r->span_ms);
}

void recheck_stop(struct recheck *r)
{
	upstream_close(&r->upstream);
	r->next_ms = CLOCK_INFINITY;
}

static enum upstream_result request_begin(struct recheck *r)
{
	buf_reset(&r->in);
	r->out.start = 0;
	r->out.end = r->head_len;
	return upstream_start(&r->upstream, &r->request, &r->in, &r->out, &r->response);
}

/* Goes on until it has to wait or the final head has come. */
static enum upstream_result request_step(struct recheck *r, uint64_t now_ms)
{
	struct upstream *u = &r->upstream;
	enum upstream_result result = UPSTREAM_WAITING;

	if (u->phase == UPSTREAM_CLOSED) {
		if (now_ms < r->next_ms)
			return UPSTREAM_WAITING;
		result = request_begin(r);
	}
	while (result == UPSTREAM_WAITING && upstream_ready(u)) {
		result = upstream_step(u);
		if (result == UPSTREAM_RESPONSE && u->phase != UPSTREAM_RESPONDED) {
			upstream_next(u); /* an interim response */
			result = UPSTREAM_WAITING;
		}
	}
	if (result == UPSTREAM_WAITING && now_ms >= upstream_deadline_ms(u))
		result = upstream_expire(u);
	return result;
}

/* The final head has come, or there is none. */
static enum recheck_result judge(struct recheck *r, enum upstream_result result)
{
	enum authorize_result judged = AUTHORIZE_FAILED;
	struct slice user;

	if (result == UPSTREAM_RESPONSE)
		judged = authorize_judge(&r->response, r->upstream.be->name, &user,
					 &r->fault);
	switch (judged) {
	case AUTHORIZE_GRANTED: r->failed = false; return RECHECK_GRANTED;
	case AUTHORIZE_DENIED: return RECHECK_DENIED;
	case AUTHORIZE_FAILED: break;
	}
	if (r->failed)
		return RECHECK_FAILED_AGAIN;
	r->failed = true;
	return RECHECK_FAILED;
}

enum recheck_result recheck_step(struct recheck *r, uint64_t now_ms)
{
	enum upstream_result result = request_step(r, now_ms);
	enum recheck_result ret;

	if (result == UPSTREAM_WAITING)
		return RECHECK_WAITING;
	ret = judge(r, result);
	upstream_close(&r->upstream); /* the content is not read */
	recheck_begin(r, now_ms);
	pages_release(r->in.data, r->in.cap);
	pages_release(&r->response, sizeof(r->response));
	return ret;
}

struct pollfd recheck_poll(const struct recheck *r)
{
	return upstream_poll(&r->upstream, true, false);
}

void recheck_note_events(struct recheck *r, short revents)
{
	upstream_note_events(&r->upstream, revents);
}

uint64_t recheck_due_ms(const struct recheck *r)
{
	if (upstream_ready(&r->upstream))
		return 0;
	return r->upstream.phase == UPSTREAM_CLOSED ? r->next_ms
						    : upstream_deadline_ms(&r->upstream);
}
