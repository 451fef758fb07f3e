/* SPDX-License-Identifier: MIT */
/* The files of a configuration: one and its drop-ins, each read whole. */
#include "config/config_file.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/buf.h"

/* /dev/null, by which systemd's drop-ins are masked, is (1, 3) by admin-guide/devices.txt. */
static bool can_be_read(const struct stat *st)
{
	return S_ISREG(st->st_mode) ||
	       (S_ISCHR(st->st_mode) && st->st_rdev == makedev(1, 3));
}

/* At most cap bytes: their count, or -errno. */
static ssize_t read_whole(const char *file, char *text, size_t cap)
{
	/* a FIFO would be waited for until somebody writes to it */
	AUTO_FD int fd = open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat st;
	size_t len = 0;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!can_be_read(&st))
		return -ENXIO;
	while ((n = read(fd, text + len, cap - len)) > 0)
		len += (size_t)n;
	return n < 0 ? -errno : (ssize_t)len;
}

static void take_one(const char *file, config_file_take take, void *userdata)
{
	char text[CONFIG_FILE_MAX + 1]; /* not in the heap, where it would leave a hole */
	ssize_t len = read_whole(file, text, sizeof(text));

	if (len > CONFIG_FILE_MAX)
		len = -EFBIG;
	if (len < 0)
		take(userdata, file, NULL, 0, (int)len);
	else
		take(userdata, file, text, (size_t)len, 0);
}

static int is_drop_in(const struct dirent *d)
{
	size_t len = strlen(d->d_name);

	return d->d_name[0] != '.' && len > 5 &&
	       strcmp(d->d_name + len - 5, ".conf") == 0;
}

/* Bytewise in any locale, where alphasort() is not. */
static int by_name(const struct dirent **x, const struct dirent **y)
{
	return strcmp((*x)->d_name, (*y)->d_name);
}

void config_file_read(const char *file, config_file_take take, void *userdata)
{
	char dir[PATH_MAX], path[PATH_MAX + NAME_MAX + 2];
	struct dirent **entries;
	int n;

	take_one(file, take, userdata);
	/* A name cut here is one that open() has refused before. */
	(void)snprintf(dir, sizeof(dir), "%s.d", file);
	n = scandir(dir, &entries, is_drop_in, by_name);
	if (n < 0) {
		if (errno != ENOENT)
			take(userdata, dir, NULL, 0, -errno);
		return;
	}
	for (int i = 0; i < n; i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", dir, entries[i]->d_name);
		take_one(path, take, userdata);
		free(entries[i]);
	}
	free(entries);
}
