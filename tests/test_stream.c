/* SPDX-License-Identifier: MIT */
/* stream.c: dialling loopback addresses, and one end of a socket pair. */
#include "net/stream.h"

#include <netdb.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "still.h"
#include "testing.h"
#include "world.h"

#define LONG_MS  60000
#define SHORT_MS 60

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

static int option_of(int fd, int level, int option)
{
	socklen_t len = sizeof(int);
	int value = -1;

	ck_assert_int_eq(getsockopt(fd, level, option, &value, &len), 0);
	return value;
}

static void setup(void)
{
	memset(&resolver, 0, sizeof(resolver));
	(void)still_calls();
}


/* ---- dialling */

/* Dials; what came of it is closed again, so that a test has nothing to tidy up. */
static int dial(const struct backend *be, uint64_t timeout_ms, int client_fd, int sigfd,
		struct stream_cause *cause)
{
	struct stream s = STREAM_NONE;
	int r;

	*cause = (struct stream_cause){ "" };
	r = stream_dial(be, timeout_ms, client_fd, sigfd, &s, cause);
	ck_assert_int_eq(r == 0, s.fd >= 0);
	stream_done(&s);
	return r;
}

START_TEST(an_address_is_dialled)
{
	uint16_t port;
	int listener = peer_listen("127.0.0.1", 1, &port), peer;
	struct backend be = backend_at("127.0.0.1", port);
	struct stream s = STREAM_NONE;
	struct stream_cause cause;

	ck_assert_int_eq(stream_dial(&be, LONG_MS, -1, -1, &s, &cause), 0);
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

/* A backend's machine that has gone away without a word is found out. */
START_TEST(a_silent_peer_is_probed_once_asked)
{
	struct stream s;
	int peer;

	stream_pair(true, &s, &peer);
	ck_assert_int_eq(option_of(s.fd, SOL_SOCKET, SO_KEEPALIVE), 0);
	stream_keep_alive(&s);
	ck_assert_int_eq(option_of(s.fd, SOL_SOCKET, SO_KEEPALIVE), 1);
	ck_assert_int_le(option_of(s.fd, IPPROTO_TCP, TCP_KEEPIDLE), 120);
	ck_assert_int_le(option_of(s.fd, IPPROTO_TCP, TCP_KEEPINTVL), 30);
	ck_assert_int_le(option_of(s.fd, IPPROTO_TCP, TCP_KEEPCNT), 9);
	ck_assert_int_eq(
		setsockopt(s.fd, IPPROTO_TCP, TCP_KEEPIDLE, &(int){ 7 }, sizeof(int)), 0);
	stream_keep_alive(&s); /* as the socket unit has set it */
	ck_assert_int_eq(option_of(s.fd, IPPROTO_TCP, TCP_KEEPIDLE), 7);
	stream_done(&s);
	peer_close(&peer);
}
END_TEST

START_TEST(a_unix_path_is_dialled)
{
	char path[] = "/tmp/test_stream.XXXXXX/socket", *slash = strrchr(path, '/');
	struct backend be;
	struct stream_cause cause;
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), filler;

	*slash = '\0';
	ck_assert_ptr_nonnull(mkdtemp(path));
	*slash = '/';
	be = backend_unix(path);
	ck_assert_int_eq(dial(&be, LONG_MS, -1, -1, &cause), -ENOENT);
	ck_assert_str_eq(cause.text,
			 "cannot connect to unix:test: No such file or directory");
	ck_assert_int_eq(bind(listener, (struct sockaddr *)&be.addr, be.addr_len), 0);
	ck_assert_int_eq(dial(&be, LONG_MS, -1, -1, &cause), -ECONNREFUSED);
	ck_assert_int_eq(listen(listener, 0), 0);
	filler = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(connect(filler, (struct sockaddr *)&be.addr, be.addr_len), 0);
	/* its backlog is full */
	ck_assert_int_eq(dial(&be, LONG_MS, -1, -1, &cause), -ECONNREFUSED);
	close(accept(listener, NULL, NULL));
	ck_assert_int_eq(dial(&be, LONG_MS, -1, -1, &cause), 0);
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
	struct stream_cause cause;
	char expected[100];

	ck_assert_int_eq(dial(&be, LONG_MS, -1, -1, &cause), -ECONNREFUSED);
	(void)snprintf(expected, sizeof(expected),
		       "cannot connect to 127.0.0.1:%u: Connection refused", port);
	ck_assert_str_eq(cause.text, expected);
	close(held);
}
END_TEST

