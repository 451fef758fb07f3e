/* SPDX-License-Identifier: MIT */
/* tls*.c and what stream.c makes of it: both ends of TLS in one process. */
#include "process/loader.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>

#include "net/stream.h"
#include "testing.h"

#define EC "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"

static char dir[sizeof("/tmp/novnc-gate-test-tls.XXXXXX")];
static char authority[128], certificate[128], key[128], ticket[128];
static const struct tls_module *module;

/*
 * Files for that name in dir: NAME is a certificate of the authority, or its own where issuer
 * is "", and key.NAME its key.
 */
static void make_certificate(const char *name, const char *subject, const char *alt,
			     const char *issuer, int days)
{
	char command[1024];

	(void)snprintf(
		command, sizeof(command),
		"cd %s && { openssl req " EC " -keyout key.%s -subj '%s' -out csr &&"
		" printf 'basicConstraints=%s\n%s\n' >ext &&"
		" openssl x509 -req -in csr -extfile ext -days %d -out %s %s%s; } 2>log",
		dir, name, subject, issuer[0] ? "CA:FALSE" : "CA:TRUE", alt, days, name,
		issuer[0] ? issuer : "-signkey key.", issuer[0] ? "" : name);
	ck_assert_int_eq(system(command), 0);
}

#define BY_AUTHORITY "-CA authority -CAkey key.authority -CAcreateserial"

static void make_files(void)
{
	(void)snprintf(dir, sizeof(dir), "/tmp/novnc-gate-test-tls.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	(void)snprintf(authority, sizeof(authority), "%s/authority", dir);
	(void)snprintf(certificate, sizeof(certificate), "%s/crt", dir);
	(void)snprintf(key, sizeof(key), "%s/key.crt", dir);
	(void)snprintf(ticket, sizeof(ticket), "%s/ticket", dir);
	make_certificate("authority", "/CN=authority", "", "", 2);
	make_certificate("crt", "/CN=test", "subjectAltName=DNS:test.example",
			 BY_AUTHORITY, 2);
}

static void remove_files(void)
{
	char command[256];

	(void)snprintf(command, sizeof(command), "rm -rf %s", dir);
	ck_assert_int_eq(system(command), 0);
}

/* ---- two ends of a connection */

static int fd[2]; /* the client's, the server's */
static struct tls *client, *server;

static struct config_tls server_config(void)
{
	return (struct config_tls){ certificate, key, ticket, NULL };
}

static struct backend client_config(void)
{
	return (struct backend){ .section = "MasterController",
				 .host = "test.example",
				 .trust = { .verify = true, .ca_file = authority } };
}

/* Whatever waits for the other has its turn. */
static void shake(int *ret_client, int *ret_server)
{
	int c = -EAGAIN, s = -EAGAIN;
	short wants;

	for (int i = 0; i < 20; i++) {
		if (c == -EAGAIN)
			c = module->handshake(client, &wants);
		if (s == -EAGAIN)
			s = module->handshake(server, &wants);
	}
	*ret_client = c;
	*ret_server = s;
}

static void begin(const struct backend *be, const struct config_tls *cfg)
{
	struct tls_why why;

	ck_assert_int_eq(loader_tls(&module, &why), 0);
	ck_assert_int_eq(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd),
		0);
	ck_assert_int_eq(module->connect(fd[0], be, NULL, &client, &why), TLS_READY);
	ck_assert_int_eq(module->accept(fd[1], cfg, &server, &why), TLS_READY);
}

static void connected(void)
{
	struct backend be = client_config();
	struct config_tls cfg = server_config();
	int c, s;

	(void)signal(SIGPIPE, SIG_IGN);
	begin(&be, &cfg);
	shake(&c, &s);
	ck_assert_int_eq(c, 0);
	ck_assert_int_eq(s, 0);
}

static void disconnected(void)
{
	if (client)
		module->free(client, true);
	if (server)
		module->free(server, true);
	client = server = NULL;
	fd_close_auto(&fd[0]);
	fd_close_auto(&fd[1]);
}

static ssize_t put(struct tls *t, const char *text, short *wants)
{
	struct iovec iov = { (char *)text, strlen(text) };

	return module->write(t, &iov, 1, wants);
}

