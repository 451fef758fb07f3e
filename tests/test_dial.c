/* SPDX-License-Identifier: MIT */
/* dial.c: backends on loopback that accept, refuse or are silent, and the clock of a test. */
#include "net/dial.h"

#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "process/loader.h"
#include "still.h"
#include "testing.h"
#include "world.h"

#define LONG_MS  60000
#define SHORT_MS 120

/* ---- a resolver that says what a test wants, on a machine with IPv6 on loopback only */

static struct {
	const char *address[3];
	int fault, saved_errno;
	bool terminate; /* a SIGTERM comes meanwhile */
	int calls;
} resolver;

static struct addrinfo *address_of(const char *text, in_port_t port)
{
	struct addrinfo *ai = calloc(1, sizeof(*ai));
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = port };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = port };
	bool is_v4 = inet_pton(AF_INET, text, &v4.sin_addr) == 1;

	ck_assert(is_v4 || inet_pton(AF_INET6, text, &v6.sin6_addr) == 1);
	*ai = (struct addrinfo){ .ai_family = is_v4 ? AF_INET : AF_INET6,
				 .ai_socktype = SOCK_STREAM,
				 .ai_addr = calloc(1, sizeof(v6)),
				 .ai_addrlen = is_v4 ? sizeof(v4) : sizeof(v6) };
	memcpy(ai->ai_addr, is_v4 ? (void *)&v4 : &v6, ai->ai_addrlen);
	return ai;
}

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
		struct addrinfo **ret)
{
	struct addrinfo **next = ret;

	ck_assert_str_eq(name, "backend.example");
	ck_assert_int_eq(hints->ai_socktype, SOCK_STREAM);
	resolver.calls++;
	if (resolver.terminate)
		kill(getpid(), SIGTERM);
	errno = resolver.saved_errno;
	if (resolver.fault)
		return resolver.fault;
	for (size_t i = 0; i < LENGTH(resolver.address) && resolver.address[i]; i++) {
		if (strchr(resolver.address[i], ':') && (hints->ai_flags & AI_ADDRCONFIG))
			continue;
		*next = address_of(resolver.address[i], htons((uint16_t)atoi(service)));
		next = &(*next)->ai_next;
	}
	return 0;
}

void freeaddrinfo(struct addrinfo *list)
{
	while (list) {
		struct addrinfo *next = list->ai_next;

		free(list->ai_addr);
		free(list);
		list = next;
	}
}

/* ---- the clock, which a test may stop, and connect(), which must never block */

/* 0: it goes, as it has to at the end of a test, whose duration check takes. */
static uint64_t stopped_ms;

int clock_gettime(clockid_t clock, struct timespec *ret)
{
	if (stopped_ms == 0 || clock != CLOCK_MONOTONIC)
		return (int)syscall(SYS_clock_gettime, clock, ret);
	*ret = (struct timespec){ (time_t)(stopped_ms / 1000),
				  (long)(stopped_ms % 1000) * 1000000L };
	return 0;
}

/* Within a call of dial.c, and whether it would have waited there. */
static bool dialling, would_wait;

int connect(int fd, const struct sockaddr *sa, socklen_t len)
{
	if (dialling && !(fcntl(fd, F_GETFL) & O_NONBLOCK)) {
		would_wait = true;
		errno = EIO;
		return -1;
	}
	return (int)syscall(SYS_connect, fd, sa, len);
}

/* ---- backends */

static struct backend backend_at(const char *address, uint16_t port)
{
	struct backend be = { .name = "test", .url = "http://test", .port = port };
	struct sockaddr_in *sa = (struct sockaddr_in *)&be.addr;

	be.literal = inet_pton(AF_INET, address, &sa->sin_addr) == 1;
	sa->sin_family = AF_INET;
	sa->sin_port = htons(port);
	be.addr_len = sizeof(*sa);
	(void)snprintf(be.host, sizeof(be.host), "%s", address);
	(void)snprintf(be.authority, sizeof(be.authority), "%s:%u", address, port);
	return be;
}

