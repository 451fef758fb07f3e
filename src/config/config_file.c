/* SPDX-License-Identifier: MIT */
#include "config/config_file.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/buf.h"

/* A link to /dev/null, which is device (1, 3), masks a drop-in. */
static bool is_regular_or_null(const struct stat *st)
{
	return S_ISREG(st->st_mode) ||
	       (S_ISCHR(st->st_mode) && st->st_rdev == makedev(1, 3));
}

/* Reads all of ret->path into text, and sets ret->len. With CONFIG_FILE_FAILED, errno is set. */
static enum config_file_result read_whole(char text[static CONFIG_FILE_MAX + 1],
					  struct config_file *ret)
{
	/* without O_NONBLOCK, to open a FIFO would wait for its writer */
	AUTO_FD int fd = open(ret->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat st;
	ssize_t n;

	if (fd < 0 && errno == ENXIO)
		return CONFIG_FILE_NOT_REGULAR; /* a socket */
	if (fd < 0 || fstat(fd, &st) < 0)
		return CONFIG_FILE_FAILED;
	if (!is_regular_or_null(&st))
		return CONFIG_FILE_NOT_REGULAR;
	while ((n = read(fd, text + ret->len, CONFIG_FILE_MAX + 1 - ret->len)) > 0)
		ret->len += (size_t)n;
	if (n < 0)
		return CONFIG_FILE_FAILED;
	return ret->len > CONFIG_FILE_MAX ? CONFIG_FILE_TOO_LARGE : CONFIG_FILE_OK;
}

/* Returns the error of CONFIG_FILE_FAILED, or 0. */
static int read_one(const char *path, config_file_callback callback, void *userdata)
{
	/* on the stack, because freed memory would stay a hole in the heap */
	char text[CONFIG_FILE_MAX + 1];
	struct config_file file = { .path = path, .text = text };

	file.result = read_whole(text, &file);
	if (file.result == CONFIG_FILE_FAILED)
		file.error = -errno;
	callback(userdata, &file);
	return file.error;
}

static int is_drop_in(const struct dirent *d)
{
	size_t len = strlen(d->d_name);

	return d->d_name[0] != '.' && len > 5 &&
	       strcmp(d->d_name + len - 5, ".conf") == 0;
}

/* Bytewise; alphasort() would sort by locale. */
static int by_name(const struct dirent **x, const struct dirent **y)
{
	return strcmp((*x)->d_name, (*y)->d_name);
}

static void read_drop_ins(const char *dir, config_file_callback callback, void *userdata)
{
	char path[PATH_MAX + NAME_MAX + sizeof(".d/")];
	struct dirent **entries = NULL;
	int n = scandir(dir, &entries, is_drop_in, by_name);

	if (n < 0 && errno != ENOENT)
		callback(userdata, &(struct config_file){ dir, CONFIG_FILE_FAILED,
							  .error = -errno });
	for (int i = 0; i < n; i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", dir, entries[i]->d_name);
		(void)read_one(path, callback, userdata); /* the caller has been told */
		free(entries[i]);
	}
	free(entries);
}

void config_file_read(const char *file, config_file_callback callback, void *userdata)
{
	char dir[PATH_MAX + sizeof(".d")];

	if (read_one(file, callback, userdata) == -ENAMETOOLONG)
		return; /* the same error would follow for the directory */
	(void)snprintf(dir, sizeof(dir), "%s.d", file);
	read_drop_ins(dir, callback, userdata);
}
