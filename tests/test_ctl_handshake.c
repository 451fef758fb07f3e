/* SPDX-License-Identifier: MIT */
/* handshake.c: `check --session`, with what a gate may respond. */
#include "ctl/handshake.h"

#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "testing.h"

/* The response to the key that handshake.c sends, which is that of RFC 6455 1.3. */
#define OPENED                                                          \
	"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"    \
	"Connection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYG" \
	"zzhZRbK+xOo=\r\n\r\n"

static const struct in6_addr loopback = {
	.s6_addr = { [10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1 }
};
static const struct in6_addr other = {
	.s6_addr = { [10] = 0xff, [11] = 0xff, [12] = 127, [15] = 9 }
};

/* Listens at 127.0.0.1 or 127.0.0.9, at a port that the kernel chooses. */
static int listener(const struct in6_addr *address, uint16_t *ret_port)
{
	struct sockaddr_in sa = { .sin_family = AF_INET };
	socklen_t len = sizeof(sa);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	memcpy(&sa.sin_addr, &address->s6_addr[12], 4);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&sa, len), 0);
	ck_assert_int_eq(listen(fd, 1), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
	*ret_port = ntohs(sa.sin_port);
	return fd;
}

/* Sends the response to the request, and its end unless it stays, until the client closes. */
static pid_t serve(int fd, struct slice response, bool stays)
{
	pid_t child = fork();
	char request[4096];
	int client;

	if (child != 0)
		return child;
	client = accept(fd, NULL, NULL);
	if (recv(client, request, sizeof(request), 0) > 0 &&
	    send(client, response.p, response.len, MSG_NOSIGNAL) ==
		    (ssize_t)response.len) {
		if (!stays)
			(void)shutdown(client, SHUT_WR);
		while (recv(client, request, sizeof(request), 0) > 0)
			;
	}
	(void)close(client);
	(void)close(fd);
	_exit(0);
}

/* Runs the check; the last result has this level and begins with this text. */
static void check_hint(const struct in6_addr *listens, const struct in6_addr *asked,
		       struct slice response, bool stays, enum gate_level level,
		       const char *text, const char *hint)
{
	const struct ctl o = { .session = "4711", .config = "/dev/null" };
	struct gate_report r = { 0 };
	const struct gate_result *last;
	struct sockets_address at = { .listens = true, .address = *asked };
	int fd = listener(listens, &at.port), status;
	pid_t child = serve(fd, response, stays);
	int code = handshake_run(&o, &at, &r);

	last = &r.result[r.n - 1];
	ck_assert_msg(strncmp(last->text, text, strlen(text)) == 0, "%s, not %s",
		      last->text, text);
	ck_assert_msg(last->level == level, "%s: %d", text, last->level);
	ck_assert_msg(!hint || strncmp(last->hint, hint, strlen(hint)) == 0, "%s: %s",
		      text, last->hint);
	ck_assert_msg(!hint || text[strlen(text) - 1] ==
				       last->text[strlen(last->text) - 1],
		      "%s", last->text);
	ck_assert_msg(strlen(last->text) < 300, "%s: %zu", text, strlen(last->text));
	ck_assert_int_eq(code, level == GATE_ERROR ? GATE_NOT_READY : 0);
	gate_report_done(&r);
	(void)close(fd);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
}

static void check(const struct in6_addr *listens, const struct in6_addr *asked,
		  struct slice response, bool stays, enum gate_level level,
		  const char *text)
{
	check_hint(listens, asked, response, stays, level, text, NULL);
}

#define RFB "\x82\x0cRFB 003.008\n"

START_TEST(the_hint_of_a_refusal_is_about_what_was_refused)
{
	static const struct {
		struct slice response;
		const char *text, *hint;
	} table[] = {
#define REFUSAL(head, body, text, hint) \
	{ SLICE_INIT("HTTP/1.1 " head "\r\nConnection: close\r\n\r\n" body), text, hint }
		REFUSAL("403 Forbidden\r\nServer: novnc-gate", "not on this path.\nx",
			"the response is 403: not on this path", "correct --session="),
		REFUSAL("403 Forbidden\r\nServer: nginx", "no.\n",
			"the response is 403: no", "set --cookie="),
		REFUSAL("403 Forbidden", "", "the response is 403", "set --cookie="),
		REFUSAL("401 Unauthorized\r\nServer: novnc-gate", ".",
			"the response is 401", "set --cookie="),
		REFUSAL("502 Bad Gateway\r\nServer: novnc-gate", "down",
			"the response is 502: down", "see Troubleshoot"),
	};

	for (size_t i = 0; i < LENGTH(table); i++)
		check_hint(&loopback, &in6addr_any, table[i].response, false, GATE_ERROR,
			   table[i].text, table[i].hint);
}
END_TEST