/* One read into a block of exactly that size. */
static ssize_t get(struct tls *t, size_t room, char *ret, short *wants)
{
	struct buf b = { .data = exact(ret, room), .cap = room };
	ssize_t n = module->read(t, &b, wants);

	ck_assert_int_eq((ssize_t)b.end, n > 0 ? n : 0);
	memcpy(ret, b.data, b.end);
	free(b.data);
	return n;
}

#define ck_assert_comes(t, text)                                        \
	do {                                                            \
		char room_[64] = "";                                    \
		short wants_ = 0;                                       \
		ck_assert_int_eq(get(t, sizeof(room_), room_, &wants_), \
				 (ssize_t)strlen(text));                \
		ck_assert_mem_eq(room_, text, strlen(text));            \
	} while (0)

START_TEST(what_one_writes_the_other_reads)
{
	short wants = 0;
	char byte;

	ck_assert_ptr_null(module->subject(server));
	ck_assert_int_eq(put(client, "hello", &wants), 5);
	ck_assert_int_eq(wants, 0);
	ck_assert_comes(server, "hello");
	ck_assert_int_eq(get(server, 1, &byte, &wants), -EAGAIN);
	ck_assert_int_eq(wants, POLLIN);
	ck_assert_int_eq(put(server, "you", &wants), 3);
	ck_assert_comes(client, "you");
}
END_TEST

/* poll knows nothing of what is left in a record. */
START_TEST(wants_says_when_there_is_no_more)
{
	char room[16];
	short wants = 0;

	ck_assert_int_eq(put(client, "hello", &wants), 5);
	ck_assert_int_eq(get(server, 2, room, &wants), 2);
	ck_assert_int_eq(wants, 0);
	ck_assert_int_eq(get(server, 16, room, &wants), 3);
	ck_assert_int_eq(wants, POLLIN);
}
END_TEST

START_TEST(several_records_come_with_one_read)
{
	char room[64];
	short wants = 0;

	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(put(client, "abc", &wants), 3);
	ck_assert_int_eq(get(server, sizeof(room), room, &wants), 9);
	ck_assert_mem_eq(room, "abcabcabc", 9);
}
END_TEST

/* ---- much, through a socket that takes little */

static char pattern(size_t at)
{
	return (char)(at * 7 + at / 251);
}

