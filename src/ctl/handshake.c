/* SPDX-License-Identifier: MIT */
#include "ctl/handshake.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/network.h"
#include "config/config_load.h"
#include "ctl/channel.h"
#include "ctl/memory.h"
#include "http/body.h"
#include "http/frames.h"
#include "http/upgrade.h"

#define SUBJECT        "session"
/* The Server field of a response that the gate has made itself, as in proxy/error_response.h. */
#define SERVER         "novnc-gate"
/* Of the response's head, and of what is read of its body, at most; both are less than that from the gate itself. */
#define HANDSHAKE_ROOM 65536
/* The example of RFC 6455 1.3. It need not be random, because no cache is between this program and the gate. */
#define HANDSHAKE_KEY  "dGhlIHNhbXBsZSBub25jZQ=="
/* For the first frame; and for the response, in addition to the gate's own limits. */
#define HANDSHAKE_MS   5000
/* Of a peer's text, at most. */
#define LINE_LEN       200

struct handshake {
	const struct ctl *options;
	const struct sockets_address *at;
	struct gate_report *report;
	struct config cfg;
	struct channel channel;
	struct buf in;
};

static int failed(struct handshake *h, const char *text, const char *hint)
{
	gate_report_add(h->report, GATE_ERROR, SUBJECT, text, hint);
	return GATE_NOT_READY;
}

static void passed(struct handshake *h, const char *text)
{
	gate_report_add(h->report, GATE_GOOD, SUBJECT, text, "");
}

static void ignore(void *userdata, const char *error)
{
	(void)userdata;
	(void)error; /* novnc-gate --check, which ran before, has reported it */
}

/* ---- the request */

/* The path that this glob has for this session, with the id in place of its star. NULL: not exactly one star. */
static char *path_of(const char *glob, const char *id)
{
	const char *star = strchr(glob, '*');

	if (!star || strchr(star + 1, '*'))
		return NULL;
	return memory_print("%.*s%s%s", (int)(star - glob), glob, id, star + 1);
}

static int dial(struct handshake *h)
{
	const struct in6_addr *address = &h->at->address;
	char where[INET6_ADDRSTRLEN] = "this machine", text[128];
	int r = channel_open(&h->channel, address, h->at->port);

	if (!channel_is_everywhere(address))
		network_format(address, where);
	(void)snprintf(text, sizeof(text), "%s port %u of %s",
		       r < 0 ? "cannot connect to" : "connected to", h->at->port, where);
	if (r < 0)
		return failed(h, text, "see novnc-gatectl status");
	passed(h, text);
	return 0;
}

static int start_tls(struct handshake *h)
{
	int r = channel_start_tls(&h->channel);
	char *text;

	if (r == 0) {
		passed(h, "the TLS handshake is done; the certificate is not verified, "
			  "because the gate is on this machine");
		return 0;
	}
	text = memory_print("TLS handshake: %s", r == -ETIMEDOUT
							 ? "no response came in time"
							 : channel_why(&h->channel, r));
	(void)failed(h, text, "see novnc-gatectl check without --session=");
	free(text);
	return GATE_NOT_READY;
}

/* free() it. */
static char *request_text(const struct handshake *h, const char *path)
{
	const char *cookie = h->options->cookie;
	unsigned port = h->at->port;

	return memory_print("GET %s HTTP/1.1\r\nHost: localhost:%u\r\n"
			    "Origin: http%s://localhost:%u\r\nUpgrade: websocket\r\n"
			    "Connection: Upgrade\r\nSec-WebSocket-Key: %s\r\n"
			    "Sec-WebSocket-Version: 13\r\n%s%s%s\r\n",
			    path, port, h->at->tls ? "s" : "", port, HANDSHAKE_KEY,
			    cookie ? "Cookie: " : "", cookie ? cookie : "",
			    cookie ? "\r\n" : "");
}

static int request(struct handshake *h)
{
	const struct ctl *o = h->options;
	char *path =
		h->cfg.novnc_path[0] ? path_of(h->cfg.novnc_path[0], o->session) : NULL;
	char *text;
	int r;

	if (!path)
		return failed(h,
			      "the first path of NoVncPath= does not have exactly one *",
			      "name a path of one session there");
	text = request_text(h, path);
	r = channel_write(&h->channel, slice_str(text));
	free(text);
	text = memory_print("requested %s%s", path, o->cookie ? "" : " without cookies");
	free(path);
	if (r == 0)
		passed(h, text);
	free(text);
	return r == 0 ? 0 : failed(h, "the gate has closed the connection", "");
}

/* ---- the response */

