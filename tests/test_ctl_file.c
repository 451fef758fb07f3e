/* SPDX-License-Identifier: MIT */
/* file.c: files that are written as a whole, and what the kernel forbids in directories such as /tmp. */
#include "ctl/file.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "testing.h"

#define NOBODY 65534

static char directory[] = "/tmp/novnc-gate-test-XXXXXX";

static void begin(void)
{
	(void)strcpy(directory + strlen(directory) - 6, "XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(directory));
	ck_assert_int_eq(chdir(directory), 0);
	(void)umask(022);
}

static void end(void)
{
	DIR *d = opendir(".");
	const struct dirent *e;

	while ((e = readdir(d)))
		if (e->d_type != DT_DIR)
			ck_assert_int_eq(unlink(e->d_name), 0);
	(void)closedir(d);
	ck_assert_int_eq(rmdir(directory), 0);
}

static int put(const char *path)
{
	return file_put(path, SLICE("new"));
}

static void make(const char *path, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	ck_assert_int_eq(file_write(fd, SLICE("old text")), 0);
	ck_assert_int_eq(fchmod(fd, mode), 0);
	(void)close(fd);
}

static void is(const char *path, mode_t mode, const char *content)
{
	char text[32] = "";
	struct stat st;
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert_msg((st.st_mode & 07777) == mode, "%s: %o", path, st.st_mode);
	ck_assert_int_ge(read(fd, text, sizeof(text) - 1), 0);
	ck_assert_str_eq(text, content);
	(void)close(fd);
}

static size_t files(void)
{
	DIR *d = opendir(".");
	size_t n = 0;

	while (readdir(d))
		n++;
	(void)closedir(d);
	return n - 2;
}

START_TEST(a_file_is_made_or_replaced_with_its_mode)
{
	begin();
	ck_assert_int_eq(put("made"), 0);
	is("made", 0644, "new");
	make("kept", 0666); /* whatever the umask is */
	ck_assert_int_eq(put("./kept"), 0);
	is("kept", 0666, "new");
	ck_assert_uint_eq(files(), 2);
	ck_assert_int_eq(put("."), -EISDIR);
	ck_assert_int_eq(put("nowhere/x"), -ENOENT);
	end();
}
END_TEST

START_TEST(behind_a_link_its_target_is_replaced_or_made)
{
	begin();
	make("old", 0600);
	ck_assert_int_eq(symlink("old", "link"), 0);
	ck_assert_int_eq(symlink("made", "dangling"), 0);
	ck_assert_int_eq(symlink("nowhere/x", "lost"), 0);
	ck_assert_int_eq(put("link"), 0);
	is("old", 0600, "new");
	ck_assert_int_eq(put("dangling"), 0);
	is("made", 0644, "new");
	ck_assert_int_eq(put("lost"), -ENOENT);
	ck_assert_uint_eq(files(), 5);
	end();
}
END_TEST

START_TEST(a_replaced_file_keeps_its_owner)
{
	struct stat st;

	begin();
	make("theirs", 0640);
	if (chown("theirs", NOBODY, NOBODY) == 0) { /* root */
		ck_assert_int_eq(put("theirs"), 0);
		ck_assert_int_eq(stat("theirs", &st), 0);
		ck_assert_uint_eq(st.st_uid, NOBODY);
		ck_assert_uint_eq(st.st_gid, NOBODY);
		is("theirs", 0640, "new");
	}
	end();
}
END_TEST

static bool is_protected(const char *what)
{
	char path[64], value = '0';
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/sys/fs/protected_%s", what);
	f = fopen(path, "re");
	if (f)
		value = (char)getc(f);
	if (f)
		(void)fclose(f);
	return value != '0';
}

START_TEST(in_a_directory_for_everybody_nobody_elses_link_or_file_is_used)
{
	begin();
	make("target", 0600);
	ck_assert_int_eq(symlink("target", "link"), 0);
	ck_assert_int_eq(mkfifo("fifo", 0666), 0);
	make("file", 0666);
	if (chmod(".", 01777) == 0 && lchown("link", NOBODY, NOBODY) == 0 &&
	    chown("fifo", NOBODY, NOBODY) == 0 && chown("file", NOBODY, NOBODY) == 0) {
		if (is_protected("symlinks"))
			ck_assert_int_eq(put("link"), -EACCES);
		if (is_protected("fifos"))
			ck_assert_int_eq(put("fifo"), -EACCES);
		if (is_protected("regular"))
			ck_assert_int_eq(put("file"), -EACCES);
	}
	is("target", 0600, "old text");
	end();
}
END_TEST

START_TEST(what_is_no_regular_file_is_written_to)
{
	int fd;
	char text[8] = "";

	begin();
	ck_assert_int_eq(mkfifo("fifo", 0600), 0);
	fd = open("fifo", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	ck_assert_int_eq(put("fifo"), 0);
	ck_assert_int_eq(read(fd, text, sizeof(text)), 3);
	ck_assert_str_eq(text, "new");
	(void)close(fd);
	ck_assert_int_eq(put("/dev/full"), -ENOSPC);
	ck_assert_uint_eq(files(), 1);
	end();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ctl_file");
	TCase *t = tcase_create("ctl_file");

	suite_add_tcase(suite, t);
	tcase_add_test(t, a_file_is_made_or_replaced_with_its_mode);
	tcase_add_test(t, behind_a_link_its_target_is_replaced_or_made);
	tcase_add_test(t, a_replaced_file_keeps_its_owner);
	tcase_add_test(t, in_a_directory_for_everybody_nobody_elses_link_or_file_is_used);
	tcase_add_test(t, what_is_no_regular_file_is_written_to);
	return suite_run(suite);
}