START_TEST(pieces_of_any_size_arrive_in_order)
{
	static char data[300000];
	unsigned seed = (unsigned)_i;
	size_t sent = 0, seen = 0, first, second;
	int small = 4096;

	(void)setsockopt(fd[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = pattern(i);
	first = (size_t)rand_r(&seed) % 20000;
	second = (size_t)rand_r(&seed) % 70000;
	while (seen < sizeof(data)) {
		size_t left = sizeof(data) - sent;
		size_t a = first < left ? first : left;
		size_t b = second < left - a ? second : left - a;
		/* blocks of exact size, and other addresses at each try */
		struct iovec iov[] = { { exact(data + sent, a), a },
				       { exact(data + sent + a, b), b } };
		char room[5000];
		short wants = 0;
		ssize_t n = a + b > 0 ? module->write(client, iov, 2, &wants) : 0;

		free(iov[0].iov_base);
		free(iov[1].iov_base);
		ck_assert_msg(n >= 0 || n == -EAGAIN, "%s", module->why(client));
		ck_assert(wants == 0 || wants == POLLOUT);
		sent += n > 0 ? (size_t)n : 0;
		if (wants == POLLOUT) { /* the rest once more, and in other pieces */
			size_t rest = a + b - (n > 0 ? (size_t)n : 0);

			first = (size_t)rand_r(&seed) % (rest + 1);
			second = rest - first + (size_t)rand_r(&seed) % 100;
		} else {
			first = (size_t)rand_r(&seed) % 20000;
			second = (size_t)rand_r(&seed) % 70000;
		}
		n = get(server, 1 + (size_t)rand_r(&seed) % sizeof(room), room, &wants);
		ck_assert(n > 0 || n == -EAGAIN);
		if (n > 0)
			ck_assert_mem_eq(room, data + seen, (size_t)n);
		seen += n > 0 ? (size_t)n : 0;
	}
	ck_assert_uint_eq(sent, sizeof(data));
}
END_TEST

#define BLOCK 10000

static ssize_t try_block(struct tls *t, short *wants)
{
	static const char block[BLOCK];
	struct iovec iov = { (char *)block, sizeof(block) };

	return module->write(t, &iov, 1, wants);
}

static void write_block(struct tls *t)
{
	short wants;

	ck_assert_int_eq(try_block(t, &wants), BLOCK);
}

/* Until nothing more is taken; how many blocks that were. */
static size_t fill(struct tls *t)
{
	size_t blocks = 0;
	short wants;
	ssize_t n;

	while ((n = try_block(t, &wants)) == BLOCK)
		blocks++;
	ck_assert_int_eq(n, -EAGAIN);
	ck_assert_int_eq(wants, POLLOUT);
	return blocks;
}

/* ---- ends */

START_TEST(an_end_comes_behind_the_bytes)
{
	char room[64];
	short wants = 0;

	ck_assert_int_eq(put(client, "bye", &wants), 3);
	ck_assert_int_eq(module->shut(client, &wants), 0);
	ck_assert_int_eq(module->shut(client, &wants), 0);
	ck_assert_int_eq(get(server, sizeof(room), room, &wants), 3);
	ck_assert_int_eq(wants, 0); /* there is more to know */
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(get(server, sizeof(room), room, &wants), 0);
	/* the other direction lives on */
	ck_assert_int_eq(put(server, "still", &wants), 5);
	ck_assert_comes(client, "still");
	ck_assert_int_eq(module->shut(server, &wants), 0);
	ck_assert_int_eq(get(client, sizeof(room), room, &wants), 0);
}
END_TEST

START_TEST(an_end_without_words_is_an_error)
{
	char room[64];
	short wants = 0;

	ck_assert_int_eq(put(client, "bye", &wants), 3);
	fd_close_auto(&fd[0]);
	ck_assert_comes(server, "bye");
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(get(server, sizeof(room), room, &wants), -ECONNABORTED);
	ck_assert_ptr_nonnull(strstr(module->why(server), "unexpected eof"));
	ck_assert_int_lt(module->shut(server, &wants), 0);
}
END_TEST

/* Reads until nothing is left. */
static void drain(struct tls *t)
{
	char room[1000];
	short wants;
	ssize_t n;

	while ((n = get(t, sizeof(room), room, &wants)) > 0)
		;
	ck_assert_int_eq(n, -EAGAIN);
}

START_TEST(an_end_waits_for_room)
{
	size_t blocks;
	char byte;
	short wants = 0;

	blocks = fill(client);
	drain(server);
	write_block(client); /* the one that OpenSSL has begun */
	drain(server);
	for (size_t i = 0; i < blocks; i++)
		write_block(client);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(module->shut(client, &wants), -EAGAIN);
		ck_assert_int_eq(wants, POLLOUT);
	}
	drain(server);
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(module->shut(client, &wants), 0);
	ck_assert_int_eq(get(server, 1, &byte, &wants), 0);
}
END_TEST

START_TEST(freeing_says_so_or_does_not)
{
	char byte;
	short wants;

	module->free(client, _i == 1);
	client = NULL;
	fd_close_auto(&fd[0]);
	ck_assert_int_eq(get(server, 1, &byte, &wants), _i == 1 ? 0 : -ECONNABORTED);
}
END_TEST

START_TEST(what_is_no_tls_is_an_error)
{
	char byte;
	short wants;

	ck_assert_int_eq(write(fd[0], "GET / HTTP/1.1\r\n", 16), 16);
	ck_assert_int_eq(get(server, 1, &byte, &wants), -EPROTO);
	ck_assert_str_ne(module->why(server), "");
}
END_TEST

START_TEST(an_end_within_the_handshake_is_an_error)
{
	static const char close_notify[] = "\x15\x03\x03\x00\x02\x01\x00";
	struct backend be = client_config();
	struct config_tls cfg = server_config();
	struct tls *other;
	short wants;

	disconnected();
	begin(&be, &cfg);
	other = _i == 0 ? server : client;
	ck_assert_int_eq(module->handshake(client, &wants), -EAGAIN);
	if (other == server)
		ck_assert_int_eq(module->handshake(server, &wants), -EAGAIN);
	ck_assert_int_eq(write(fd[_i], close_notify, 7), 7);
	ck_assert_int_eq(module->handshake(other, &wants), -EPROTO);
	ck_assert_str_eq(module->why(other), "the peer closed TLS");
}
END_TEST

START_TEST(a_record_that_was_changed_is_an_error)
{
	static char record[] = "\x17\x03\x03\x00\x20"
			       "0123456789abcdef0123456789abcdef";
	char byte;
	short wants;

	ck_assert_int_eq(write(fd[0], record, sizeof(record) - 1), sizeof(record) - 1);
	ck_assert_int_eq(get(server, 1, &byte, &wants), -EPROTO);
}
END_TEST

START_TEST(only_bytes_and_ends_are_no_quiet)
{
	char byte;
	short wants;

	ck_assert(module->is_quiet(server));
	ck_assert(module->is_quiet(client));
	ck_assert_int_eq(put(client, "x", &wants), 1);
	ck_assert(!module->is_quiet(server));
	ck_assert(!module->is_quiet(server));
	ck_assert_int_eq(get(server, 1, &byte, &wants), 1);
	ck_assert(module->is_quiet(server));
	ck_assert_int_eq(module->shut(client, &wants), 0);
	ck_assert(!module->is_quiet(server));
	fd_close_auto(&fd[1]);
	ck_assert(!module->is_quiet(client));
}
END_TEST

/* ---- the stream on top */

/* The server as the gate has it: a stream before its handshake, and a client that begins anew. */
static struct stream stream_begin(void)
{
	struct config_tls cfg = server_config();
	struct stream_tls ready;
	struct stream s;
	struct tls_why why;

	module->free(server, false);
	server = NULL;
	module->free(client, false);
	ck_assert_int_eq(module->connect(fd[0], &(struct backend){ .host = "x" }, NULL,
					 &client, &why),
			 TLS_READY);
	ck_assert_int_eq(stream_adopt(fd_take(&fd[1]), &s), 0);
	ck_assert(stream_is_plain(&s));
	stream_tls_prepare(s.fd, &cfg, &ready);
	ck_assert_int_eq(ready.result, TLS_READY);
	stream_secure(&s, &ready);
	stream_tls_done(&ready);
	ck_assert(!stream_is_plain(&s));
	return s;
}

/* The result of the stream's handshake. */
static int stream_shake(struct stream *s)
{
	short wants;
	int r = -EAGAIN;

	for (int i = 0; i < 5 && r == -EAGAIN; i++) {
		(void)module->handshake(client, &wants);
		r = stream_handshake(s);
	}
	(void)module->handshake(client, &wants);
	return r;
}

START_TEST(a_stream_polls_for_what_tls_wants)
{
	struct stream s = stream_begin();
	char room[64] = "";
	struct buf b = { .data = room, .cap = sizeof(room) };
	struct iovec iov = { room, sizeof(room) };
	ssize_t n;

	ck_assert_int_eq(stream_handshake(&s), -EAGAIN);
	ck_assert_int_eq(s.read_wants, POLLIN);
	ck_assert_int_eq(stream_shake(&s), 0);
	ck_assert_ptr_null(stream_subject(&s));

	ck_assert_int_eq(stream_read(&s, &b), -EAGAIN);
	ck_assert(!s.can_read);
	ck_assert_int_eq(stream_events(&s, true, true), POLLIN);
	ck_assert_int_eq(stream_events(&s, false, true), 0); /* it can be written to */
	while ((n = stream_write(&s, &iov, 1)) > 0)
		continue;
	ck_assert_int_eq(n, -EAGAIN);
	ck_assert_int_eq(stream_events(&s, false, true), POLLOUT);
	ck_assert_int_eq(stream_events(&s, false, false), 0);
	stream_shut(&s);
	ck_assert(s.output == STREAM_OUT_SHUTTING);
	ck_assert_int_eq(stream_events(&s, false, false), POLLOUT);
	/* the reading side may want to write, and the other way round */
	s.read_wants = POLLOUT;
	ck_assert_int_eq(stream_events(&s, true, false), POLLOUT);
	stream_note_events(&s, POLLOUT);
	ck_assert(s.can_read && s.can_write);
	stream_reset(&s);
}
END_TEST

START_TEST(a_stream_reads_bytes_and_then_the_end)
{
	struct stream s = stream_begin();
	char room[8];
	struct buf b = { .data = room, .cap = sizeof(room) };
	short wants;

	ck_assert_int_eq(stream_shake(&s), 0);
	ck_assert_int_eq(stream_read(&s, &b), -EAGAIN);
	ck_assert_int_eq(put(client, "bye", &wants), 3);
	ck_assert_int_eq(module->shut(client, &wants), 0);
	ck_assert_int_eq(stream_read(&s, &b), 3);
	ck_assert(s.can_read && !stream_ended(&s)); /* poll will not tell of the end */
	ck_assert_int_eq(stream_read(&s, &b), 0);
	ck_assert(s.input == STREAM_EOF);
	stream_done(&s);
	stream_done(&s);
	ck_assert_int_eq(get(client, 1, room, &wants), 0);
}
END_TEST

START_TEST(a_stream_that_ends_without_close_notify_is_cut)
{
	struct stream s = stream_begin();
	char room[8];
	struct buf b = { .data = room, .cap = sizeof(room) };
	short wants;

	ck_assert_int_eq(stream_shake(&s), 0);
	ck_assert_int_eq(put(client, "bye", &wants), 3);
	fd_close_auto(&fd[0]);
	ck_assert_int_eq(stream_read(&s, &b), 3);
	ck_assert(s.can_read && !stream_ended(&s));
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(stream_read(&s, &b), 0);
		ck_assert_int_eq(s.input, STREAM_CUT);
		ck_assert(stream_ended(&s));
	}
	stream_done(&s);
}
END_TEST

