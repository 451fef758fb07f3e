/* SPDX-License-Identifier: MIT */
/* journal.c: to which place an entry goes, in what form, and what is left behind. */
#include "log/journal.h"

#include <poll.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <syslog.h>
#include <systemd/sd-daemon.h>
#define SD_JOURNAL_SUPPRESS_LOCATION /* sd_journal_sendv() as a function, not a macro */
#include <systemd/sd-journal.h>
#include <time.h>

#include "captured.h"
#include "testing.h"

#define DATAGRAM "MESSAGE=Proxying: /x\nPRIORITY=5\nSYSLOG_IDENTIFIER=novnc-gate\n"

static const char datagram[] = DATAGRAM;

static const struct journal_entry entry = {
	.level = LOG_NOTICE,
	.message = { datagram + strlen("MESSAGE="), strlen("Proxying: /x") },
	.datagram = { datagram, sizeof(datagram) - 1 },
};

#define OTHER "MESSAGE=Proxy error\nPRIORITY=4\n"

static const char other_datagram[] = OTHER;

static const struct journal_entry other = {
	.level = LOG_WARNING,
	.message = { other_datagram + strlen("MESSAGE="), strlen("Proxy error") },
	.datagram = { other_datagram, sizeof(other_datagram) - 1 },
};

/* ---- time, which passes only while poll(2) waits */

static int now_ms, longest_ms = 17000;
static unsigned int polls;
static unsigned int late_polls; /* those in the last two seconds of 135 */

/* A journal that takes its time with an entry, as the real one does when it looks into /proc. */
static struct {
	int fd;        /* its socket, or -1 */
	int one_at_ms; /* when it reads one datagram */
	int all_at_ms; /* when it reads all */
} slow_journal = { -1, 50, 100 };

static void slow_journal_read(void)
{
	char text[4096];

	if (slow_journal.fd < 0)
		return;
	if (now_ms == slow_journal.one_at_ms)
		ck_assert_int_ge(recv(slow_journal.fd, text, sizeof(text), 0), 0);
	if (now_ms == slow_journal.all_at_ms)
		while (recv(slow_journal.fd, text, sizeof(text), MSG_DONTWAIT) >= 0)
			;
}

int poll(struct pollfd *fds, nfds_t n, int timeout_ms)
{
	int r;

	ck_assert_int_ge(timeout_ms, 0);
	ck_assert_int_lt(now_ms, longest_ms); /* nobody waits for ever */
	polls++;
	late_polls += now_ms > 133000;
	while ((r = (int)syscall(SYS_poll, fds, n, 0)) == 0 && timeout_ms-- > 0) {
		now_ms++;
		slow_journal_read();
	}
	return r;
}

int clock_gettime(clockid_t clock, struct timespec *ret)
{
	(void)clock;
	*ret = (struct timespec){ now_ms / 1000, now_ms % 1000 * 1000000L };
	return 0;
}

/* Standard error is connected to this journal, or this test cannot be. */
static int open_to_journal(void)
{
	int journal = journal_socket();

	if (journal < 0)
		return -1;
	capture();
	pretend_journal();
	journal_open();
	return journal;
}

/* ---- where to */

START_TEST(the_threshold_is_notice_at_first)
{
	ck_assert(journal_enabled(LOG_NOTICE));
	ck_assert(!journal_enabled(LOG_INFO));
	for (int level = LOG_ERR; level <= LOG_DEBUG; level++) {
		journal_set_level(level);
		ck_assert(journal_enabled(level) && !journal_enabled(level + 1));
	}
}
END_TEST

START_TEST(before_it_is_opened_there_are_no_entries)
{
	capture();
	journal_write(&entry);
	ck_assert_ptr_null(packet(reader));
}
END_TEST

START_TEST(an_entry_is_one_line_on_standard_error)
{
	int before;

	capture();
	before = fds_open();
	journal_open();
	journal_write(&entry);
	ck_assert_str_eq(message(), "Proxying: /x");
	ck_assert_int_eq(fds_open(), before);
}
END_TEST

