/* SPDX-License-Identifier: MIT */
/* journal.c: to which place an entry goes, in what form, and what is left behind. */
#include "journal.h"

#include <elf.h>
#include <link.h>
#include <poll.h>
#include <pthread.h>
#include <syslog.h>
#include <time.h>

#include "captured.h"

#define FIELD(text)                      \
	{                                \
		(text), sizeof(text) - 1 \
	}

static const struct iovec fields[] = {
	FIELD("MESSAGE=Proxying: /x"), FIELD("PRIORITY=5"),
	FIELD("SYSLOG_IDENTIFIER=novnc-gate"), /* else libsystemd adds one */
};
#define DATAGRAM "MESSAGE=Proxying: /x\nPRIORITY=5\nSYSLOG_IDENTIFIER=novnc-gate\n"

static const struct journal_entry entry = {
	.level = LOG_NOTICE,
	.message = SLICE("Proxying: /x"),
	.field = fields,
	.fields = 3,
	.datagram = SLICE(DATAGRAM),
};

/* Whether it is one that cannot be unloaded (since systemd 256). */
static bool library_stays(void)
{
	void *library = dlopen("libsystemd.so.0", RTLD_LAZY);

	ck_assert_ptr_nonnull(library);
	ck_assert_int_eq(dlclose(library), 0);
	return library_is_loaded();
}

/* ---- where to */

START_TEST(the_threshold_is_notice_at_first)
{
	ck_assert(journal_takes(LOG_NOTICE));
	ck_assert(!journal_takes(LOG_INFO));
	for (int level = LOG_ERR; level <= LOG_DEBUG; level++) {
		journal_level(level);
		ck_assert(journal_takes(level) && !journal_takes(level + 1));
	}
}
END_TEST

START_TEST(an_entry_is_one_line_on_standard_error)
{
	capture();
	journal_write(&entry);
	ck_assert_str_eq(message(), "Proxying: /x");
	ck_assert(!library_is_loaded());
}
END_TEST

START_TEST(an_entry_is_its_fields_in_the_journal)
{
	AUTO_FD int journal = journal_socket();

	if (journal < 0)
		return;
	capture();
	pretend_journal();
	journal_write(&entry);
	ck_assert_str_eq(packet(journal), DATAGRAM);
	ck_assert_ptr_null(packet(reader));
	journal_release();
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
		journal_write(&entry);
		ck_assert_str_eq(message(), "Proxying: /x");
	}
	ck_assert(!library_is_loaded());
}
END_TEST

START_TEST(a_client_on_standard_error_reads_nothing)
{
	capture();
	ck_assert_int_eq(dup2(STDERR_FILENO, STDIN_FILENO), STDIN_FILENO);
	journal_write(&entry);
	ck_assert_ptr_null(packet(reader));
}
END_TEST

START_TEST(a_closed_standard_error_does_no_harm)
{
	capture();
	close(STDERR_FILENO);
	journal_write(&entry);
}
END_TEST

START_TEST(without_libsystemd_the_journal_gets_the_sentence)
{
	struct rlimit own, none;

	capture();
	pretend_journal();
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &own), 0);
	none = (struct rlimit){ 0, own.rlim_max };
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none),
			 0); /* dlopen() can open nothing */
	journal_write(&entry);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &own), 0);
	ck_assert(!library_is_loaded());
	ck_assert_str_eq(packet(reader), "<5>Proxying: /x\n");
	ck_assert_ptr_null(packet(reader));
}
END_TEST

START_TEST(a_journal_that_does_not_listen_gets_the_sentence)
{
	AUTO_FD int journal = journal_socket();

	if (journal < 0)
		return;
	close(fd_take(&journal)); /* the name stays: connection refused */
	capture();
	pretend_journal();
	journal_write(&entry);
	ck_assert_str_eq(packet(reader), "<5>Proxying: /x\n");
	ck_assert_ptr_null(packet(reader));
	journal_release();
}
END_TEST

START_TEST(release_leaves_nothing_but_the_librarys_socket)
{
	AUTO_FD int journal = journal_socket();
	int before;

	if (journal < 0)
		return;
	capture();
	pretend_journal();
	before = fds_open();
	for (int i = 0; i < 3; i++) {
		journal_write(&entry);
		journal_write(&entry);
		ck_assert_ptr_nonnull(packet(journal));
		ck_assert_ptr_nonnull(packet(journal));
		ck_assert(library_is_loaded());
		journal_release();
		ck_assert_int_eq(fds_open(), before + 1);
	}
	journal_release();
}
END_TEST

/* Were it closed under a library that stays, the next entry would go into a stranger's fd. */
START_TEST(after_a_release_entries_go_to_the_journal_and_nowhere_else)
{
	AUTO_FD int journal = journal_socket();
	int pair[2];

	if (journal < 0)
		return;
	capture();
	pretend_journal();
	journal_write(&entry);
	ck_assert_ptr_nonnull(packet(journal));
	journal_release();
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	journal_write(&entry);
	ck_assert_ptr_nonnull(packet(journal));
	ck_assert_ptr_null(packet(pair[0]));
	ck_assert_ptr_null(packet(pair[1]));
	close(pair[0]);
	close(pair[1]);
	journal_release();
}
END_TEST

