/* SPDX-License-Identifier: MIT */
/* The flows of a tunnel: frames that are inserted, left out and dropped. */
#include "proxy/flow.h"

void flow_begin_tunnel(struct flow *f, bool masked, int null_fd)
{
	flow_begin(f, HTTP1_UNTIL_CLOSE, 0, false);
	f->tunnel = true;
	frames_init(&f->frames, masked);
	f->splicer.null_fd = null_fd;
	f->read_ms = f->data_ms = f->moved_ms;
}

bool flow_between_frames(const struct flow *f)
{
	return f->tunnel && f->splicer.ready == 0 &&
	       (f->frames.state == FRAMES_BETWEEN || f->frames.held > 0);
}

void flow_put(struct flow *f, enum frames_opcode opcode, struct slice payload,
	      const unsigned char *key)
{
	int r = frames_put(opcode, payload, key, f->out);

	assert(r == 0 && flow_between_frames(f)); /* `out` has room for a frame */
	f->releasable = true;                     /* for `out`'s page */
}

/* A part of this Pong has been passed on, so the rest must not be held: flow_put() would go in between. */
static bool in_pong(const struct flow *f)
{
	return flow_in_frame(f) && f->frames.opcode == FRAMES_PONG;
}

void flow_expect_pong(struct flow *f, struct slice payload)
{
	if (!stream_ended(f->from) && !in_pong(f))
		f->frames.own_pong = payload;
}

void flow_pause(struct flow *f)
{
	f->frames.paused = true;
}

void flow_drop(struct flow *f)
{
	if (f->state == FLOW_TARGET_CLOSED) {
		buf_reset(f->out);
		buf_consume(f->in, f->decoded);
		f->pieces = f->lead = f->decoded = 0;
		splicer_drop(&f->splicer);
	}
	f->state = FLOW_DROPPING;
	f->frames.own_pong = SLICE("");
	f->frames.paused = false;
}
