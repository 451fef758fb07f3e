/* SPDX-License-Identifier: MIT */
#include "ctl/handshake.h"

#include <ctype.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "config/config_load.h"
#include "ctl/memory.h"
#include "http/body.h"
#include "http/frames.h"
#include "http/upgrade.h"

#define SUBJECT        "session"
#define HANDSHAKE_ROOM 65536
/* That of RFC 6455 1.3: only a browser needs one that nobody can guess. */
#define HANDSHAKE_KEY  "dGhlIHNhbXBsZSBub25jZQ=="
#define HANDSHAKE_MS   5000 /* more than the gate itself takes */

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
	(void)error; /* novnc-gate --check has reported it */
}

/* ---- the request */

/* A glob's path for this session: its first star is the id. NULL: it has none, or more. */
static char *path_of(const char *glob, const char *id)
{
	const char *star = strchr(glob, '*');

	if (!star || strchr(star + 1, '*'))
		return NULL;
	return memory_print("%.*s%s%s", (int)(star - glob), glob, id, star + 1);
}

static int dial(struct handshake *h, uint16_t port)
{
	struct sockaddr_in6 sa = { .sin6_family = AF_INET6,
				   .sin6_port = htons(port),
				   .sin6_addr = in6addr_loopback };
	struct sockaddr_in v4 = { .sin_family = AF_INET,
				  .sin_port = htons(port),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	char text[128];

	h->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (h->fd >= 0 && connect(h->fd, (struct sockaddr *)&v4, sizeof(v4)) < 0) {
		fd_close_auto(&h->fd);
		h->fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (h->fd >= 0 && connect(h->fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
			fd_close_auto(&h->fd);
	}
	(void)snprintf(text, sizeof(text), "%s port %u of this machine",
		       h->fd < 0 ? "cannot connect to" : "connected to", port);
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

/* Reads once more. Returns false at the end of the connection, or of the time. */
static bool more(struct handshake *h)
{
	struct pollfd p[] = { { .fd = -1 }, { .fd = h->fd, .events = POLLIN } };
	ssize_t n;

	if (buf_room(&h->in) == 0 || clock_wait(p, 2, clock_ms(), h->end_ms) <= 0)
		return false;
	n = recv(h->fd, h->in.data + h->in.end, buf_room(&h->in), 0);
	h->in.end += n > 0 ? (size_t)n : 0;
	return n > 0;
}

/* The first line of a body, or of anything else that came: the gate's own responses have a sentence there. */
static char *first_line(struct slice text)
{
	char *line = memory_copy((struct slice){ text.p, slice_find(text, '\n') });

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
	while (body_next(&body, &h->in, &payload) == 0 && !body.done && more(h))
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

	while ((len = lines_scan(&scan, buf_slice(&h->in), HANDSHAKE_ROOM)) == -EAGAIN)
		if (!more(h))
			return failed(h, "no response came", "see novnc-gatectl status");
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

/* The VM speaks first: "RFB 003.008\n" (RFC 6143 7.1.1), as a binary frame. */
static int first_frame(struct handshake *h)
{
	struct frames f;
	struct slice all;
	char *line, *text;
	bool good;

	h->end_ms = clock_deadline_ms(clock_ms(), HANDSHAKE_MS);
	frames_init(&f, false);
	while (frames_follow(&f, buf_slice(&h->in)) == 0 || f.state == FRAMES_HEADER ||
	       f.state == FRAMES_PAYLOAD) {
		frames_init(&f, false);
		if (!more(h)) {
			gate_report_add(h->report, GATE_WARNING, SUBJECT,
					"the VM has sent nothing", "is it on?");
			return 0;
		}
	}
	if (f.state == FRAMES_CLOSED)
		return closed(h, &f);
	all = buf_slice(&h->in);
	line = all.len > 2 ? first_line(slice_from(all, 2)) : memory_copy(SLICE(""));
	good = strncmp(line, "RFB ", 4) == 0;
	text = memory_print(good ? "the VM speaks %.*s"
				 : "the first frame is no RFB: %.*s",
			    40, line);
	gate_report_add(h->report, good ? GATE_GOOD : GATE_WARNING, SUBJECT, text,
			good ? ""
			     : "is there a VNC server behind the master-controller?");
	free(text);
	free(line);
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

int handshake_run(const struct ctl *o, uint16_t port, struct gate_report *r)
{
	struct handshake h = { .options = o, .report = r, .fd = -1 };
	char room[PATH_MAX];
	int code;

	(void)config_load(gate_config(o, room), ignore, NULL, &h.cfg);
	h.end_ms = clock_deadline_ms(clock_ms(), h.cfg.upgrade_ms + HANDSHAKE_MS);
	h.in = (struct buf){ .data = memory_array(NULL, HANDSHAKE_ROOM, 1),
			     .cap = HANDSHAKE_ROOM };
	code = dial(&h, port);
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