/* A journal that takes its time with an entry, as the real one does when it looks into /proc. */
static void *slow_journal(void *arg)
{
	const int *fds =
		arg; /* the journal's socket; readable once the sender has gone on */
	struct pollfd gone = { .fd = fds[1], .events = POLLIN };
	char text[4096];

	ck_assert_int_gt(recv(fds[0], text, sizeof(text), 0), 0);
	ck_assert_int_eq(poll(&gone, 1, 50), 0);
	ck_assert_int_eq(recv(fds[0], text, sizeof(text), 0), 0);
	return NULL;
}

static int slow_journal_fds[2], slow_journal_gone; /* ... and what says so */

static pthread_t slow_journal_start(int journal)
{
	int gone[2];
	pthread_t thread;

	ck_assert_int_eq(pipe2(gone, O_CLOEXEC), 0);
	slow_journal_fds[0] = journal;
	slow_journal_fds[1] = gone[0];
	slow_journal_gone = gone[1];
	ck_assert_int_eq(pthread_create(&thread, NULL, slow_journal, slow_journal_fds),
			 0);
	return thread;
}

/* The sender has gone on. */
static void slow_journal_end(pthread_t thread)
{
	close(slow_journal_gone);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	close(slow_journal_fds[1]);
}

START_TEST(release_waits_until_the_journal_has_dealt_with_the_last_entry)
{
	AUTO_FD int journal = journal_socket();
	pthread_t thread;

	if (journal < 0)
		return;
	capture();
	pretend_journal();
	thread = slow_journal_start(journal);
	journal_write(&entry);
	journal_release();
	slow_journal_end(thread);
}
END_TEST

START_TEST(a_settled_journal_gets_the_same_bytes_without_the_library)
{
	AUTO_FD int journal = journal_socket();
	bool stays = library_stays();
	int before;

	if (journal < 0)
		return;
	capture();
	pretend_journal();
	before = fds_open();
	journal_write(&entry);
	ck_assert_str_eq(packet(journal), DATAGRAM);
	journal_settle();
	ck_assert(library_is_loaded() == stays);
	ck_assert_int_eq(fds_open(), before + 2);
	journal_write(&entry);
	ck_assert_str_eq(packet(journal), DATAGRAM);
	ck_assert(library_is_loaded() == stays);
	ck_assert_int_eq(fds_open(), before + 2);
	ck_assert_ptr_null(packet(reader));
	close(fd_take(&journal));
	journal_release();
	ck_assert_int_eq(fds_open(), before);
}
END_TEST

START_TEST(one_settled_before_its_first_entry_opens_nothing_later)
{
	AUTO_FD int journal = journal_socket();
	int settled;

	if (journal < 0)
		return;
	capture();
	pretend_journal();
	journal_settle();
	settled = fds_open();
	setenv("JOURNAL_STREAM", "1:1", 1); /* too late */
	journal_write(&entry);
	ck_assert_ptr_nonnull(packet(journal));
	ck_assert_int_eq(fds_open(), settled);
	ck_assert(!library_is_loaded());
	journal_release();
}
END_TEST