/* Takes one byte and then fails, as where the peer closes between two records. */
static ssize_t write_one(struct tls *t, const struct iovec *iov, size_t n, short *wants)
{
	(void)t;
	(void)iov;
	(void)n;
	*wants = 0;
	return 1;
}

/* The peer's last bytes are read before the error of the next write ends the connection. */
START_TEST(a_stream_that_wrote_less_waits_for_poll)
{
	const struct tls_module one = { .write = write_one };
	struct stream s = { .module = &one, .tls = server, .can_write = true };
	struct iovec iov[] = { { (char *)"a", 1 }, { (char *)"b", 1 } };

	ck_assert_int_eq(stream_write(&s, iov, 1), 1);
	ck_assert(s.can_write);
	ck_assert_int_eq(stream_write(&s, iov, 2), 1);
	ck_assert(!s.can_write);
}
END_TEST

/* ---- beginning */

START_TEST(a_name_that_is_not_there_is_refused)
{
	static const struct {
		const char *host, *why;
	} table[] = {
		{ "test.example", NULL },
		{ "TEST.example.", NULL },
		{ "other.example", "certificate verify failed: Hostname mismatch" },
		{ "x.test.example", "certificate verify failed: Hostname mismatch" },
		{ "127.0.0.1", "certificate verify failed: IP address mismatch" },
		{ "::1", "certificate verify failed: IP address mismatch" },
	};
	struct backend be = client_config();
	struct config_tls cfg = server_config();
	int c, s;

	for (size_t i = 0; i < LENGTH(table); i++) {
		(void)snprintf(be.host, sizeof(be.host), "%s", table[i].host);
		begin(&be, &cfg);
		shake(&c, &s);
		ck_assert_int_eq(c, table[i].why ? -EKEYREJECTED : 0);
		if (table[i].why) {
			ck_assert_int_eq(strncasecmp(module->why(client), table[i].why,
						     strlen(table[i].why)),
					 0);
		}
		disconnected();
	}
}
END_TEST