START_TEST(the_last_step_says_how_it_went)
{
	static const struct {
		struct slice response;
		enum gate_level level;
		const char *text;
	} table[] = {
#define ROW(response, level, text) { { response, sizeof(response) - 1 }, level, text }
		ROW(OPENED RFB, GATE_GOOD, "the VM speaks RFB 003.008"),
		/* HeartbeatSec= */
		ROW(OPENED "\x89\x01x" RFB, GATE_GOOD, "the VM speaks RFB 003.008"),
		ROW(OPENED "\x82\x7e\x00\x0cRFB 003.008\n", GATE_GOOD,
		    "the VM speaks RFB 003.008"),
		ROW(OPENED "\x82\x03SSH", GATE_WARNING, "the first frame is no RFB: SSH"),
		ROW(OPENED "\x88\x05\x0f\xa0xyz", GATE_ERROR,
		    "Close with code 4000: xyz"),
		ROW(OPENED, GATE_ERROR, "the connection was closed without a Close"),
		ROW(OPENED "\x89\x01x", GATE_ERROR,
		    "the connection was closed without a Close"),
		ROW("HTTP/1.1 403 Forbidden\r\nContent-Length: 3\r\n\r\nno\n", GATE_ERROR,
		    "the response is 403: no"),
		ROW("nonsense\r\n\r\n", GATE_ERROR, "what came is no HTTP response"),
		ROW("", GATE_ERROR, "the connection was closed without a response"),
	};

	for (size_t i = 0; i < LENGTH(table); i++)
		check(&loopback, &in6addr_any, table[i].response, false, table[i].level,
		      table[i].text);
}
END_TEST

START_TEST(a_long_line_is_cut)
{
	char response[20000];
	int len = snprintf(response, sizeof(response),
			   "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 10000\r\n\r\n"
			   "<html>%09994d",
			   0);

	check(&loopback, &in6addr_any, (struct slice){ response, (size_t)len }, true,
	      GATE_ERROR, "the response is 502: <html>0000");
}
END_TEST

#define LIMIT 65536

/* The head has `len` bytes, all but a few of them in one field. */
static size_t long_head(char *room, size_t len)
{
	static const char begin[] = "HTTP/1.1 101 Switching Protocols\r\nX: ";
	static const char end[] = "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
				  "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
				  "\r\n\r\n";

	memset(room, 'x', len);
	memcpy(room, begin, strlen(begin));
	memcpy(room + len - strlen(end), end, strlen(end));
	memcpy(room + len, RFB, strlen(RFB));
	return len + strlen(RFB);
}

START_TEST(it_reads_64_kilobytes_of_a_head_and_no_more)
{
	static char response[LIMIT + 100];

	check(&loopback, &in6addr_any,
	      (struct slice){ response, long_head(response, LIMIT) }, true, GATE_GOOD,
	      "the VM speaks RFB 003.008");
	check(&loopback, &in6addr_any,
	      (struct slice){ response, long_head(response, LIMIT + 1) }, true,
	      GATE_ERROR, "the head of the response is longer than 64K");
}
END_TEST

/* It neither waits for the rest nor has room for it. */
START_TEST(it_reads_no_more_of_a_body_or_a_frame_than_it_has_room_for)
{
	static char response[20 * LIMIT];
	uint64_t begun_ms = clock_ms();
	size_t n =
		(size_t)sprintf(response, "HTTP/1.1 502 Bad Gateway\r\nContent-Length: "
					  "2000000\r\n\r\n");

	memset(response + n, 'x', sizeof(response) - n);
	check(&loopback, &in6addr_any, (struct slice){ response, sizeof(response) }, true,
	      GATE_ERROR, "the response is 502: xxx");
	n = (size_t)sprintf(response, "%s", OPENED);
	memcpy(response + n, "\x82\x7f\0\0\0\0\0\x1e\x84\x80", 10); /* 2,000,000 */
	memcpy(response + n + 10, "RFB 003.008\n", 12);
	check(&loopback, &in6addr_any, (struct slice){ response, sizeof(response) }, true,
	      GATE_GOOD, "the VM speaks RFB 003.008");
	ck_assert_uint_lt(clock_ms() - begun_ms, 4000);
}
END_TEST

START_TEST(it_connects_where_the_gate_listens)
{
	static const char response[] = OPENED RFB;

	check(&other, &other, slice_str(response), true, GATE_GOOD,
	      "the VM speaks RFB 003.008");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ctl_handshake");
	TCase *t = tcase_create("ctl_handshake");

	suite_add_tcase(suite, t);
	tcase_add_test(t, the_hint_of_a_refusal_is_about_what_was_refused);
	tcase_add_test(t, the_last_step_says_how_it_went);
	tcase_add_test(t, a_long_line_is_cut);
	tcase_add_test(t, it_reads_64_kilobytes_of_a_head_and_no_more);
	tcase_add_test(t, it_reads_no_more_of_a_body_or_a_frame_than_it_has_room_for);
	tcase_add_test(t, it_connects_where_the_gate_listens);
	return suite_run(suite);
}
