/* SPDX-License-Identifier: MIT */
#include "proxy/tunnel_fault.h"

static const char *peer_name(const struct tunnel *t, enum tunnel_peer peer)
{
	if (peer == TUNNEL_BOTH)
		return "both sides";
	return peer == TUNNEL_CLIENT ? "the client" : t->setup.backend;
}

/* None for Next.js. */
static const char *article(const struct tunnel *t, enum tunnel_peer peer)
{
	const char *name = t->setup.cfg->backend[CONFIG_NEXTJS].name;

	return peer == TUNNEL_BACKEND && t->setup.backend != name ? "the " : "";
}

/* Whose Close came first; false if none has come. */
static bool explain_close(const struct tunnel *t, struct fault *ret)
{
	const struct frames *f = tunnel_first_close(t);
	struct slice reason;

	if (!f)
		return false;
	reason = frames_close_reason(f);
	fault_set(ret, FAULT_NOBODY, 0, "closed by %s%s (%u%s%.*s)",
		  article(t, t->closed_first), peer_name(t, t->closed_first),
		  frames_close_code(f), reason.len > 0 ? ": " : "", SLICE_FMT(reason));
	return true;
}

/* Names the peer that ended its direction first, without a Close. */
static void explain_end(const struct tunnel *t, enum tunnel_peer peer,
			enum fault_blame blame, struct fault *ret)
{
	const struct flow *from =
		peer == TUNNEL_CLIENT ? t->backend.flow : t->client.flow;

	if (peer == TUNNEL_BOTH)
		fault_set(ret, blame, 0, "both sides closed at the same time");
	else
		fault_set(ret, blame, 0, "%s closed first%s", peer_name(t, peer),
			  stream_cut_note(from->from));
}

/* The failure of the flow from a peer, after an earlier end of a direction, if any. */
static void explain_failure(const struct tunnel *t, enum tunnel_peer peer,
			    enum fault_blame blame, struct fault *ret)
{
	const struct flow *failed =
		peer == TUNNEL_CLIENT ? t->backend.flow : t->client.flow;
	enum tunnel_peer first = t->ended_first;

	if (first == TUNNEL_NEITHER || stream_error_is_local(failed->error))
		fault_set_broken(ret, blame, peer_name(t, peer), failed->from,
				 failed->error);
	else if (first == peer || first == TUNNEL_BOTH)
		explain_end(t, first, blame, ret);
	else
		fault_set(ret, blame, 0,
			  "%s closed first, then the connection to %s failed: %s",
			  peer_name(t, first), peer_name(t, peer),
			  stream_strerror(failed->from, failed->error));
}

/* A local failure: a connection's, or poll(2)'s. */
static void explain_local(const struct tunnel *t, int poll_error, struct fault *ret)
{
	if (t->backend.flow->failure != FLOW_OK)
		explain_failure(t, TUNNEL_CLIENT, FAULT_NOBODY, ret);
	else if (t->client.flow->failure != FLOW_OK)
		explain_failure(t, TUNNEL_BACKEND, FAULT_NOBODY, ret);
	else
		fault_set(ret, FAULT_GATE, 500, "poll: %s", strerror(-poll_error));
}

/* No Close came before the end. */
static void explain(const struct tunnel *t, int poll_error, struct fault *ret)
{
	switch (t->end) {
	case TUNNEL_CLIENT_FAILED:
		explain_failure(t, TUNNEL_CLIENT, FAULT_NOBODY, ret);
		break;
	case TUNNEL_BACKEND_FAILED:
	case TUNNEL_BACKEND_SILENT:
		explain_failure(t, TUNNEL_BACKEND, FAULT_BACKEND, ret);
		break;
	case TUNNEL_CLIENT_SILENT:
		fault_set(ret, FAULT_NOBODY, 0,
			  "the client answered no Ping of HeartbeatSec=");
		break;
	case TUNNEL_LINGER_TIMEOUT:
		fault_set(ret, FAULT_NOBODY, 0,
			  "%s closed, then no data for LingerTimeoutSec=",
			  peer_name(t, t->ended_first));
		break;
	case TUNNEL_IDLE_TIMEOUT:
		fault_set(ret, FAULT_NOBODY, 0, "no data for IdleTimeoutSec=");
		break;
	case TUNNEL_SESSION_TIMEOUT:
		fault_set(ret, FAULT_NOBODY, 0, "open for SessionTimeoutSec=");
		break;
	case TUNNEL_UNAUTHORIZED:
		fault_set(ret, FAULT_NOBODY, 0, "no longer authorized");
		break;
	case TUNNEL_STOPPED: fault_set(ret, FAULT_NOBODY, 0, "stopped by SIGTERM"); break;
	case TUNNEL_FAULT: explain_local(t, poll_error, ret); break;
	default: explain_end(t, t->ended_first, FAULT_NOBODY, ret); break;
	}
}

/* Names the peers that could get no Close, because a frame to them had begun and has not ended. */
static void append_cut(const struct tunnel *t, struct fault *ret)
{
	bool client = t->client.close == TUNNEL_CLOSE_CUT;
	bool backend = t->backend.close == TUNNEL_CLOSE_CUT;
	enum tunnel_peer peer = client ? TUNNEL_CLIENT : TUNNEL_BACKEND;

	if (client || backend)
		fault_append(ret, ", in the middle of a frame to %s",
			     peer_name(t, client && backend ? TUNNEL_BOTH : peer));
}

void tunnel_fault(const struct tunnel *t, int poll_error, struct fault *ret)
{
	if (!explain_close(t, ret))
		explain(t, poll_error, ret);
	append_cut(t, ret);
}