/* Reads once more. Returns 1; 0 at the end of the connection; -ENOBUFS if there is no room, or another -errno. */
static int more(struct handshake *h)
{
	ssize_t n;

	if (buf_room(&h->in) == 0)
		return -ENOBUFS;
	n = channel_read(&h->channel, &h->in);
	return n < 0 ? (int)n : n > 0;
}

/* No response has come: more() has returned this. */
static int unanswered(struct handshake *h, int r)
{
	char *text;

	if (r == 0 || r == -ETIMEDOUT)
		return failed(h,
			      r == 0 ? "the connection was closed without a response"
				     : "no response came in time",
			      "see novnc-gatectl status");
	text = memory_print("no response came: %s", channel_why(&h->channel, r));
	(void)failed(h, text, "see novnc-gatectl status");
	free(text);
	return GATE_NOT_READY;
}

/*
 * The first line of a body or of a reason, as far as it can be printed: the gate's own responses have a sentence
 * there.
 */
static char *first_line(struct slice text)
{
	size_t len = slice_find(text, '\n');
	char *line =
		memory_copy((struct slice){ text.p, len < LINE_LEN ? len : LINE_LEN });

	for (char *p = line; *p; p++)
		if (*p < ' ' || *p > '~')
			*p = '?';
	return line;
}

/* Only with a response of the gate itself does 403 say nothing about the user. */
static const char *refusal_hint(const struct http1_head *head)
{
	const struct field *server = http1_field(head, SLICE("Server"));
	bool of_gate = server && slice_eq(server->value, SLICE(SERVER));

	if (head->status == 403 && of_gate)
		return "correct --session=, or NoVncPath= and AllowedOrigins= of the service, which may differ "
		       "from those in --config=";
	if (head->status == 401 || head->status == 403)
		return "set --cookie= to the cookies of a user who may open it";
	return "see Troubleshoot in README.md, and novnc-gatectl status";
}

static int refused(struct handshake *h, const struct http1_head *head, size_t len)
{
	struct slice payload = { 0 };
	struct body body;
	char *line, *text;

	buf_consume(&h->in, len);
	body_init(&body, head->framing, head->length);
	while (body_next(&body, &h->in, &payload) == 0 && !body.done && more(h) > 0)
		;
	line = first_line(payload);
	if (line[0] && line[strlen(line) - 1] == '.') /* a hint follows */
		line[strlen(line) - 1] = '\0';
	text = memory_print("the response is %u%s%s", head->status, line[0] ? ": " : "",
			    line);
	free(line);
	(void)failed(h, text, refusal_hint(head));
	free(text);
	return GATE_NOT_READY;
}

static int response(struct handshake *h)
{
	struct lines_scan scan = { 0 };
	struct http1_head head;
	struct http1_fault fault;
	char accept[UPGRADE_ACCEPT_SIZE];
	const char *why;
	ssize_t len;
	int r;

	while ((len = lines_scan(&scan, buf_slice(&h->in), HANDSHAKE_ROOM)) == -EAGAIN)
		if ((r = more(h)) <= 0)
			return unanswered(h, r);
	if (len == -EMSGSIZE)
		return failed(h, "the head of the response is longer than 64K",
			      "another program may listen there");
	if (len < 0 || http1_parse_response((struct slice){ h->in.data, (size_t)len },
					    SLICE("GET"), &head, &fault) < 0)
		return failed(h, "what came is no HTTP response",
			      "another program may listen there");
	if (head.status != 101)
		return refused(h, &head, (size_t)len);
	upgrade_accept(SLICE(HANDSHAKE_KEY), accept);
	why = upgrade_fault(&head, accept);
	if (why)
		return failed(h, why, "");
	passed(h, "the response is 101, with the right Sec-WebSocket-Accept");
	buf_consume(&h->in, (size_t)len);
	return 0;
}

/* ---- the first frame */

/* UpgradeErrors=close: the reason why the session cannot be opened. */
static int closed(struct handshake *h, const struct frames *f)
{
	char *reason = first_line(frames_close_reason(f));
	char *text = memory_print("Close with code %u%s%s", frames_close_code(f),
				  reason[0] ? ": " : "", reason);

	free(reason);
	(void)failed(h, text, "see \"Close codes\" in novnc-gate(8)");
	free(text);
	return GATE_NOT_READY;
}

/* Reads the first frame that is no Ping; ret has it as far as it has come. Returns as more(). */
static int read_frame(struct handshake *h, struct frames *ret)
{
	int r = 1;

	for (;;) {
		size_t n;

		frames_init(ret, false);
		n = frames_follow(ret, buf_slice(&h->in));
		if (ret->state == FRAMES_CLOSED || ret->state == FRAMES_LOST)
			return 1;
		if (n > 0 && ret->state == FRAMES_BETWEEN && ret->opcode < FRAMES_CLOSE)
			return 1;
		if (n > 0 && ret->state == FRAMES_BETWEEN)
			buf_consume(&h->in, n); /* HeartbeatSec= */
		else if ((r = more(h)) <= 0)
			return r;
	}
}