START_TEST(a_backend_that_accepts_nobody_times_out)
{
	uint64_t start_ms = clock_ms();
	uint16_t port;
	int filler, listener = listen_full("127.0.0.1", &port, &filler);
	struct backend be = backend_at("127.0.0.1", port);
	struct stream_cause cause;

	ck_assert_int_eq(dial(&be, SHORT_MS, -1, -1, &cause), -ETIMEDOUT);
	ck_assert_uint_ge(clock_ms() - start_ms, SHORT_MS);
	ck_assert_ptr_nonnull(strstr(cause.text, "Connection timed out"));
	ck_assert_uint_lt(still_calls(), 5);
	close(filler);
	close(listener);
}
END_TEST

/* ---- names */

/* The name has these addresses, and who listens is met behind one of them. */
static void name_leads_to(int listener, uint16_t port, const char *first,
			  const char *second, const char *third)
{
	struct backend be = backend_at("backend.example", port);
	struct stream_cause cause;
	int peer;

	resolver.address[0] = first;
	resolver.address[1] = second;
	resolver.address[2] = third;
	ck_assert_int_eq(dial(&be, LONG_MS, -1, -1, &cause), 0);
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

/* Half of it is room for a busy machine. */
#define SHARED_MS 1600

START_TEST(the_time_is_shared_among_the_addresses_still_to_try)
{
	uint64_t start_ms = clock_ms(), took_ms;
	uint16_t port;
	int filler, full = listen_full("127.0.0.1", &port, &filler), listener;
	struct backend be = backend_at("backend.example", port);
	struct stream_cause cause;
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons(port) };

	listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(inet_pton(AF_INET, "127.0.0.2", &sa.sin_addr), 1);
	ck_assert_int_eq(bind(listener, (struct sockaddr *)&sa, sizeof(sa)), 0);
	ck_assert_int_eq(listen(listener, 1), 0);
	resolver.address[0] = "127.0.0.1";
	resolver.address[1] = "127.0.0.2";
	ck_assert_int_eq(dial(&be, SHARED_MS, -1, -1, &cause), 0);
	took_ms = clock_ms() - start_ms;
	ck_assert_uint_ge(took_ms, SHARED_MS / 2);
	ck_assert_uint_lt(took_ms, SHARED_MS);
	/* and when the last one does not accept either, all of it has passed, but once */
	resolver.address[1] = "127.0.0.1";
	start_ms = clock_ms();
	ck_assert_int_eq(dial(&be, SHARED_MS, -1, -1, &cause), -ETIMEDOUT);
	took_ms = clock_ms() - start_ms;
	ck_assert_uint_ge(took_ms, SHARED_MS);
	ck_assert_uint_lt(took_ms, 2 * SHARED_MS);
	close(filler);
	close(full);
	close(listener);
}
END_TEST

START_TEST(where_all_addresses_refuse_the_name_is_blamed)
{
	uint16_t port;
	int held = port_closed("127.0.0.1", &port);
	struct backend be = backend_at("backend.example", port);
	struct stream_cause cause;
	char expected[100];

	resolver.address[0] = resolver.address[1] = "127.0.0.1";
	ck_assert_int_eq(dial(&be, LONG_MS, -1, -1, &cause), -ECONNREFUSED);
	(void)snprintf(expected, sizeof(expected),
		       "cannot connect to backend.example:%u: Connection refused", port);
	ck_assert_str_eq(cause.text, expected);
	close(held);
}
END_TEST

