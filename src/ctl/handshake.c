/* SPDX-License-Identifier: MIT */
#include "ctl/handshake.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/network.h"
#include "config/config_load.h"
#include "ctl/memory.h"
#include "http/body.h"
#include "http/frames.h"
#include "http/upgrade.h"

#define SUBJECT        "session"
#define HANDSHAKE_ROOM 65536
/* The example of RFC 6455 1.3. It need not be random, because no cache is between this program and the gate. */
#define HANDSHAKE_KEY  "dGhlIHNhbXBsZSBub25jZQ=="
/* For the first frame; and for the response, in addition to the gate's own limits. */
#define HANDSHAKE_MS   5000
/* Of a peer's text, at most. */
#define LINE_LEN       200

struct handshake {
	const struct ctl *options;
	struct gate_report *report;
	struct config cfg;
	int fd;
	uint64_t end_ms;
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

/* Returns a descriptor, or -1. */
static int connect_to(const struct in6_addr *address, uint16_t port)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(port) };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6,
				   .sin6_port = htons(port),
				   .sin6_addr = *address };
	bool is_v4 = IN6_IS_ADDR_V4MAPPED(address);
	const struct sockaddr *sa =
		is_v4 ? (struct sockaddr *)&v4 : (struct sockaddr *)&v6;
	int fd = socket(sa->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	memcpy(&v4.sin_addr, &address->s6_addr[12], sizeof(v4.sin_addr));
	if (fd >= 0 && connect(fd, sa, is_v4 ? sizeof(v4) : sizeof(v6)) < 0)
		fd_close_auto(&fd);
	return fd;
}

static int dial(struct handshake *h, const struct in6_addr *address, uint16_t port)
{
	static const struct in6_addr any = { .s6_addr = { [10] = 0xff, [11] = 0xff } };
	static const struct in6_addr loopback = {
		.s6_addr = { [10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1 }
	};
	bool everywhere =
		IN6_IS_ADDR_UNSPECIFIED(address) || IN6_ARE_ADDR_EQUAL(address, &any);
	char where[INET6_ADDRSTRLEN] = "this machine", text[128];

	if (!everywhere)
		network_format(address, where);
	h->fd = connect_to(everywhere ? &loopback : address, port);
	if (h->fd < 0 && everywhere)
		h->fd = connect_to(&in6addr_loopback, port);
	(void)snprintf(text, sizeof(text), "%s port %u of %s",
		       h->fd < 0 ? "cannot connect to" : "connected to", port, where);
	if (h->fd < 0)
		return failed(h, text, "systemctl start novnc-gate");
	passed(h, text);
	return 0;
}

static int request(struct handshake *h, uint16_t port)
{
	const struct ctl *o = h->options;
	char *path =
		h->cfg.novnc_path[0] ? path_of(h->cfg.novnc_path[0], o->session) : NULL;
	char *text;
	ssize_t n;

	if (!path)
		return failed(h,
			      "the first path of NoVncPath= does not have exactly one *",
			      "name a path of one session there");
	text = memory_print("GET %s HTTP/1.1\r\nHost: localhost:%u\r\n"
			    "Origin: http://localhost:%u\r\nUpgrade: websocket\r\n"
			    "Connection: Upgrade\r\nSec-WebSocket-Key: %s\r\n"
			    "Sec-WebSocket-Version: 13\r\n%s%s%s\r\n",
			    path, port, port, HANDSHAKE_KEY, o->cookie ? "Cookie: " : "",
			    o->cookie ? o->cookie : "", o->cookie ? "\r\n" : "");
	n = send(h->fd, text, strlen(text), MSG_NOSIGNAL);
	free(text);
	text = memory_print("requested %s%s", path, o->cookie ? "" : " without cookies");
	free(path);
	if (n > 0)
		passed(h, text);
	free(text);
	return n > 0 ? 0 : failed(h, "the gate has closed the connection", "");
}

/* ---- the response */

/* Reads once more. Returns 1; 0 at the end of the connection; -ETIMEDOUT, or -ENOBUFS if there is no room. */
static int more(struct handshake *h)
{
	struct pollfd p[] = { { .fd = -1 }, { .fd = h->fd, .events = POLLIN } };
	ssize_t n;
	int r;

	if (buf_room(&h->in) == 0)
		return -ENOBUFS;
	r = clock_wait(p, 2, clock_ms(), h->end_ms);
	if (r < 0)
		return r;
	n = recv(h->fd, h->in.data + h->in.end, buf_room(&h->in), 0);
	h->in.end += n > 0 ? (size_t)n : 0;
	return n > 0;
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
	text = memory_print("the response is %u%s%s", head->status, line[0] ? ": " : "",
			    line);
	free(line);
	(void)failed(h, text,
		     head->status == 401 || head->status == 403
			     ? "set --cookie= to the cookies of a user who may open it"
			     : "see Troubleshoot in README.md, and novnc-gatectl status");
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
			return failed(h,
				      r == 0 ? "the connection was closed without a "
					       "response"
					     : "no response came in time",
				      "see novnc-gatectl status");
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

	h->end_ms = clock_deadline_ms(clock_ms(), HANDSHAKE_MS);
	r = read_frame(h, &f);
	if (r == 0)
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
		(void)send(h->fd, out.data, out.end, MSG_NOSIGNAL); /* it may be closed */
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

int handshake_run(const struct ctl *o, const struct in6_addr *address, uint16_t port,
		  struct gate_report *r)
{
	struct handshake h = { .options = o, .report = r, .fd = -1 };
	char room[PATH_MAX];
	int code;

	(void)config_load(gate_config(o, room), ignore, NULL, &h.cfg);
	h.end_ms = response_end_ms(&h.cfg);
	h.in = (struct buf){ .data = memory_array(NULL, HANDSHAKE_ROOM, 1),
			     .cap = HANDSHAKE_ROOM };
	code = dial(&h, address, port);
	if (code == 0)
		code = request(&h, port);
	if (code == 0)
		code = response(&h);
	if (code == 0) {
		code = first_frame(&h);
		say_goodbye(&h);
	}
	fd_close_auto(&h.fd);
	free(h.in.data);
	config_done(&h.cfg);
	return code;
}
