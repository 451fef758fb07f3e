/* SPDX-License-Identifier: MIT */
/* Detects a vanished peer: one that acknowledges none of the bytes sent to it. */
#include "net/stream.h"

#include <linux/sockios.h>
#include <linux/tcp.h> /* <netinet/tcp.h> has only the beginning of struct tcp_info */
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

/* A peer is gone after this many unanswered tries, since one may be lost on the way. */
#define STREAM_LOST      2
/* After fewer unanswered tries, look again after 1/8 of the span. */
#define STREAM_LOOK_PART 8

unsigned stream_unacknowledged(const struct stream *s)
{
	int bytes = 0;

	return ioctl(s->fd, SIOCOUTQ, &bytes) == 0 && bytes > 0 ? (unsigned)bytes : 0;
}

void stream_watch_begin(struct stream *s, uint64_t now_ms, uint64_t span_ms)
{
	if (s->watch.look_ms != CLOCK_INFINITY)
		return;
	s->watch = (struct stream_watch){
		.look_ms = clock_deadline_ms(now_ms, span_ms),
		.since_ms = now_ms,
	};
}

bool stream_watch_judge(struct stream_watch *w, const struct stream_acks *a,
			uint64_t now_ms, uint64_t span_ms)
{
	uint64_t heard_ms = now_ms > a->silent_ms ? now_ms - a->silent_ms : 0;
	unsigned before = w->tries;

	if (!a->outstanding) {
		*w = STREAM_UNWATCHED;
		return false;
	}
	if (heard_ms > w->since_ms) {
		w->since_ms = heard_ms;
		before = 0;
	}
	w->tries = a->tries;
	w->look_ms = clock_deadline_ms(w->since_ms, span_ms);
	if (w->look_ms > now_ms)
		return false;
	/* the newest try does not count until the next look: its response may still be on the way */
	if (before >= STREAM_LOST || a->tries > STREAM_LOST) {
		*w = STREAM_UNWATCHED; /* so that it is reported once */
		return true;
	}
	w->look_ms = clock_deadline_ms(now_ms, span_ms / STREAM_LOOK_PART + 1);
	return false;
}

/*
 * The kernel tries again and again: it retransmits what the peer has not acknowledged, or, where
 * the peer's window is closed, asks whether it still is. A peer that does not read responds to each
 * try; this distinguishes it from one that is gone.
 */
static struct stream_acks acks_of(int fd)
{
	struct tcp_info info = { 0 };
	socklen_t len = sizeof(info);
	uint32_t silent_ms;

	/* a socket that is not TCP has nothing outstanding */
	(void)getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len);
	silent_ms = info.tcpi_last_ack_recv < info.tcpi_last_data_recv
			    ? info.tcpi_last_ack_recv
			    : info.tcpi_last_data_recv;
	return (struct stream_acks){
		.outstanding = info.tcpi_unacked > 0 || info.tcpi_notsent_bytes > 0,
		.silent_ms = silent_ms,
		.tries = info.tcpi_unacked > 0 ? info.tcpi_retransmits : info.tcpi_probes,
	};
}

bool stream_peer_gone(struct stream *s, uint64_t now_ms, uint64_t span_ms)
{
	struct stream_acks acks;

	if (now_ms < s->watch.look_ms)
		return false;
	acks = acks_of(s->fd);
	return stream_watch_judge(&s->watch, &acks, now_ms, span_ms);
}