/* What is behind an address: nobody, somebody who does not accept, no way to get there. */
static const struct {
	const char *address[3];
	int r;
} failing[] = {
	{ { "127.0.0.1", "224.0.0.1" }, -ECONNREFUSED },
	{ { "224.0.0.1", "127.0.0.1" }, -ECONNREFUSED },
	{ { "127.0.0.1", "fe80::1" }, -ECONNREFUSED }, /* without an interface: EINVAL */
	{ { "127.0.0.2", "224.0.0.1" }, -ETIMEDOUT },
	{ { "224.0.0.1", "127.0.0.2" }, -ETIMEDOUT },
	{ { "127.0.0.2", "127.0.0.1" }, -ETIMEDOUT },
	{ { "127.0.0.1", "127.0.0.2" }, -ETIMEDOUT },
	{ { "127.0.0.2", "127.0.0.1", "fe80::1" }, -ETIMEDOUT },
	{ { "224.0.0.1", "224.0.0.2" }, -ENETUNREACH },
	{ { "fe80::1" }, -EINVAL },
};

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

START_TEST(of_several_addresses_the_error_that_says_most_is_told)
{
	uint16_t port;
	int filler, full, held;
	struct stream_cause cause;
	struct backend be;
	char expected[100];

	while (full = listen_full("127.0.0.2", &port, &filler),
	       held = port_hold("127.0.0.1", port), held < 0) {
		close(filler);
		close(full);
	}
	be = backend_at("backend.example", port);
	memcpy(resolver.address, failing[_i].address, sizeof(resolver.address));
	ck_assert_int_eq(dial(&be, 2 * SHORT_MS, -1, -1, &cause), failing[_i].r);
	(void)snprintf(expected, sizeof(expected),
		       "cannot connect to backend.example:%u: %s", port,
		       strerror(-failing[_i].r));
	ck_assert_str_eq(cause.text, expected);
	close(held);
	close(filler);
	close(full);
}
END_TEST