START_TEST(one_settled_whose_journal_is_gone_writes_a_line)
{
	AUTO_FD int journal = journal_socket();

	if (journal < 0)
		return;
	capture();
	pretend_journal();
	journal_settle();
	ck_assert_int_eq(unlink("/run/systemd/journal/socket"), 0);
	journal_write(&entry);
	ck_assert_str_eq(packet(reader), "<5>Proxying: /x\n");
	journal_release();
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

/* Until standard error takes no line either. */
static void fill_stderr(void)
{
	while (send(STDERR_FILENO, "x", 1, MSG_DONTWAIT) == 1)
		;
	ck_assert_int_eq(errno, EAGAIN);
}

static double seconds(void)
{
	struct timespec t;

	ck_assert_int_eq(clock_gettime(CLOCK_MONOTONIC, &t), 0);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

START_TEST(a_journal_that_stopped_reading_gets_the_sentence)
{
	AUTO_FD int journal = journal_socket();

	if (journal < 0)
		return;
	capture();
	pretend_journal();
	fill_journal();
	journal_write(&entry);
	ck_assert_str_eq(packet(reader), "<5>Proxying: /x\n");
	ck_assert_ptr_null(packet(journal)); /* this makes room */
	journal_write(&entry);
	ck_assert_str_eq(packet(journal), DATAGRAM);
	fill_journal();
	journal_write(&entry); /* libsystemd has its socket by now */
	ck_assert_str_eq(packet(reader), "<5>Proxying: /x\n");
	journal_release();
}
END_TEST

START_TEST(one_settled_whose_journal_stopped_reading_writes_a_line)
{
	AUTO_FD int journal = journal_socket();

	if (journal < 0)
		return;
	capture();
	pretend_journal();
	journal_settle();
	fill_journal();
	journal_write(&entry);
	ck_assert_str_eq(packet(reader), "<5>Proxying: /x\n");
	ck_assert_ptr_null(packet(journal));
	journal_write(&entry);
	ck_assert_str_eq(packet(journal), DATAGRAM);
	journal_release();
}
END_TEST

START_TEST(a_log_that_takes_nothing_holds_up_one_entry_and_no_other)
{
	AUTO_FD int journal = journal_socket();
	double start = seconds(), first;

	if (journal < 0)
		return;
	capture();
	pretend_journal();
	fill_journal();
	fill_stderr();
	journal_write(&entry);
	first = seconds() - start;
	for (int i = 0; i < 20; i++) {
		journal_write(&entry);
		journal_release();
	}
	ck_assert_double_lt(seconds() - start, 10 * first);
}
END_TEST

START_TEST(release_waits_for_room_behind_the_last_entry)
{
	AUTO_FD int journal = journal_socket();
	pthread_t thread;

	if (journal < 0)
		return;
	capture();
	pretend_journal();
	journal_write(&entry);
	fill_journal();
	thread = slow_journal_start(journal);
	journal_release();
	slow_journal_end(thread);
}
END_TEST

START_TEST(a_library_is_wanted_where_systemd_listens)
{
	capture();
	ck_assert(!journal_loads());
	setenv("NOTIFY_SOCKET", "/run/systemd/notify", 1);
	ck_assert(journal_loads());
	unsetenv("NOTIFY_SOCKET");
	pretend_journal();
	ck_assert(journal_loads());
	setenv("JOURNAL_STREAM", "1:1", 1);
	ck_assert(!journal_loads());
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

/* ---- binary */

/* Looks for the note among those of the program itself. */
static int find_note(struct dl_phdr_info *info, size_t size, void *userdata)
{
	(void)size;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *ph = &info->dlpi_phdr[i];
		const char *p = (const char *)(info->dlpi_addr + ph->p_vaddr),
			   *end = p + ph->p_memsz;

		while (ph->p_type == PT_NOTE && ph->p_align == 4 && p < end) {
			const ElfW(Nhdr) *note = (const void *)p;
			const char *owner = p + sizeof(*note);
			const char *text = owner + ((note->n_namesz + 3) & ~3U);

			if (note->n_type == 0x407c0c0a && strcmp(owner, "FDO") == 0)
				*(const char **)userdata = text;
			p = text + ((note->n_descsz + 3) & ~3U);
		}
	}
	return 1; /* the program is the first object, and enough */
}

START_TEST(the_binary_names_the_library_it_loads)
{
	const char *json = NULL;

	ck_assert_int_eq(dl_iterate_phdr(find_note, &json), 1);
	ck_assert_ptr_nonnull(json);
	ck_assert_str_eq(json, "[{\"feature\":\"journal\","
			       "\"description\":\"Structured log entries\","
			       "\"priority\":\"recommended\","
			       "\"soname\":[\"libsystemd.so.0\"]}]");
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("journal");
	Suite *s = suite_create("journal");
	SRunner *r = srunner_create(s);
	int failed;

	suite_add_tcase(s, t);
	tcase_add_checked_fixture(t, NULL, capture_end);
	tcase_set_timeout(t, 60); /* valgrind */
	tcase_add_test(t, the_threshold_is_notice_at_first);
	tcase_add_test(t, an_entry_is_one_line_on_standard_error);
	tcase_add_test(t, an_entry_is_its_fields_in_the_journal);
	tcase_add_test(t, another_journal_stream_means_standard_error);
	tcase_add_test(t, a_client_on_standard_error_reads_nothing);
	tcase_add_test(t, a_closed_standard_error_does_no_harm);
	tcase_add_test(t, without_libsystemd_the_journal_gets_the_sentence);
	tcase_add_test(t, a_journal_that_does_not_listen_gets_the_sentence);
	tcase_add_test(t, release_leaves_nothing_but_the_librarys_socket);
	tcase_add_test(t, after_a_release_entries_go_to_the_journal_and_nowhere_else);
	tcase_add_test(t, release_waits_until_the_journal_has_dealt_with_the_last_entry);
	tcase_add_test(t, a_settled_journal_gets_the_same_bytes_without_the_library);
	tcase_add_test(t, one_settled_before_its_first_entry_opens_nothing_later);
	tcase_add_test(t, one_settled_whose_journal_is_gone_writes_a_line);
	tcase_add_test(t, a_journal_that_stopped_reading_gets_the_sentence);
	tcase_add_test(t, one_settled_whose_journal_stopped_reading_writes_a_line);
	tcase_add_test(t, a_log_that_takes_nothing_holds_up_one_entry_and_no_other);
	tcase_add_test(t, release_waits_for_room_behind_the_last_entry);
	tcase_add_test(t, a_library_is_wanted_where_systemd_listens);
	tcase_add_test(t, the_id_is_the_invocation_or_the_process);
	tcase_add_test(t, the_binary_names_the_library_it_loads);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