static struct backend backend_unix(const char *path)
{
	struct backend be = { .name = "test", .url = "unix:test", .literal = true };
	struct sockaddr_un *sa = (struct sockaddr_un *)&be.addr;

	sa->sun_family = AF_UNIX;
	(void)snprintf(sa->sun_path, sizeof(sa->sun_path), "%s", path);
	be.addr_len = sizeof(*sa);
	return be;
}

/* A listener whose backlog is full: who connects now waits (until *filler is closed). */
static int listen_full(const char *address, uint16_t *ret_port, int *filler)
{
	struct sockaddr_in sa = { .sin_family = AF_INET };
	int listener = peer_listen(address, 0, ret_port);

	sa.sin_port = htons(*ret_port);
	ck_assert_int_eq(inet_pton(AF_INET, address, &sa.sin_addr), 1);
	*filler = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(connect(*filler, (struct sockaddr *)&sa, sizeof(sa)), 0);
	return listener;
}

/* A port at which nobody listens; who holds it keeps others away. */
static int port_closed(const char *address, uint16_t *ret_port)
{
	struct sockaddr_in sa = { .sin_family = AF_INET };
	socklen_t len = sizeof(sa);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_eq(inet_pton(AF_INET, address, &sa.sin_addr), 1);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&sa, len), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
	*ret_port = ntohs(sa.sin_port);
	return fd;
}

/* Of this address's ports: whoever holds it keeps others away. -1 where it is taken. */
static int port_hold(const char *address, uint16_t port)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons(port) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_eq(inet_pton(AF_INET, address, &sa.sin_addr), 1);
	if (bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
		peer_close(&fd);
	return fd;
}

/* A port that is silent at 127.0.0.2 and refuses at 127.0.0.1. */
struct ports {
	uint16_t port;
	int full, filler, closed;
};

static void ports_open(struct ports *p)
{
	while (p->full = listen_full("127.0.0.2", &p->port, &p->filler),
	       p->closed = port_hold("127.0.0.1", p->port), p->closed < 0) {
		close(p->filler);
		close(p->full);
	}
}

static void ports_close(struct ports *p)
{
	close(p->closed);
	close(p->filler);
	close(p->full);
}

static void setup(void)
{
	memset(&resolver, 0, sizeof(resolver));
	stopped_ms = 0;
	(void)still_calls();
}

/* ---- dialling */

/* Each call of dial.c is between these two: it never waits. */
static void call_begin(void)
{
	(void)still_calls();
	would_wait = false;
	dialling = true;
}

static enum dial_result call_end(enum dial_result r)
{
	dialling = false;
	ck_assert(!would_wait);
	ck_assert_uint_eq(still_calls(), 0);
	return r;
}

static enum dial_result begin(struct dial *d, const struct backend *be,
			      uint64_t timeout_ms)
{
	call_begin();
	return call_end(dial_begin(d, be, NULL, timeout_ms));
}

static enum dial_result step(struct dial *d, short revents)
{
	call_begin();
	return call_end(dial_step(d, revents));
}

/* Waits for events as a caller does, or until the deadline, and steps. */
static enum dial_result wait_and_step(struct dial *d)
{
	struct pollfd p[] = { { .fd = -1 }, dial_poll(d) };
	int n = clock_wait(p, 2, clock_ms(), d->deadline_ms);

	ck_assert(n > 0 || n == -ETIMEDOUT);
	ck_assert_int_eq(n > 0, p[1].revents != 0);
	return step(d, p[1].revents);
}

/* Up to a result. The stream is closed again, so that a test has nothing to tidy up. */
static enum dial_result dial(struct dial *d, const struct backend *be,
			     uint64_t timeout_ms)
{
	enum dial_result r = begin(d, be, timeout_ms);

	while (r == DIAL_WAITING)
		r = wait_and_step(d);
	ck_assert_int_eq(r == DIAL_CONNECTED, d->stream.fd >= 0);
	ck_assert_int_eq(r == DIAL_CONNECTED, d->why[0] == '\0');
	dial_done(d);
	return r;
}