START_TEST(a_name_that_does_not_resolve_says_why)
{
	static const struct {
		int fault, saved_errno, r;
		const char *why;
	} table[] = {
		{ EAI_NONAME, 0, -ENXIO, "Name or service not known" },
		{ EAI_AGAIN, 0, -ENXIO, "Temporary failure in name resolution" },
		{ EAI_MEMORY, 0, -ENOMEM, "Memory allocation failure" },
		{ EAI_SYSTEM, EMFILE, -EMFILE, "Too many open files" },
		{ EAI_SYSTEM, EIO, -ENXIO, "Input/output error" },
	};
	struct backend be = backend_at("backend.example", 1);
	struct stream_cause cause;
	char expected[200];

	for (size_t i = 0; i < LENGTH(table); i++) {
		resolver.fault = table[i].fault;
		resolver.saved_errno = table[i].saved_errno;
		ck_assert_int_eq(dial(&be, LONG_MS, -1, -1, &cause), table[i].r);
		(void)snprintf(expected, sizeof(expected),
			       "cannot resolve backend.example:1: %s", table[i].why);
		ck_assert_str_eq(cause.text, expected);
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
	struct stream_cause cause;
	struct stream s = STREAM_NONE;
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
		(void)stream_dial(&be, LONG_MS, -1, -1, &s, &cause);
		_exit(1);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
}
END_TEST

START_TEST(sigterm_is_blocked_again_after_it_has_resolved)
{
	struct backend be = backend_at("backend.example", 1);
	struct stream_cause cause;
	sigset_t saved, mask;

	block_sigterm(&saved);
	resolver.fault = EAI_NONAME;
	ck_assert_int_lt(dial(&be, LONG_MS, -1, -1, &cause), 0);
	ck_assert_int_eq(sigprocmask(SIG_SETMASK, &saved, &mask), 0);
	ck_assert_int_eq(sigismember(&mask, SIGTERM), 1);
}
END_TEST

/* ---- what ends a dial early */

struct dial {
	struct backend be;
	int client_fd, sigfd, r;
};

static void *dial_run(void *userdata)
{
	struct dial *d = userdata;
	struct stream_cause cause;

	d->r = dial(&d->be, LONG_MS, d->client_fd, d->sigfd, &cause);
	return NULL;
}

START_TEST(a_dial_ends_with_sigterm_or_with_the_client)
{
	static const int results[] = { -ECANCELED, -EPIPE, -ECANCELED };
	uint16_t port;
	int filler, full = listen_full("127.0.0.1", &port, &filler), peer;
	struct dial d = { .be = backend_at("127.0.0.1", port) };
	struct world w;

	world_open(&w);
	d.sigfd = w.stop[0];
	pair_open(_i == 1, &d.client_fd, &peer);
	world_start(&w, dial_run, &d);
	still_wait();
	if (_i == 1) {
		peer_reset(&peer);
	} else {
		if (_i ==
		    2) { /* one that has closed may still be served, and is no spin */
			peer_close(&peer);
			still_wait();
			ck_assert_uint_lt(still_calls(), 10);
		}
		world_terminate(&w);
	}
	world_join(&w);
	ck_assert_int_eq(d.r, results[_i]);
	close(d.client_fd);
	peer_close(&peer);
	world_close(&w);
	close(filler);
	close(full);
}
END_TEST

START_TEST(without_a_descriptor_no_address_is_tried_further)
{
	struct backend literal = backend_at("127.0.0.1", 1);
	struct backend name = backend_at("backend.example", 1);
	struct stream_cause cause;
	struct rlimit saved = fds_forbid();
	int by_address = dial(&literal, LONG_MS, -1, -1, &cause), by_name;

	resolver.address[0] = resolver.address[1] = "127.0.0.1";
	by_name = dial(&name, LONG_MS, -1, -1, &cause);
	fds_allow(saved);
	ck_assert_int_eq(by_address, -EMFILE);
	ck_assert_int_eq(by_name, -EMFILE);
	ck_assert_str_eq(cause.text,
			 "cannot connect to backend.example:1: Too many open files");
}
END_TEST

/* ---- one end of a pair */

struct end {
	struct stream s;
	int peer;
	char room[8];
	struct buf b;
};

static void end_open(struct end *e, bool tcp)
{
	int ours;

	pair_open(tcp, &ours, &e->peer);
	ck_assert_int_eq(fcntl(ours, F_SETFL, O_RDWR), 0);
	ck_assert_int_eq(stream_adopt(ours, &e->s), 0);
	ck_assert(fcntl(ours, F_GETFL) & O_NONBLOCK);
	e->b = (struct buf){ .data = e->room, .cap = sizeof(e->room) };
}

static void end_close(struct end *e)
{
	stream_done(&e->s);
	stream_done(&e->s);
	ck_assert_int_eq(e->s.fd, -1);
	peer_close(&e->peer);
}

START_TEST(what_is_no_descriptor_is_not_adopted)
{
	struct stream s;

	ck_assert_int_eq(stream_adopt(-1, &s), -EBADF);
}
END_TEST

START_TEST(a_read_tells_what_it_found)
{
	struct end e;

	end_open(&e, _i);
	ck_assert_int_eq(stream_read(&e.s, &e.b), -EAGAIN);
	ck_assert(!e.s.can_read);
	peer_say(e.peer, "12345");
	e.s.can_read = true;
	ck_assert_int_eq(stream_read(&e.s, &e.b), 5);
	ck_assert(!e.s.can_read); /* there was room for more */
	e.s.can_read = true;
	peer_say(e.peer, "678more");
	ck_assert_int_eq(stream_read(&e.s, &e.b), 3);
	ck_assert(e.s.can_read);
	ck_assert_slice_eq(buf_slice(&e.b), "12345678");
	buf_consume(&e.b, 8);
	ck_assert_int_eq(stream_read(&e.s, &e.b), 4);
	ck_assert(!stream_ended(&e.s));
	ck_assert_int_eq(shutdown(e.peer, SHUT_WR), 0);
	ck_assert_int_eq(stream_read(&e.s, &e.b), 0);
	ck_assert_int_eq(e.s.input, STREAM_EOF);
	ck_assert_slice_eq(buf_slice(&e.b), "more");
	end_close(&e);
}
END_TEST

START_TEST(a_write_takes_what_there_is_room_for)
{
	static char block[1 << 20];
	struct iovec iov[] = { { (char *)"ab", 2 }, { (char *)"cde", 3 } };
	struct iovec much = { block, sizeof(block) };
	struct end e;
	ssize_t n;

	end_open(&e, _i);
	ck_assert_int_eq(stream_write(&e.s, iov, 2), 5);
	peer_hears(e.peer, "abcde");
	ck_assert(e.s.can_write);
	do
		n = stream_write(&e.s, &much, 1);
	while (n > 0);
	ck_assert_int_eq(n, -EAGAIN);
	ck_assert(!e.s.can_write);
	ck_assert_int_eq(e.s.output, STREAM_OUT_OPEN);
	end_close(&e);
}
END_TEST

/* The signal's default action would end this process. */
START_TEST(a_write_to_nobody_is_an_error)
{
	struct iovec iov = { (char *)"ab", 2 };
	struct end e;

	end_open(&e, false);
	peer_close(&e.peer);
	ck_assert_int_eq(stream_write(&e.s, &iov, 1), -EPIPE);
	ck_assert_int_eq(stream_read(&e.s, &e.b), 0);
	end_close(&e);
}
END_TEST

START_TEST(a_reset_reaches_the_reader_even_if_a_write_was_told)
{
	struct iovec iov = { (char *)"ab", 2 };
	struct end e;

	end_open(&e, true);
	peer_say(e.peer, "12");
	peer_reset(&e.peer);
	if (_i) {
		ck_assert_int_eq(stream_write(&e.s, &iov, 1), -ECONNRESET);
		ck_assert_int_eq(e.s.output, STREAM_OUT_BROKEN);
		ck_assert_int_eq(stream_write(&e.s, &iov, 1), -EPIPE);
	}
	ck_assert_int_eq(stream_read(&e.s, &e.b), 2);
	ck_assert_int_eq(stream_read(&e.s, &e.b), -ECONNRESET);
	ck_assert(!stream_ended(&e.s));
	end_close(&e);
}
END_TEST

START_TEST(splice_moves_through_a_pipe)
{
	struct end from, to;
	int pair[2];

	end_open(&from, _i);
	end_open(&to, _i);
	ck_assert(stream_is_plain(&from.s));
	ck_assert_int_eq(pipe2(pair, O_CLOEXEC | O_NONBLOCK), 0);
	ck_assert_int_eq(stream_splice_in(&from.s, pair[1], 100), -EAGAIN);
	ck_assert(!from.s.can_read);
	from.s.can_read = true;
	peer_say(from.peer, "12345");
	ck_assert_int_eq(stream_splice_in(&from.s, pair[1], 3), 3);
	ck_assert(from.s.can_read); /* a pipe may have been too small for more */
	ck_assert_int_eq(stream_splice_in(&from.s, pair[1], 100), 2);
	ck_assert(from.s.can_read);
	ck_assert_int_eq(stream_splice_out(&to.s, pair[0], 5), 5);
	peer_hears(to.peer, "12345");
	peer_close(&from.peer);
	ck_assert_int_eq(stream_splice_in(&from.s, pair[1], 100), 0);
	ck_assert_int_eq(from.s.input, STREAM_EOF);
	close(pair[0]);
	close(pair[1]);
	end_close(&from);
	end_close(&to);
	ck_assert(!stream_is_plain(&to.s));
}
END_TEST

START_TEST(quiet_is_neither_bytes_nor_an_end)
{
	struct end e;

	for (int what = 0; what < 4; what++) {
		end_open(&e, true);
		if (what == 1)
			peer_say(e.peer, "1");
		else if (what == 2)
			peer_close(&e.peer);
		else if (what == 3)
			peer_reset(&e.peer);
		ck_assert_int_eq(stream_is_quiet(&e.s), what == 0);
		if (what == 1) /* a look takes nothing */
			ck_assert_int_eq(stream_read(&e.s, &e.b), 1);
		end_close(&e);
	}
}
END_TEST

START_TEST(shut_ends_one_direction)
{
	struct end e;

	end_open(&e, _i);
	stream_shut(&e.s);
	stream_shut(&e.s);
	ck_assert_int_eq(e.s.output, STREAM_OUT_SHUT);
	peer_hears_end(e.peer);
	peer_say(e.peer, "123");
	ck_assert_int_eq(stream_read(&e.s, &e.b), 3);
	end_close(&e);
	stream_shut(&e.s);
}
END_TEST

START_TEST(done_is_an_end_and_reset_is_none)
{
	struct end e;

	end_open(&e, true);
	stream_done(&e.s);
	peer_hears_end(e.peer);
	end_close(&e);
	end_open(&e, true);
	stream_reset(&e.s);
	stream_reset(&e.s);
	peer_hears_reset(e.peer);
	end_close(&e);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("stream");
	TCase *t = case_add(s, "dial");

	(void)signal(SIGPIPE, SIG_IGN); /* as main() does */
	tcase_add_checked_fixture(t, setup, NULL);
	tcase_add_test(t, an_address_is_dialled);
	tcase_add_test(t, a_silent_peer_is_probed_once_asked);
	tcase_add_test(t, a_unix_path_is_dialled);
	tcase_add_test(t, a_refusal_says_who_refused);
	tcase_add_test(t, a_backend_that_accepts_nobody_times_out);
	tcase_add_test(t, each_address_of_a_name_is_tried_in_turn);
	tcase_add_test(t, the_first_address_that_accepts_is_taken);
	tcase_add_test(t,
		       an_address_of_loopback_is_tried_whatever_the_machine_has_beside);
	tcase_add_test(t, the_time_is_shared_among_the_addresses_still_to_try);
	tcase_add_test(t, where_all_addresses_refuse_the_name_is_blamed);
	tcase_add_loop_test(t, of_several_addresses_the_error_that_says_most_is_told, 0,
			    (int)LENGTH(failing));
	tcase_add_test(t, a_name_that_does_not_resolve_says_why);
	tcase_add_test(t, sigterm_ends_the_process_while_it_resolves);
	tcase_add_test(t, sigterm_is_blocked_again_after_it_has_resolved);
	tcase_add_loop_test(t, a_dial_ends_with_sigterm_or_with_the_client, 0, 3);
	tcase_add_test(t, without_a_descriptor_no_address_is_tried_further);
	t = case_add(s, "stream");
	tcase_add_checked_fixture(t, setup, NULL);
	tcase_add_test(t, what_is_no_descriptor_is_not_adopted);
	tcase_add_loop_test(t, a_read_tells_what_it_found, 0, 2);
	tcase_add_loop_test(t, a_write_takes_what_there_is_room_for, 0, 2);
	tcase_add_test(t, a_write_to_nobody_is_an_error);
	tcase_add_loop_test(t, a_reset_reaches_the_reader_even_if_a_write_was_told, 0, 2);
	tcase_add_loop_test(t, splice_moves_through_a_pipe, 0, 2);
	tcase_add_test(t, quiet_is_neither_bytes_nor_an_end);
	tcase_add_loop_test(t, shut_ends_one_direction, 0, 2);
	tcase_add_test(t, done_is_an_end_and_reset_is_none);
	return suite_run(s);
}