/* The payload of an unmasked frame, as far as it has come (RFC 6455 5.2). */
static struct slice payload_of(struct slice frame)
{
	size_t header = 2;

	if (frame.len >= 2 && (frame.p[1] & 0x7f) >= 126)
		header += (frame.p[1] & 0x7f) == 126 ? 2 : 8;
	return frame.len > header ? slice_from(frame, header) : (struct slice){ 0 };
}

static void judge_frame(struct handshake *h)
{
	char *line = first_line(payload_of(buf_slice(&h->in)));
	bool good = strncmp(line, "RFB ", 4) == 0;
	char *text = memory_print(good ? "the VM speaks %.*s"
				       : "the first frame is no RFB: %.*s",
				  40, line);

	gate_report_add(h->report, good ? GATE_GOOD : GATE_WARNING, SUBJECT, text,
			good ? ""
			     : "is there a VNC server behind the master-controller?");
	free(text);
	free(line);
}

/* The VM speaks first: "RFB 003.008\n" (RFC 6143 7.1.1), as a binary frame. */
static int first_frame(struct handshake *h)
{
	struct frames f;
	int r;

	h->channel.end_ms = clock_deadline_ms(clock_ms(), HANDSHAKE_MS);
	r = read_frame(h, &f);
	if (r <= 0 && r != -ETIMEDOUT && r != -ENOBUFS)
		return failed(h, "the connection was closed without a Close",
			      "see novnc-gatectl status with the id of the session");
	if (f.state == FRAMES_CLOSED)
		return closed(h, &f);
	if (r > 0 || f.state == FRAMES_PAYLOAD)
		judge_frame(h);
	else
		gate_report_add(h->report, GATE_WARNING, SUBJECT,
				"the VM has sent nothing", "is it on?");
	return 0;
}

/* A Close, as a browser that leaves the page sends it. */
static void say_goodbye(struct handshake *h)
{
	static const unsigned char key[4] = { 1, 2, 3, 4 };
	char payload[FRAMES_CONTROL_MAX], room[FRAMES_HEADER_MAX + FRAMES_CONTROL_MAX];
	struct buf out = { .data = room, .cap = sizeof(room) };
	size_t len = frames_close(1000, SLICE(""), payload);

	if (frames_put(FRAMES_CLOSE, (struct slice){ payload, len }, key, &out) == 0)
		(void)channel_write(&h->channel, buf_slice(&out)); /* it may be closed */
}

/* When the gate has responded at the latest: it asks Next.js first, if so configured. */
static uint64_t response_end_ms(const struct config *cfg)
{
	uint64_t now_ms = clock_ms(), end_ms = now_ms + HANDSHAKE_MS;

	end_ms = clock_deadline_ms(end_ms, cfg->connect_ms);
	end_ms = clock_deadline_ms(end_ms, cfg->upgrade_ms);
	if (cfg->authorize_path) {
		end_ms = clock_deadline_ms(end_ms, cfg->connect_ms);
		end_ms = clock_deadline_ms(end_ms, cfg->authorize_ms);
	}
	return clock_earlier(end_ms, now_ms + CONFIG_SPAN_MAX);
}

int handshake_run(const struct ctl *o, const struct sockets_address *at,
		  struct gate_report *r)
{
	struct handshake h = { .options = o, .at = at, .report = r, .channel.fd = -1 };
	char room[PATH_MAX];
	int code;

	(void)config_load(gate_config(o, room), ignore, NULL, &h.cfg);
	h.channel.end_ms = response_end_ms(&h.cfg);
	h.in = (struct buf){ .data = memory_array(NULL, HANDSHAKE_ROOM, 1),
			     .cap = HANDSHAKE_ROOM };
	if (h.cfg.proxy_protocol)
		code = failed(&h,
			      "each connection must begin with a PROXY header "
			      "(ProxyProtocol=yes), which only a proxy sends",
			      "open the session in a browser, through the proxy");
	else
		code = dial(&h);
	if (code == 0 && at->tls)
		code = start_tls(&h);
	if (code == 0)
		code = request(&h);
	if (code == 0)
		code = response(&h);
	if (code == 0) {
		code = first_frame(&h);
		say_goodbye(&h);
	}
	channel_done(&h.channel);
	free(h.in.data);
	config_done(&h.cfg);
	return code;
}