static void expect_why(const struct dial *d, const char *format, unsigned port,
		       const char *error)
{
	char expected[200];

	(void)snprintf(expected, sizeof(expected), format, port, error);
	ck_assert_str_eq(d->why, expected);
}

START_TEST(an_address_is_dialled)
{
	uint16_t port;
	int listener = peer_listen("127.0.0.1", 1, &port), peer;
	struct backend be = backend_at("127.0.0.1", port);
	enum dial_result r;
	struct stream s;
	struct dial d;

	r = begin(&d, &be, LONG_MS);
	while (r == DIAL_WAITING) {
		ck_assert_int_eq(dial_poll(&d).fd, d.stream.fd);
		ck_assert_int_eq(dial_poll(&d).events, POLLOUT);
		r = wait_and_step(&d);
	}
	ck_assert_int_eq(r, DIAL_CONNECTED);
	s = stream_take(&d.stream);
	ck_assert_int_lt(d.stream.fd, 0);
	dial_done(&d);
	peer = peer_accept(listener);
	ck_assert(s.can_read && s.can_write && s.input == STREAM_OPEN);
	ck_assert_int_eq(option_of(s.fd, IPPROTO_TCP, TCP_NODELAY), 1);
	ck_assert(fcntl(s.fd, F_GETFL) & O_NONBLOCK);
	ck_assert(fcntl(s.fd, F_GETFD) & FD_CLOEXEC);
	peer_say(peer, "hello");
	peer_hears(s.fd, "hello");
	ck_assert_int_eq(resolver.calls, 0);
	stream_done(&s);
	peer_close(&peer);
	peer_close(&listener);
}
END_TEST

START_TEST(a_unix_path_is_dialled)
{
	char path[] = "/tmp/test_dial.XXXXXX/socket", *slash = strrchr(path, '/');
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), filler;
	struct backend be;
	struct dial d;

	*slash = '\0';
	ck_assert_ptr_nonnull(mkdtemp(path));
	*slash = '/';
	be = backend_unix(path);
	ck_assert_int_eq(dial(&d, &be, LONG_MS), DIAL_UNREACHABLE);
	ck_assert_str_eq(d.why, "cannot connect to unix:test: No such file or directory");
	ck_assert_int_eq(bind(listener, (struct sockaddr *)&be.addr, be.addr_len), 0);
	ck_assert_int_eq(dial(&d, &be, LONG_MS), DIAL_REFUSED);
	ck_assert_int_eq(listen(listener, 0), 0);
	filler = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(connect(filler, (struct sockaddr *)&be.addr, be.addr_len), 0);
	/* its backlog is full */
	ck_assert_int_eq(dial(&d, &be, LONG_MS), DIAL_REFUSED);
	close(accept(listener, NULL, NULL));
	ck_assert_int_eq(dial(&d, &be, LONG_MS), DIAL_CONNECTED);
	close(filler);
	close(listener);
	unlink(path);
	*slash = '\0';
	rmdir(path);
}
END_TEST

START_TEST(a_refusal_says_who_refused)
{
	uint16_t port;
	int held = port_closed("127.0.0.1", &port);
	struct backend be = backend_at("127.0.0.1", port);
	struct dial d;

	ck_assert_int_eq(dial(&d, &be, LONG_MS), DIAL_REFUSED);
	expect_why(&d, "cannot connect to 127.0.0.1:%u: %s", port, "Connection refused");
	close(held);
}
END_TEST

START_TEST(a_backend_that_accepts_nobody_times_out)
{
	uint64_t start_ms = clock_ms();
	uint16_t port;
	int filler, listener = listen_full("127.0.0.1", &port, &filler);
	struct backend be = backend_at("127.0.0.1", port);
	struct dial d;

	ck_assert_int_eq(dial(&d, &be, SHORT_MS), DIAL_TIMED_OUT);
	ck_assert_uint_ge(clock_ms() - start_ms, SHORT_MS);
	expect_why(&d, "cannot connect to 127.0.0.1:%u: %s", port,
		   "Connection timed out");
	close(filler);
	close(listener);
}
END_TEST