/* Made anew by each test, since their names are of tests only. */
static void make_more_files(void)
{
	char command[256];

	make_certificate("nameless", "/CN=test.example", "", BY_AUTHORITY, 2);
	make_certificate("mail", "/CN=test.example",
			 "subjectAltName=email:a@test.example", BY_AUTHORITY, 2);
	make_certificate("address", "/CN=test.example", "subjectAltName=IP:127.0.0.1",
			 BY_AUTHORITY, 2);
	make_certificate("expired", "/CN=test.example", "", BY_AUTHORITY, 0);
	make_certificate("alone", "/CN=somebody", "", "", 2);
	make_certificate("client", "/CN=test.example", "extendedKeyUsage=clientAuth",
			 BY_AUTHORITY, 2);
	(void)snprintf(command, sizeof(command), "cd %s && cat authority nameless >both",
		       dir);
	ck_assert_int_eq(system(command), 0);
}

#define NAMELESS                                                                          \
	"certificate verify failed: the certificate names no host in its subjectAltName " \
	"(the Common Name does not count): issue one that names the host there, "         \
	"or put a copy of this one into CaFile="

/* RFC 9110 4.3.4 */
START_TEST(only_a_certificate_that_is_in_ca_file_may_name_nobody)
{
	static const struct {
		const char *shown, *ca_file, *host, *why;
	} table[] = {
		{ "nameless", "authority", "test.example", NAMELESS },
		{ "nameless", "authority", "127.0.0.1", NAMELESS },
		{ "mail", "authority", "test.example", NAMELESS },
		{ "address", "authority", "test.example",
		  "certificate verify failed: hostname mismatch" },
		{ "address", "authority", "127.0.0.1", NULL },
		{ "nameless", "nameless", "test.example", NULL },
		{ "nameless", "nameless", "127.0.0.1", NULL },
		{ "nameless", "both", "other.example", NULL },
		{ "crt", "crt", "other.example", NULL },
		{ "client", "client", "other.example", NULL },
		{ "client", "authority", "test.example", "certificate verify failed: " },
		{ "alone", "alone", "other.example", NULL },
		{ "alone", "both", "other.example",
		  "certificate verify failed: self-signed certificate" },
		{ "mail", "nameless", "test.example",
		  "certificate verify failed: unable to get local issuer" },
		{ "expired", "expired", "test.example",
		  "certificate verify failed: certificate has expired" },
	};
	struct backend be = client_config();
	struct config_tls cfg = server_config();
	char ca_file[128];
	int c, s;

	make_more_files();
	cfg.certificate = certificate;
	cfg.key = key;
	be.trust.ca_file = ca_file;
	for (size_t i = 0; i < LENGTH(table); i++) {
		(void)snprintf(be.host, sizeof(be.host), "%s", table[i].host);
		(void)snprintf(ca_file, sizeof(ca_file), "%s/%s", dir, table[i].ca_file);
		(void)snprintf(certificate, sizeof(certificate), "%s/%s", dir,
			       table[i].shown);
		(void)snprintf(key, sizeof(key), "%s/key.%s", dir, table[i].shown);
		begin(&be, &cfg);
		shake(&c, &s);
		ck_assert_msg(c == (table[i].why ? -EKEYREJECTED : 0), "%zu: %s", i,
			      module->why(client));
		if (table[i].why)
			ck_assert_msg(strncasecmp(module->why(client), table[i].why,
						  strlen(table[i].why)) == 0,
				      "%zu: %s", i, module->why(client));
		disconnected();
	}
}
END_TEST

