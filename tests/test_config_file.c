/* SPDX-License-Identifier: MIT */
/* config_file.c: files and drop-ins. */
#include "config/config_file.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "configuring.h"

static char dir[PATH_MAX];

static const char *in_dir(const char *name)
{
	static char path[PATH_MAX + 100];

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static void put(const char *name, const char *text)
{
	int fd = open(in_dir(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

static void make_dir(void)
{
	const char *tmp = getenv("TMPDIR");

	(void)snprintf(dir, sizeof(dir), "%s/novnc-gate-test-XXXXXX", tmp ? tmp : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	ck_assert_int_eq(mkdir(in_dir("c.d"), 0755), 0);
}

static void remove_dir(void)
{
	static const char *const names[] = {
		"c.d/10.conf",    "c.d/9.conf",   "c.d/a.conf",
		"c.d/B.conf",     "c.d/.h.conf",  "c.d/x.conf~",
		"c.d/x.conf.new", "c.d/README",   "c.d/null.conf",
		"c.d/gone.conf",  "c.d/odd.conf", "c.d/.conf",
		"c.d/dos.conf",   "c.d",          "c",
	};

	for (size_t i = 0; i < LENGTH(names); i++)
		(void)remove(in_dir(names[i]));
	ck_assert_int_eq(rmdir(dir), 0);
}

static enum config_result load(struct config *c, const char *name)
{
	char path[PATH_MAX + 100];

	(void)snprintf(path, sizeof(path), "%s", in_dir(name));
	forget();
	return config_load(path, report, &reports, c);
}

static void expect_file_report(const char *name, const char *what)
{
	char text[2 * PATH_MAX];

	(void)snprintf(text, sizeof(text), "%s%s", in_dir(name), what);
	ck_assert_msg(strstr(reported, text), "%snot: %s", reported, text);
}

START_TEST(drop_ins_follow_the_file_in_bytewise_order)
{
	struct config c;

	put("c", "[Log]\nLevel=err\n[Routes]\nControllerPath=/main\n");
	put("c.d/9.conf", "[Routes]\nControllerPath=/9\n[Log]\nLevel=debug\n");
	put("c.d/10.conf", "[Routes]\nControllerPath=/10\n");
	put("c.d/a.conf", "[Routes]\nControllerPath=/a\n");
	put("c.d/B.conf", "[Routes]\nControllerPath=/B\n");
	ck_assert_int_eq(load(&c, "c"), CONFIG_OK);
	ck_assert_str_eq(joined(c.controller_path), "/main /10 /9 /B /a");
	ck_assert_int_eq(c.log_level, LOG_DEBUG);
	config_done(&c);
	put("c.d/a.conf", "[Routes]\nControllerPath=\n");
	ck_assert_int_eq(load(&c, "c"), CONFIG_OK);
	ck_assert_str_eq(joined(c.controller_path), "");
	config_done(&c);
}
END_TEST

START_TEST(other_files_beside_drop_ins_are_left_alone)
{
	struct config c;

	put("c", "");
	put("c.d/.h.conf", "nonsense");
	put("c.d/.conf", "nonsense");
	put("c.d/x.conf~", "nonsense");
	put("c.d/x.conf.new", "nonsense");
	put("c.d/README", "nonsense");
	put("c.d/9.conf", "");
	ck_assert_int_eq(symlink("/dev/null", in_dir("c.d/null.conf")), 0);
	ck_assert_int_eq(load(&c, "c"), CONFIG_OK);
	config_done(&c);
}
END_TEST

START_TEST(the_directory_of_drop_ins_may_be_missing)
{
	struct config c;

	put("c", "[Log]\nLevel=info\n");
	ck_assert_int_eq(rmdir(in_dir("c.d")), 0);
	ck_assert_int_eq(load(&c, "c"), CONFIG_OK);
	ck_assert_int_eq(c.log_level, LOG_INFO);
	config_done(&c);
	put("c.d", "a file in its place");
	ck_assert_int_eq(load(&c, "c"), CONFIG_INVALID);
	expect_file_report("c.d", ": cannot be read: Not a directory\n");
	config_done(&c);
}
END_TEST

START_TEST(errors_name_their_file)
{
	struct config c;

	put("c", "[Log]\nLevel=x\n");
	put("c.d/9.conf", "\nLevel=debug\n"); /* each file begins without a section */
	put("c.d/10.conf", "[Nope]\n[Log]\n");
	put("c.d/a.conf", "[Log]\nLevel=info\n");
	put("c.d/dos.conf", "[Log]\r\n\r\nNope=\r\n");
	ck_assert_int_eq(symlink("nowhere", in_dir("c.d/gone.conf")), 0);
	ck_assert_int_eq(load(&c, "c"), CONFIG_INVALID);
	ck_assert_uint_eq(reports, 5);
	expect_file_report("c", ":2: Level=x is not a log level");
	expect_file_report("c.d/10.conf", ":1: unknown section [Nope]");
	expect_file_report("c.d/9.conf", ":2: Level= is not in any section");
	expect_file_report("c.d/dos.conf", ":3: unknown key Nope=");
	expect_file_report("c.d/gone.conf",
			   ": cannot be read: No such file or directory\n");
	ck_assert_int_eq(c.log_level, LOG_INFO);
	config_done(&c);
}
END_TEST

START_TEST(a_missing_file_is_an_error_and_its_drop_ins_are_still_read)
{
	struct config c;

	put("c.d/9.conf", "[Log]\nLevel=x\n");
	ck_assert_int_eq(load(&c, "c"), CONFIG_INVALID);
	ck_assert_uint_eq(reports, 2);
	expect_file_report("c", ": cannot be read: No such file or directory\n");
	expect_file_report("c.d/9.conf", ":2: Level=x");
	config_done(&c);
}
END_TEST

static void make_odd_file(const char *path, int kind)
{
	switch (kind) {
	case 0: ck_assert_int_eq(mkdir(path, 0755), 0); return;
	case 1: ck_assert_int_eq(mkfifo(path, 0644), 0); return;
	case 2: ck_assert_int_eq(mknod(path, S_IFSOCK | 0644, 0), 0); return;
	case 3: ck_assert_int_eq(symlink("/dev/zero", path), 0); return;
	}
}

START_TEST(what_is_no_regular_file_is_an_error_not_waited_for)
{
	static const char *const names[] = { "c", "c.d/odd.conf" };
	struct config c;

	put("c", "");
	for (size_t i = 0; i < LENGTH(names); i++) {
		(void)remove(in_dir(names[i]));
		make_odd_file(in_dir(names[i]), _i);
		ck_assert_int_eq(load(&c, "c"), CONFIG_INVALID);
		ck_assert_uint_eq(reports, i + 1);
		expect_file_report(names[i], ": is not a regular file\n");
		config_done(&c);
	}
}
END_TEST

START_TEST(files_are_bounded)
{
	char *text = malloc(CONFIG_FILE_MAX + 2);
	struct config c;

	memset(text, '\n', CONFIG_FILE_MAX + 1);
	text[CONFIG_FILE_MAX] = '\0';
	put("c", text);
	ck_assert_int_eq(load(&c, "c"), CONFIG_OK);
	config_done(&c);
	text[CONFIG_FILE_MAX] = '\n';
	text[CONFIG_FILE_MAX + 1] = '\0';
	put("c", text);
	ck_assert_int_eq(load(&c, "c"), CONFIG_INVALID);
	expect_file_report("c", ": is larger than 65536 bytes\n");
	config_done(&c);
	free(text);
}
END_TEST

START_TEST(a_path_that_is_too_long_is_an_error)
{
	static char path[2 * PATH_MAX];
	struct config c;

	memset(path, 'x', sizeof(path) - 1);
	forget();
	ck_assert_int_eq(config_load(path, report, &reports, &c), CONFIG_INVALID);
	ck_assert_ptr_nonnull(strstr(reported, ": cannot be read: File name too long\n"));
	ck_assert_uint_eq(reports, 1); /* none for its drop-ins */
	config_done(&c);
}
END_TEST

/* The longest name of a file is still opened when that of its drop-in is too long. */
START_TEST(drop_ins_with_a_path_that_is_too_long_are_an_error)
{
	char path[PATH_MAX];
	struct config c;

	put("c", "");
	put("c.d/9.conf", "[Log]\nLevel=err\n");
	for (size_t len = PATH_MAX - 12; len < PATH_MAX; len++) {
		bool fits = len + strlen(".d/9.conf") < PATH_MAX;

		memset(path, '/', len);
		memcpy(path, dir, strlen(dir));
		path[len - 1] = 'c';
		path[len] = '\0';
		forget();
		ck_assert_int_eq(config_load(path, report, &reports, &c),
				 fits ? CONFIG_OK : CONFIG_INVALID);
		ck_assert_int_eq(c.log_level, fits ? LOG_ERR : LOG_NOTICE);
		ck_assert(fits || strstr(reported, ": File name too long\n"));
		config_done(&c);
	}
}
END_TEST

START_TEST(no_descriptor_left_is_no_fault_of_the_files)
{
	struct rlimit limit, none;
	enum config_result r;
	struct config c;

	put("c", "[Log]\nLevel=x\n");
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	none = (struct rlimit){ .rlim_cur = 0, .rlim_max = limit.rlim_max };
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	r = load(&c, "c");
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	ck_assert_int_eq(r, CONFIG_OUT_OF_RESOURCES);
	expect_file_report("c", ": cannot be read: Too many open files\n");
	config_done(&c);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("config: files");
	TCase *t = tcase_create("files");

	suite_add_tcase(suite, t);
	tcase_add_checked_fixture(t, make_dir, remove_dir);
	tcase_add_test(t, drop_ins_follow_the_file_in_bytewise_order);
	tcase_add_test(t, other_files_beside_drop_ins_are_left_alone);
	tcase_add_test(t, the_directory_of_drop_ins_may_be_missing);
	tcase_add_test(t, errors_name_their_file);
	tcase_add_test(t, a_missing_file_is_an_error_and_its_drop_ins_are_still_read);
	tcase_add_loop_test(t, what_is_no_regular_file_is_an_error_not_waited_for, 0, 4);
	tcase_add_test(t, files_are_bounded);
	tcase_add_test(t, a_path_that_is_too_long_is_an_error);
	tcase_add_test(t, drop_ins_with_a_path_that_is_too_long_are_an_error);
	tcase_add_test(t, no_descriptor_left_is_no_fault_of_the_files);
	return suite_run(suite);
}