START_TEST(a_dial_may_be_given_up_at_any_time)
{
	uint16_t port;
	int filler, listener = listen_full("127.0.0.1", &port, &filler);
	struct backend be = backend_at("backend.example", port);
	struct dial d;

	resolver.address[0] = resolver.address[1] = "127.0.0.1";
	ck_assert_int_eq(begin(&d, &be, LONG_MS), DIAL_WAITING);
	dial_done(&d);
	ck_assert_int_lt(dial_poll(&d).fd, 0);
	dial_done(&d);
	close(filler);
	close(listener);
}
END_TEST

/* ---- time */

/* Of addresses that are all silent, begun at 1000 ms: when each has had its share. */
static const struct {
	unsigned addresses;
	uint64_t timeout_ms, late_ms; /* the first deadline is noticed so late */
	uint64_t deadline_ms[3];
} shares[] = {
	{ 1, 5000, 0, { 6000 } },
	{ 2, 5000, 0, { 3500, 6000 } },
	{ 3, 6000, 0, { 3000, 5000, 7000 } },
	{ 3, 6000, 1000, { 3000, 5500, 7000 } },
	{ 3, 6000, 9000, { 3000, 12000, 12000 } },
	{ 3, 0, 0, { 1000, 1000, 1000 } },
	{ 2, 1, 0, { 1000, 1001 } },
	{ 1, CLOCK_INFINITY, 0, { CLOCK_INFINITY } },
	{ 2, CLOCK_INFINITY, 0, { 1000 + (CLOCK_INFINITY - 1000) / 2, CLOCK_INFINITY } },
};

START_TEST(the_addresses_share_the_time)
{
	unsigned n = shares[_i].addresses;
	const uint64_t *deadline_ms = shares[_i].deadline_ms;
	uint16_t port;
	int filler, listener = listen_full("127.0.0.1", &port, &filler);
	struct backend be = backend_at("backend.example", port);
	enum dial_result r;
	struct dial d;

	for (unsigned i = 0; i < n; i++)
		resolver.address[i] = "127.0.0.1";
	stopped_ms = 1000;
	r = begin(&d, &be, shares[_i].timeout_ms);
	for (unsigned i = 0; i < n; i++) {
		ck_assert_int_eq(r, DIAL_WAITING);
		ck_assert_uint_eq(d.deadline_ms, deadline_ms[i]);
		if (deadline_ms[i] > stopped_ms) {
			ck_assert_int_eq(step(&d, 0), DIAL_WAITING);
			stopped_ms = deadline_ms[i] - 1;
			ck_assert_int_eq(step(&d, 0), DIAL_WAITING);
			ck_assert_uint_eq(d.deadline_ms, deadline_ms[i]);
		}
		stopped_ms = deadline_ms[i] + (i == 0 ? shares[_i].late_ms : 0);
		r = step(&d, 0);
	}
	stopped_ms = 0;
	ck_assert_int_eq(r, DIAL_TIMED_OUT);
	ck_assert_int_lt(dial_poll(&d).fd, 0);
	close(filler);
	close(listener);
}
END_TEST

START_TEST(an_address_that_refuses_leaves_its_time_to_the_next)
{
	struct ports p;
	struct backend be;
	struct dial d;

	ports_open(&p);
	be = backend_at("backend.example", p.port);
	resolver.address[0] = "127.0.0.1";
	resolver.address[1] = "127.0.0.2";
	stopped_ms = 1000;
	if (begin(&d, &be, 5000) == DIAL_WAITING && d.deadline_ms == 3500) {
		struct pollfd refusal = dial_poll(&d);

		ck_assert_int_eq(poll(&refusal, 1, 1000 * PATIENCE_SEC), 1);
		stopped_ms = 1200;
		ck_assert_int_eq(step(&d, refusal.revents), DIAL_WAITING);
	}
	stopped_ms = 0;
	ck_assert_uint_eq(d.deadline_ms, 6000);
	dial_done(&d);
	ports_close(&p);
}
END_TEST