/* libsystemd is what the journal was made for. */
START_TEST(an_entry_is_what_libsystemd_would_send)
{
	static const struct iovec fields[] = {
		{ "MESSAGE=Proxying: /x", strlen("MESSAGE=Proxying: /x") },
		{ "PRIORITY=5", strlen("PRIORITY=5") },
		{ "SYSLOG_IDENTIFIER=novnc-gate",
		  strlen("SYSLOG_IDENTIFIER=novnc-gate") },
	};
	AUTO_FD int journal = open_to_journal();

	if (journal < 0)
		return;
	ck_assert_int_eq(sd_journal_sendv(fields, 3), 0);
	ck_assert_str_eq(packet(journal), DATAGRAM);
	journal_write(&entry);
	ck_assert_str_eq(packet(journal), DATAGRAM);
	ck_assert_ptr_null(packet(journal));
	ck_assert_ptr_null(packet(reader));
	journal_close();
}
END_TEST

START_TEST(another_journal_stream_means_standard_error)
{
	static const char *const streams[] = { "",     "1:1",          "x", ":", "-1:-1",
					       "0:0 ", "99999999999:1" };
	struct stat st;
	char shifted[64];

	capture();
	ck_assert_int_eq(fstat(STDERR_FILENO, &st), 0);
	snprintf(shifted, sizeof(shifted), "%ju:%ju0", (uintmax_t)st.st_dev,
		 (uintmax_t)st.st_ino);
	for (size_t i = 0; i <= sizeof(streams) / sizeof(streams[0]); i++) {
		setenv("JOURNAL_STREAM", i == 0 ? shifted : streams[i - 1], 1);
		journal_open();
		journal_write(&entry);
		ck_assert_str_eq(message(), "Proxying: /x");
	}
}
END_TEST

/* systemd connects standard error to /dev/null if the journal serves no more files. */
START_TEST(null_from_systemd_means_the_journal)
{
	AUTO_FD int journal = journal_socket();
	AUTO_FD int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

	if (journal < 0)
		return;
	ck_assert_int_ge(null, 0);
	for (int by_systemd = 0; by_systemd <= 1; by_systemd++) {
		capture();
		ck_assert_int_eq(dup2(null, STDERR_FILENO), STDERR_FILENO);
		if (by_systemd)
			setenv("INVOCATION_ID", "0123456789abcdef0123456789abcdef", 1);
		journal_open();
		journal_write(&entry);
		if (by_systemd)
			ck_assert_str_eq(packet(journal), DATAGRAM);
		else
			ck_assert_ptr_null(packet(journal));
		journal_close();
		capture_end();
	}
}
END_TEST

START_TEST(a_client_on_standard_error_reads_nothing)
{
	capture();
	ck_assert_int_eq(dup2(STDERR_FILENO, STDIN_FILENO), STDIN_FILENO);
	journal_open();
	journal_write(&entry);
	ck_assert_ptr_null(packet(reader));
}
END_TEST

START_TEST(a_closed_standard_error_does_no_harm)
{
	capture();
	close(STDERR_FILENO);
	journal_open();
	journal_write(&entry);
}
END_TEST

START_TEST(without_a_descriptor_to_spare_the_journal_gets_the_sentence)
{
	struct rlimit own, none;

	capture();
	pretend_journal();
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &own), 0);
	none = (struct rlimit){ 0, own.rlim_max };
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	journal_open();
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &own), 0);
	journal_write(&entry);
	ck_assert_str_eq(packet(reader), "<5>Proxying: /x\n");
	ck_assert_ptr_null(packet(reader));
}
END_TEST

START_TEST(a_journal_that_does_not_listen_gets_the_sentence)
{
	AUTO_FD int journal = open_to_journal();

	if (journal < 0)
		return;
	close(fd_take(&journal)); /* the name stays: connection refused */
	journal_write(&entry);
	ck_assert_str_eq(packet(reader), "<5>Proxying: /x\n");
	ck_assert_ptr_null(packet(reader));
	journal_close();
}
END_TEST