static void write_ticket(const char *bytes, size_t len)
{
	AUTO_FD int out = open(ticket, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	ck_assert_int_eq(write(out, bytes, len), (ssize_t)len);
}

START_TEST(ticket_keys_are_one_or_two)
{
	static const char keys[256] = "some";
	static const size_t good[] = { 80, 160 };
	static const size_t bad[] = { 0, 1, 79, 81, 159, 161, 240 };
	struct config_tls cfg = server_config();
	struct tls_why why;
	struct tls *t;

	ck_assert_int_eq(loader_tls(&module, &why), 0);
	for (size_t i = 0; i < LENGTH(good); i++) {
		write_ticket(keys, good[i]);
		ck_assert_int_eq(module->accept(-1, &cfg, &t, &why), TLS_READY);
		module->free(t, true);
	}
	for (size_t i = 0; i < LENGTH(bad); i++) {
		write_ticket(keys, bad[i]);
		ck_assert_int_eq(module->accept(-1, &cfg, &t, &why), TLS_MISCONFIGURED);
		ck_assert_ptr_nonnull(strstr(why.text, "80 nor 160 bytes"));
	}
	ck_assert_int_eq(unlink(ticket), 0);
	ck_assert_int_eq(module->accept(-1, &cfg, &t, &why), TLS_READY);
	module->free(t, true);
	for (size_t len = 4; len <= 5;
	     len++) { /* as from the unit's SetCredential=, or echo */
		write_ticket("none\n", len);
		ck_assert_int_eq(module->accept(-1, &cfg, &t, &why), TLS_READY);
		module->free(t, true);
	}
}
END_TEST

START_TEST(files_that_cannot_be_used_are_named)
{
	char expected[256];
	struct config_tls cfg = server_config();
	struct backend be = client_config();
	struct tls_why why;
	struct tls *t;

	ck_assert_int_eq(loader_tls(&module, &why), 0);
	cfg.certificate = "/nowhere/crt";
	ck_assert_int_eq(module->accept(-1, &cfg, &t, &why), TLS_MISCONFIGURED);
	ck_assert_str_eq(why.text,
			 "[Tls] Certificate=/nowhere/crt: No such file or directory");
	cfg = server_config();
	cfg.key = "missing";
	setenv("CREDENTIALS_DIRECTORY", "/nowhere", 1);
	ck_assert_int_eq(module->accept(-1, &cfg, &t, &why), TLS_MISCONFIGURED);
	ck_assert_str_eq(why.text,
			 "[Tls] Key=/nowhere/missing: No such file or directory");
	be.trust.ca_file = key; /* a PEM file, but not of certificates */
	ck_assert_int_eq(module->connect(-1, &be, NULL, &t, &why), TLS_MISCONFIGURED);
	(void)snprintf(expected, sizeof(expected),
		       "[MasterController] CaFile=%s: contains no certificate", key);
	ck_assert_str_eq(why.text, expected);
}
END_TEST

/* No file is opened for it: there is none any more. */
START_TEST(a_retired_connection_lends_its_context)
{
	struct backend be = client_config();
	struct config_tls cfg = server_config();
	struct tls_why why;
	short wants;
	char byte;
	struct buf b = { &byte, 1, 0, 0 };
	struct tls *earlier = client;
	int c, s;

	module->retire(earlier);
	ck_assert_int_eq(module->read(server, &b, &wants), 0); /* close_notify */
	client = NULL;
	disconnected();
	be.trust.ca_file = "/nowhere/ca";
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(socketpair(AF_UNIX,
					    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
					    fd),
				 0);
		ck_assert_int_eq(module->connect(fd[0], &be, earlier, &client, &why),
				 TLS_READY);
		ck_assert_int_eq(module->accept(fd[1], &cfg, &server, &why), TLS_READY);
		shake(&c, &s);
		ck_assert_int_eq(c, i == 0 ? 0 : -EKEYREJECTED);
		disconnected();
		/* the name is checked each time */
		(void)snprintf(be.host, sizeof(be.host), "other.example");
	}
	module->free(earlier, false);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("tls");
	TCase *ends = tcase_create("ends"), *files = tcase_create("files");

	suite_add_tcase(suite, ends);
	tcase_set_timeout(ends, 60); /* under valgrind */
	tcase_add_unchecked_fixture(ends, make_files, remove_files);
	tcase_add_checked_fixture(ends, connected, disconnected);
	tcase_add_test(ends, what_one_writes_the_other_reads);
	tcase_add_test(ends, wants_says_when_there_is_no_more);
	tcase_add_test(ends, several_records_come_with_one_read);
	tcase_add_loop_test(ends, pieces_of_any_size_arrive_in_order, 0, 5);
	tcase_add_test(ends, an_end_comes_behind_the_bytes);
	tcase_add_test(ends, an_end_without_words_is_an_error);
	tcase_add_test(ends, an_end_waits_for_room);
	tcase_add_loop_test(ends, freeing_says_so_or_does_not, 0, 2);
	tcase_add_test(ends, a_retired_connection_lends_its_context);
	tcase_add_test(ends, what_is_no_tls_is_an_error);
	tcase_add_loop_test(ends, an_end_within_the_handshake_is_an_error, 0, 2);
	tcase_add_test(ends, a_record_that_was_changed_is_an_error);
	tcase_add_test(ends, only_bytes_and_ends_are_no_quiet);
	tcase_add_test(ends, a_stream_polls_for_what_tls_wants);
	tcase_add_test(ends, a_stream_reads_bytes_and_then_the_end);
	tcase_add_test(ends, a_stream_that_ends_without_close_notify_is_cut);
	tcase_add_test(ends, a_stream_that_wrote_less_waits_for_poll);

	suite_add_tcase(suite, files);
	tcase_set_timeout(files, 60);
	tcase_add_unchecked_fixture(files, make_files, remove_files);
	tcase_add_test(files, a_name_that_is_not_there_is_refused);
	tcase_add_test(files, only_a_certificate_that_is_in_ca_file_may_name_nobody);
	tcase_add_test(files, ticket_keys_are_one_or_two);
	tcase_add_test(files, files_that_cannot_be_used_are_named);
	return suite_run(suite);
}