/* ---- names */

/* The name has these addresses, and who listens is met behind one of them. */
static void name_leads_to(int listener, uint16_t port, const char *first,
			  const char *second, const char *third)
{
	struct backend be = backend_at("backend.example", port);
	struct dial d;
	int peer;

	resolver.address[0] = first;
	resolver.address[1] = second;
	resolver.address[2] = third;
	ck_assert_int_eq(dial(&d, &be, LONG_MS), DIAL_CONNECTED);
	ck_assert_int_eq(resolver.calls, 1);
	peer = peer_accept(listener);
	close(peer);
	close(listener);
}

START_TEST(each_address_of_a_name_is_tried_in_turn)
{
	uint16_t port;
	int listener = peer_listen("127.0.0.3", 1, &port);

	name_leads_to(listener, port, "127.0.0.1", "127.0.0.2", "127.0.0.3");
}
END_TEST

START_TEST(the_first_address_that_accepts_is_taken)
{
	uint16_t port;
	int listener = peer_listen("127.0.0.1", 1, &port);

	/* the second would refuse */
	name_leads_to(listener, port, "127.0.0.1", "127.0.0.2", NULL);
}
END_TEST

/* Node, told to listen on localhost, does so on the first address of the name alone. */
START_TEST(an_address_of_loopback_is_tried_whatever_the_machine_has_beside)
{
	struct sockaddr_in6 sa = { .sin6_family = AF_INET6,
				   .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	socklen_t len = sizeof(sa);
	int listener = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_eq(bind(listener, (struct sockaddr *)&sa, len), 0);
	ck_assert_int_eq(listen(listener, 1), 0);
	ck_assert_int_eq(getsockname(listener, (struct sockaddr *)&sa, &len), 0);
	/* the second would refuse */
	name_leads_to(listener, ntohs(sa.sin6_port), "::1", "127.0.0.1", NULL);
}
END_TEST

START_TEST(where_all_addresses_refuse_the_name_is_blamed)
{
	uint16_t port;
	int held = port_closed("127.0.0.1", &port);
	struct backend be = backend_at("backend.example", port);
	struct dial d;

	resolver.address[0] = resolver.address[1] = "127.0.0.1";
	ck_assert_int_eq(dial(&d, &be, LONG_MS), DIAL_REFUSED);
	expect_why(&d, "cannot connect to backend.example:%u: %s", port,
		   "Connection refused");
	close(held);
}
END_TEST

/* Behind an address is nobody, somebody who does not accept, or no way to get there. */
static const struct {
	const char *address[3];
	enum dial_result r;
	int error;
} failing[] = {
	{ { "127.0.0.1", "224.0.0.1" }, DIAL_REFUSED, ECONNREFUSED },
	{ { "224.0.0.1", "127.0.0.1" }, DIAL_REFUSED, ECONNREFUSED },
	/* without an interface: EINVAL */
	{ { "127.0.0.1", "fe80::1" }, DIAL_REFUSED, ECONNREFUSED },
	{ { "127.0.0.2", "224.0.0.1" }, DIAL_TIMED_OUT, ETIMEDOUT },
	{ { "224.0.0.1", "127.0.0.2" }, DIAL_TIMED_OUT, ETIMEDOUT },
	{ { "127.0.0.2", "127.0.0.1" }, DIAL_TIMED_OUT, ETIMEDOUT },
	{ { "127.0.0.1", "127.0.0.2" }, DIAL_TIMED_OUT, ETIMEDOUT },
	{ { "127.0.0.2", "127.0.0.1", "fe80::1" }, DIAL_TIMED_OUT, ETIMEDOUT },
	{ { "224.0.0.1", "224.0.0.2" }, DIAL_UNREACHABLE, ENETUNREACH },
	{ { "fe80::1" }, DIAL_UNREACHABLE, EINVAL },
};

START_TEST(of_several_addresses_the_error_that_says_most_is_told)
{
	struct ports p;
	struct backend be;
	struct dial d;

	ports_open(&p);
	be = backend_at("backend.example", p.port);
	memcpy(resolver.address, failing[_i].address, sizeof(resolver.address));
	ck_assert_int_eq(dial(&d, &be, SHORT_MS), failing[_i].r);
	expect_why(&d, "cannot connect to backend.example:%u: %s", p.port,
		   strerror(failing[_i].error));
	ports_close(&p);
}
END_TEST

START_TEST(a_name_that_does_not_resolve_says_why)
{
	static const struct {
		int fault, saved_errno;
		enum dial_result r;
		const char *why;
	} table[] = {
		{ EAI_NONAME, 0, DIAL_UNRESOLVED, "Name or service not known" },
		{ EAI_AGAIN, 0, DIAL_UNRESOLVED, "Temporary failure in name resolution" },
		{ EAI_MEMORY, 0, DIAL_LOCAL_FAULT, "Memory allocation failure" },
		{ EAI_SYSTEM, EMFILE, DIAL_LOCAL_FAULT, "Too many open files" },
		{ EAI_SYSTEM, EIO, DIAL_UNRESOLVED, "Input/output error" },
		{ EAI_SYSTEM, ETIMEDOUT, DIAL_UNRESOLVED, "Connection timed out" },
	};
	struct backend be = backend_at("backend.example", 1);
	struct dial d;

	for (size_t i = 0; i < LENGTH(table); i++) {
		resolver.fault = table[i].fault;
		resolver.saved_errno = table[i].saved_errno;
		ck_assert_int_eq(dial(&d, &be, LONG_MS), table[i].r);
		expect_why(&d, "cannot resolve backend.example:%u: %s", 1, table[i].why);
	}
}
END_TEST

static void block_sigterm(sigset_t *saved)
{
	sigset_t term;

	(void)sigemptyset(&term);
	(void)sigaddset(&term, SIGTERM);
	ck_assert_int_eq(sigprocmask(SIG_BLOCK, &term, saved), 0);
}

START_TEST(sigterm_ends_the_process_while_it_resolves)
{
	struct backend be = backend_at("backend.example", 1);
	struct dial d;
	sigset_t saved;
	int status;
	pid_t pid;

	resolver.fault = EAI_NONAME;
	resolver.terminate = true;
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		(void)signal(SIGTERM, SIG_DFL); /* check has a handler, */
		for (int fd = 3; fd < 64; fd++) /* and a file that is not ours to leak */
			(void)close(fd);
		block_sigterm(&saved);
		(void)dial_begin(&d, &be, NULL, LONG_MS);
		_exit(1);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
}
END_TEST

START_TEST(sigterm_is_blocked_again_after_it_has_resolved)
{
	struct backend be = backend_at("backend.example", 1);
	sigset_t saved, mask;
	struct dial d;

	block_sigterm(&saved);
	resolver.fault = EAI_NONAME;
	ck_assert_int_eq(dial(&d, &be, LONG_MS), DIAL_UNRESOLVED);
	ck_assert_int_eq(sigprocmask(SIG_SETMASK, &saved, &mask), 0);
	ck_assert_int_eq(sigismember(&mask, SIGTERM), 1);
}
END_TEST

START_TEST(without_a_descriptor_no_address_is_tried_further)
{
	struct backend literal = backend_at("127.0.0.1", 1);
	struct backend name = backend_at("backend.example", 1);
	struct rlimit saved = fds_forbid();
	struct dial d;
	enum dial_result by_address = dial(&d, &literal, LONG_MS), by_name;

	resolver.address[0] = resolver.address[1] = "127.0.0.1";
	by_name = dial(&d, &name, LONG_MS);
	fds_allow(saved);
	ck_assert_int_eq(by_address, DIAL_LOCAL_FAULT);
	ck_assert_int_eq(by_name, DIAL_LOCAL_FAULT);
	expect_why(&d, "cannot connect to backend.example:%u: %s", 1,
		   "Too many open files");
}
END_TEST

/* ---- TLS */

static char dir[sizeof("/tmp/novnc-gate-test-dial.XXXXXX")];
static char certificate[128];

static void make_certificate(void)
{
	char command[512];

	(void)snprintf(dir, sizeof(dir), "/tmp/novnc-gate-test-dial.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	(void)snprintf(certificate, sizeof(certificate), "%s/both", dir);
	(void)snprintf(command, sizeof(command),
		       "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 "
		       "-nodes -subj /CN=test -keyout %s/key -out %s/crt 2>%s/log && "
		       "cat %s/key %s/crt >%s",
		       dir, dir, dir, dir, dir, certificate);
	ck_assert_int_eq(system(command), 0);
}

static void remove_certificate(void)
{
	char command[128];

	(void)snprintf(command, sizeof(command), "rm -r %s", dir);
	ck_assert_int_eq(system(command), 0);
}

/* A backend that speaks TLS, and its listener. */
static struct backend backend_tls(int *listener)
{
	struct backend be;
	uint16_t port;

	*listener = peer_listen("127.0.0.1", 1, &port);
	be = backend_at("127.0.0.1", port);
	be.section = "MasterController";
	be.tls = true;
	return be;
}

/* On a connection that has been accepted, as the backend. */
static struct tls *tls_at(int fd, const struct tls_module **module)
{
	struct config_tls cfg = { certificate, certificate, "/nowhere", NULL };
	struct tls_why why;
	struct tls *t;

	ck_assert_int_eq(loader_tls(module, &why), 0);
	ck_assert_int_eq(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	ck_assert_int_eq((*module)->accept(fd, &cfg, &t, &why), TLS_READY);
	return t;
}

START_TEST(a_handshake_is_part_of_the_dial)
{
	int listener, fd;
	struct backend be = backend_tls(&listener);
	const struct tls_module *module;
	enum dial_result r = DIAL_WAITING;
	int shaken = -EAGAIN;
	struct tls *server;
	struct dial d;
	short wants;

	if (begin(&d, &be, LONG_MS) == DIAL_WAITING)
		ck_assert_int_eq(wait_and_step(&d), DIAL_WAITING);
	ck_assert_int_eq(dial_poll(&d).events, POLLIN);
	fd = peer_accept(listener);
	server = tls_at(fd, &module);
	for (int i = 0; i < 20 && (r == DIAL_WAITING || shaken == -EAGAIN); i++) {
		if (shaken == -EAGAIN)
			shaken = module->handshake(server, &wants);
		if (r == DIAL_WAITING)
			r = step(&d, POLLIN);
	}
	ck_assert_int_eq(r, DIAL_CONNECTED);
	ck_assert_int_eq(shaken, 0);
	ck_assert(!stream_is_plain(&d.stream));
	ck_assert_str_eq(d.why, "");
	module->free(server, false);
	dial_done(&d);
	close(fd);
	close(listener);
}
END_TEST

START_TEST(a_handshake_has_the_time_that_is_left)
{
	int listener;
	struct backend be = backend_tls(&listener);
	struct dial d;

	/* which has two addresses, of which the first has half the time */
	be.literal = false;
	(void)snprintf(be.host, sizeof(be.host), "backend.example");
	resolver.address[0] = resolver.address[1] = "127.0.0.1";
	stopped_ms = 1000;
	if (begin(&d, &be, 5000) == DIAL_WAITING) {
		struct pollfd accepted = dial_poll(&d);

		ck_assert_int_eq(poll(&accepted, 1, 1000 * PATIENCE_SEC), 1);
		stopped_ms = 4000;
		ck_assert_int_eq(step(&d, accepted.revents), DIAL_WAITING);
	}
	ck_assert_uint_eq(d.deadline_ms, 6000);
	stopped_ms = 5999;
	ck_assert_int_eq(step(&d, 0), DIAL_WAITING);
	stopped_ms = 6000;
	ck_assert_int_eq(step(&d, 0), DIAL_TIMED_OUT);
	stopped_ms = 0;
	expect_why(&d, "TLS handshake with 127.0.0.1:%u: %s", be.port,
		   "Connection timed out");
	close(listener);
}
END_TEST

START_TEST(a_backend_that_does_not_speak_tls_fails)
{
	int listener, fd;
	struct backend be = backend_tls(&listener);
	struct dial d;

	if (begin(&d, &be, LONG_MS) == DIAL_WAITING)
		ck_assert_int_eq(wait_and_step(&d), DIAL_WAITING);
	fd = peer_accept(listener);
	if (_i == 0)
		peer_say(fd, "HTTP/1.1 400 Bad Request\r\n\r\n");
	else
		peer_close(&fd);
	ck_assert_int_eq(wait_and_step(&d), DIAL_TLS_FAILED);
	ck_assert_int_eq(strncmp(d.why, "TLS handshake with 127.0.0.1:", 29), 0);
	ck_assert_int_lt(d.stream.fd, 0);
	peer_close(&fd);
	close(listener);
}
END_TEST

START_TEST(a_file_that_cannot_be_used_is_named)
{
	int listener;
	struct backend be = backend_tls(&listener);
	struct dial d;

	be.trust.verify = true;
	be.trust.ca_file = "/nowhere/ca";
	ck_assert_int_eq(dial(&d, &be, LONG_MS), DIAL_MISCONFIGURED);
	ck_assert_str_eq(d.why, "[MasterController] CaFile=/nowhere/ca: No such file or "
				"directory");
	close(listener);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("dial");
	TCase *t = case_add(s, "dial");

	(void)signal(SIGPIPE, SIG_IGN); /* as main() does */
	tcase_add_checked_fixture(t, setup, NULL);
	tcase_add_test(t, an_address_is_dialled);
	tcase_add_test(t, a_unix_path_is_dialled);
	tcase_add_test(t, a_refusal_says_who_refused);
	tcase_add_test(t, a_backend_that_accepts_nobody_times_out);
	tcase_add_test(t, a_dial_may_be_given_up_at_any_time);
	tcase_add_loop_test(t, the_addresses_share_the_time, 0, (int)LENGTH(shares));
	tcase_add_test(t, an_address_that_refuses_leaves_its_time_to_the_next);
	tcase_add_test(t, each_address_of_a_name_is_tried_in_turn);
	tcase_add_test(t, the_first_address_that_accepts_is_taken);
	tcase_add_test(t,
		       an_address_of_loopback_is_tried_whatever_the_machine_has_beside);
	tcase_add_test(t, where_all_addresses_refuse_the_name_is_blamed);
	tcase_add_loop_test(t, of_several_addresses_the_error_that_says_most_is_told, 0,
			    (int)LENGTH(failing));
	tcase_add_test(t, a_name_that_does_not_resolve_says_why);
	tcase_add_test(t, sigterm_ends_the_process_while_it_resolves);
	tcase_add_test(t, sigterm_is_blocked_again_after_it_has_resolved);
	tcase_add_test(t, without_a_descriptor_no_address_is_tried_further);
	t = case_add(s, "tls");
	tcase_add_unchecked_fixture(t, make_certificate, remove_certificate);
	tcase_add_checked_fixture(t, setup, NULL);
	tcase_add_test(t, a_handshake_is_part_of_the_dial);
	tcase_add_test(t, a_handshake_has_the_time_that_is_left);
	tcase_add_loop_test(t, a_backend_that_does_not_speak_tls_fails, 0, 2);
	tcase_add_test(t, a_file_that_cannot_be_used_is_named);
	return suite_run(s);
}