START_TEST(a_journal_started_anew_is_found)
{
	struct sockaddr_un sa = { AF_UNIX, "/run/systemd/journal/socket" };
	AUTO_FD int journal = open_to_journal();

	if (journal < 0)
		return;
	close(fd_take(&journal));
	ck_assert_int_eq(unlink(sa.sun_path), 0);
	journal_write(&entry);
	ck_assert_str_eq(packet(reader), "<5>Proxying: /x\n");
	journal = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(journal, (struct sockaddr *)&sa, sizeof(sa)), 0);
	journal_write(&entry);
	ck_assert_str_eq(packet(journal), DATAGRAM);
	journal_close();
}
END_TEST

/* A sandbox may follow journal_open(). */
START_TEST(entries_open_nothing_and_nothing_stays_open)
{
	AUTO_FD int journal = journal_socket();
	int before, opened;

	if (journal < 0)
		return;
	capture();
	pretend_journal();
	before = fds_open();
	journal_open();
	opened = fds_open();
	setenv("JOURNAL_STREAM", "1:1", 1); /* too late */
	journal_write(&entry);
	ck_assert_ptr_nonnull(packet(journal));
	ck_assert_int_eq(fds_open(), opened);
	journal_close();
	ck_assert_int_eq(fds_open(), before);
}
END_TEST

START_TEST(its_end_waits_until_the_journal_has_dealt_with_the_last_entry)
{
	AUTO_FD int journal = open_to_journal();

	if (journal < 0)
		return;
	slow_journal.fd = journal;
	journal_write(&entry);
	journal_close();
	ck_assert_int_eq(now_ms, slow_journal.all_at_ms);
}
END_TEST

START_TEST(without_entries_the_journal_is_not_bothered)
{
	AUTO_FD int journal = open_to_journal();
	char byte;

	if (journal < 0)
		return;
	journal_close();
	ck_assert_int_eq(recv(journal, &byte, 1, MSG_DONTWAIT), -1);
}
END_TEST

/* ---- a journal that has stopped reading */

/* Until nobody's datagram finds room. Empty ones: packet() takes them for none. */
static void fill_journal(void)
{
	static const struct sockaddr_un sa = { AF_UNIX, "/run/systemd/journal/socket" };
	int sent;

	do { /* several senders, for each has a limit of its own */
		AUTO_FD int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

		sent = 0;
		while (sendto(fd, "", 0, MSG_DONTWAIT, (const struct sockaddr *)&sa,
			      sizeof(sa)) == 0)
			sent++;
		ck_assert_int_eq(errno, EAGAIN);
	} while (sent > 0);
}

/* Until standard error takes no line, either. */
static void fill_stderr(void)
{
	while (send(STDERR_FILENO, "x", 1, MSG_DONTWAIT) == 1)
		;
	ck_assert_int_eq(errno, EAGAIN);
}

/* Standard error is connected to a full journal, and two entries are kept. */
static int keep_two(void)
{
	int journal = open_to_journal();

	if (journal < 0)
		return -1;
	fill_journal();
	journal_write(&entry);
	journal_write(&other);
	ck_assert_int_eq(now_ms, 0);
	ck_assert_ptr_null(packet(reader));
	return journal;
}

START_TEST(entries_without_room_are_sent_before_the_next_one)
{
	AUTO_FD int journal = keep_two();

	if (journal < 0)
		return;
	ck_assert_ptr_null(packet(journal)); /* this makes room */
	journal_write(&entry);
	ck_assert_str_eq(packet(journal), DATAGRAM);
	ck_assert_str_eq(packet(journal), OTHER);
	ck_assert_str_eq(packet(journal), DATAGRAM);
	ck_assert_ptr_null(packet(reader));
	journal_close();
}
END_TEST

START_TEST(entries_without_room_are_sent_by_a_flush)
{
	AUTO_FD int journal = open_to_journal();

	if (journal < 0)
		return;
	for (int time = 0; time < 3; time++) {
		fill_journal();
		for (int i = 0; i < 8; i++)
			journal_write(&entry);
		journal_flush();
		ck_assert_ptr_null(packet(journal));
		journal_flush();
		for (int i = 0; i < 8; i++)
			ck_assert_str_eq(packet(journal), DATAGRAM);
		journal_flush();
		ck_assert_ptr_null(packet(journal));
	}
	ck_assert_ptr_null(packet(reader));
	journal_close();
}
END_TEST

START_TEST(entries_without_room_are_sent_at_the_end)
{
	AUTO_FD int journal = keep_two();

	if (journal < 0)
		return;
	slow_journal.fd = journal;
	slow_journal.one_at_ms = -1; /* it would read these entries later */
	ck_assert(journal_wait(15000));
	ck_assert_int_lt(now_ms, 1000);
	ck_assert_str_eq(packet(journal), DATAGRAM);
	ck_assert_str_eq(packet(journal), OTHER);
	ck_assert_ptr_null(packet(reader));
	slow_journal.fd = -1;
	journal_close();
}
END_TEST

/* The sockets of the process that aborts, or valgrind would report them. */
static void close_sockets(int number)
{
	(void)number;
	(void)close(slow_journal.fd);
	(void)close(reader);
}

START_TEST(a_failed_assertion_waits_until_its_entry_is_sent)
{
	AUTO_FD int journal = keep_two();
	int status;
	pid_t pid;

	if (journal < 0)
		return;
	slow_journal.fd = journal;
	slow_journal.one_at_ms = -1; /* it would read these entries later */
	pid = fork();
	if (pid == 0) {
		(void)signal(SIGABRT, close_sockets);
		assert(journal < 0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	ck_assert_str_eq(packet(journal), DATAGRAM);
	ck_assert_str_eq(packet(journal), OTHER);
	ck_assert_ptr_nonnull(strstr(packet(journal), "MESSAGE=Internal error: "));
	ck_assert_ptr_null(packet(reader));
	slow_journal.fd = -1;
	journal_close();
}
END_TEST

START_TEST(a_journal_that_stopped_reading_gets_the_sentences_at_the_end)
{
	AUTO_FD int journal = keep_two();

	if (journal < 0)
		return;
	polls = 0;
	longest_ms = 136000;
	ck_assert(!journal_wait(135000));
	ck_assert_uint_lt(polls,
			  40); /* since thousands of processes wait at the same time */
	ck_assert_uint_ge(late_polls, 5);
	ck_assert_int_ge(now_ms, 135000);
	ck_assert_ptr_null(packet(reader));
	journal_close();
	ck_assert_str_eq(packet(reader), "<5>Proxying: /x\n");
	ck_assert_str_eq(packet(reader), "<4>Proxy error\n");
}
END_TEST

/* Of the entries that find no room, the ninth. */
START_TEST(a_log_that_takes_nothing_holds_up_one_entry_and_no_other)
{
	AUTO_FD int journal = open_to_journal();
	int first_ms;

	if (journal < 0)
		return;
	fill_journal();
	for (int i = 0; i < 8; i++)
		journal_write(&entry);
	ck_assert_ptr_null(packet(reader));
	journal_write(&other);
	ck_assert_str_eq(packet(reader), "<4>Proxy error\n");
	ck_assert_int_eq(now_ms, 0);
	fill_stderr();
	journal_write(&entry);
	first_ms = now_ms;
	ck_assert_int_gt(first_ms, 0);
	for (int i = 0; i < 20; i++)
		journal_write(&entry);
	ck_assert_int_eq(now_ms, first_ms);
	journal_close();
	ck_assert_int_lt(now_ms, 200 + 2 * first_ms);
}
END_TEST

START_TEST(long_entries_are_kept_while_there_is_memory)
{
	static char text[JOURNAL_ENTRY_MAX];
	const struct journal_entry longest = {
		.level = LOG_WARNING,
		.message = { text, 1 },
		.datagram = { text, sizeof(text) },
	};
	AUTO_FD int journal = open_to_journal();

	if (journal < 0)
		return;
	memset(text, 'x', sizeof(text));
	fill_journal();
	journal_write(&longest);
	journal_write(&longest);
	ck_assert_ptr_null(packet(reader));
	journal_write(&longest);
	ck_assert_str_eq(packet(reader), "<4>x\n");
	ck_assert_ptr_null(packet(journal));
	journal_flush();
	for (int i = 0; i < 2; i++)
		ck_assert_uint_eq(strlen(packet(journal)), sizeof(text));
	ck_assert_ptr_null(packet(journal));
	journal_close();
}
END_TEST

START_TEST(its_end_waits_for_room_behind_the_last_entry)
{
	AUTO_FD int journal = open_to_journal();

	if (journal < 0)
		return;
	journal_write(&entry);
	fill_journal();
	slow_journal.fd = journal;
	journal_close();
	ck_assert_int_eq(now_ms, slow_journal.all_at_ms);
}
END_TEST

START_TEST(its_end_does_not_wait_for_ever)
{
	AUTO_FD int journal = open_to_journal();

	if (journal < 0)
		return;
	journal_write(&entry);
	journal_close(); /* the journal reads nothing */
	ck_assert_int_gt(now_ms, slow_journal.all_at_ms);
}
END_TEST

/* ---- status */

START_TEST(the_status_is_what_libsystemd_would_send)
{
	static const char *const paths[] = { "@novnc-gate-test-%d", "/run/notify-%d" };
	AUTO_FD int journal = journal_socket(); /* and a /run of our own */

	if (journal < 0)
		return;
	for (size_t i = 0; i < 2; i++) {
		struct sockaddr_un sa = { .sun_family = AF_UNIX };
		AUTO_FD int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		char path[64];
		int len = snprintf(path, sizeof(path), paths[i], getpid());

		memcpy(sa.sun_path, path, (size_t)len);
		if (path[0] == '@')
			sa.sun_path[0] = '\0';
		ck_assert_int_eq(bind(fd, (struct sockaddr *)&sa,
				      (socklen_t)(offsetof(struct sockaddr_un, sun_path) +
						  (size_t)len)),
				 0);
		capture();
		setenv("NOTIFY_SOCKET", path, 1);
		ck_assert_int_gt(sd_notify(0, "STATUS=x"), 0);
		ck_assert_str_eq(packet(fd), "STATUS=x");
		journal_open();
		journal_notify(SLICE("STATUS=x"));
		ck_assert_str_eq(packet(fd), "STATUS=x");
		ck_assert_ptr_null(packet(fd));
		journal_close();
		capture_end();
	}
}
END_TEST

/* systemd may be busy for long. */
START_TEST(nobody_waits_for_a_status_to_be_read)
{
	struct sockaddr_un sa = { AF_UNIX, "/run/notify" };
	AUTO_FD int journal = journal_socket(), fd = socket(AF_UNIX, SOCK_DGRAM, 0);
	int before;

	if (journal < 0)
		return;
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	capture();
	pretend_journal();
	setenv("NOTIFY_SOCKET", sa.sun_path, 1);
	before = fds_open();
	journal_open();
	journal_notify(SLICE("STATUS=x"));
	journal_write(&entry);
	ck_assert_str_eq(packet(journal), DATAGRAM);
	close(fd_take(&journal)); /* it has read all, and can be waited for no more */
	journal_close();
	ck_assert_int_eq(now_ms, 0);
	ck_assert_int_eq(fds_open(), before - 1);
	ck_assert_str_eq(packet(fd), "STATUS=x");
}
END_TEST

/* Many sessions that open at the same time fill systemd's queue. */
START_TEST(a_status_without_room_is_sent_later_unless_a_newer_one_replaces_it)
{
	struct sockaddr_un sa = { AF_UNIX, "/run/notify" };
	AUTO_FD int journal = journal_socket(), fd = socket(AF_UNIX, SOCK_DGRAM, 0);
	int queued = 0;

	if (journal < 0)
		return;
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	capture();
	pretend_journal();
	setenv("NOTIFY_SOCKET", sa.sun_path, 1);
	journal_open();
	while (journal_notify(SLICE("STATUS=x")), journal_flush())
		queued++;
	journal_notify(SLICE("STATUS=newer"));
	ck_assert(!journal_flush());
	journal_write(&entry); /* waits behind it */
	for (int i = 0; i < queued; i++)
		ck_assert_str_eq(packet(fd), "STATUS=x");
	ck_assert_ptr_null(packet(fd));
	ck_assert(journal_flush());
	ck_assert_str_eq(packet(fd), "STATUS=newer");
	ck_assert_ptr_null(packet(fd));
	ck_assert_str_eq(packet(journal), DATAGRAM);
	close(fd_take(&journal));
	journal_close();
}
END_TEST

START_TEST(a_status_that_nobody_takes_does_no_harm)
{
	static const char *const paths[] = { "", "@", "/", "relative",
					     "/nonexistent/notify" };
	char endless[256];

	memset(endless, '/', sizeof(endless));
	endless[sizeof(endless) - 1] = '\0';
	capture();
	for (size_t i = 0; i <= sizeof(paths) / sizeof(paths[0]); i++) {
		setenv("NOTIFY_SOCKET", i == 0 ? endless : paths[i - 1], 1);
		journal_open();
		journal_notify(SLICE("STATUS=x"));
		journal_close();
	}
	ck_assert_ptr_null(packet(reader));
}
END_TEST

/* ---- id */

START_TEST(the_id_is_the_invocation_or_the_process)
{
	static const char *const wrong[] = { "", "0123456789abcdef0123456789abcde",
					     "0123456789abcdef0123456789abcdef0",
					     "0123456789abcdef0123456789abcdeg",
					     "0123456789abcdef0123456789abcdef\n" };
	char own[32];

	snprintf(own, sizeof(own), "novnc-gate[%d]", getpid());
	unsetenv("INVOCATION_ID");
	ck_assert_str_eq(journal_id(), own);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		setenv("INVOCATION_ID", wrong[i], 1);
		ck_assert_str_eq(journal_id(), own);
	}
	setenv("INVOCATION_ID", "0123456789abcdef0123456789abcdef", 1);
	ck_assert_str_eq(journal_id(), "0123456789abcdef0123456789abcdef");
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("journal");
	Suite *s = suite_create("journal");

	suite_add_tcase(s, t);
	tcase_add_checked_fixture(t, NULL, capture_end);
	tcase_set_timeout(t, 60); /* valgrind */
	tcase_add_test(t, the_threshold_is_notice_at_first);
	tcase_add_test(t, before_it_is_opened_there_are_no_entries);
	tcase_add_test(t, an_entry_is_one_line_on_standard_error);
	tcase_add_test(t, an_entry_is_what_libsystemd_would_send);
	tcase_add_test(t, another_journal_stream_means_standard_error);
	tcase_add_test(t, null_from_systemd_means_the_journal);
	tcase_add_test(t, a_client_on_standard_error_reads_nothing);
	tcase_add_test(t, a_closed_standard_error_does_no_harm);
	tcase_add_test(t, without_a_descriptor_to_spare_the_journal_gets_the_sentence);
	tcase_add_test(t, a_journal_that_does_not_listen_gets_the_sentence);
	tcase_add_test(t, a_journal_started_anew_is_found);
	tcase_add_test(t, entries_open_nothing_and_nothing_stays_open);
	tcase_add_test(t, its_end_waits_until_the_journal_has_dealt_with_the_last_entry);
	tcase_add_test(t, without_entries_the_journal_is_not_bothered);
	tcase_add_test(t, entries_without_room_are_sent_before_the_next_one);
	tcase_add_test(t, entries_without_room_are_sent_by_a_flush);
	tcase_add_test(t, entries_without_room_are_sent_at_the_end);
	tcase_add_test(t, a_failed_assertion_waits_until_its_entry_is_sent);
	tcase_add_test(t, a_journal_that_stopped_reading_gets_the_sentences_at_the_end);
	tcase_add_test(t, a_log_that_takes_nothing_holds_up_one_entry_and_no_other);
	tcase_add_test(t, long_entries_are_kept_while_there_is_memory);
	tcase_add_test(t, its_end_waits_for_room_behind_the_last_entry);
	tcase_add_test(t, its_end_does_not_wait_for_ever);
	tcase_add_test(t, the_status_is_what_libsystemd_would_send);
	tcase_add_test(t, nobody_waits_for_a_status_to_be_read);
	tcase_add_test(
		t, a_status_without_room_is_sent_later_unless_a_newer_one_replaces_it);
	tcase_add_test(t, a_status_that_nobody_takes_does_no_harm);
	tcase_add_test(t, the_id_is_the_invocation_or_the_process);
	return suite_run(s);
}
