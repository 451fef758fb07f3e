/* SPDX-License-Identifier: MIT */
#include "ctl/file.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "ctl/memory.h"

int file_write(int fd, struct slice content)
{
	while (content.len > 0) {
		ssize_t n = write(fd, content.p, content.len);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0)
			content = slice_from(content, (size_t)n);
	}
	return 0;
}

/* ---- replacing */

/*
 * A file that has no name yet, so that nothing is left of it if the process is killed; or, where the file system
 * cannot have one, with this name.
 */
static int new_open(int directory, const char *name)
{
	/* nobody else's file or symbolic link, which could be in a directory such as /tmp */
	const int exclusive = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC;
	int fd = openat(directory, ".", O_WRONLY | O_TMPFILE | O_CLOEXEC, 0600);

	if (fd < 0)
		fd = openat(directory, name, exclusive, 0600);
	return fd < 0 ? -errno : fd;
}

/* It has the name then, if it had none. */
static int new_link(int fd, int directory, const char *name)
{
	char *path = memory_print("/proc/self/fd/%d", fd);
	struct stat st;
	int r = fstat(fd, &st);

	if (r == 0 && st.st_nlink == 0)
		r = linkat(AT_FDCWD, path, directory, name, AT_SYMLINK_FOLLOW);
	free(path);
	return r < 0 ? -errno : 0;
}

static int new_fill(int fd, mode_t mode, const struct stat *old, struct slice content)
{
	int r = file_write(fd, content);

	if (r < 0)
		return r;
	/* somebody who may only write to the directory cannot keep the owner */
	if (old && fchown(fd, old->st_uid, old->st_gid) < 0 && errno != EPERM)
		return -errno;
	if (fchmod(fd, mode) < 0)
		return -errno;
	/* else the renamed file might be empty after a power failure */
	return fsync(fd) < 0 ? -errno : 0;
}

/* old: the file that is replaced, whose owner is kept; NULL: the owner does not matter. */
static int replace(int directory, const char *name, mode_t mode, const struct stat *old,
		   struct slice content)
{
	char *new = memory_print(".%s.%d", name, getpid());
	int r, fd;

	(void)unlinkat(directory, new, 0); /* of an earlier process that was killed */
	fd = new_open(directory, new);
	r = fd < 0 ? fd : new_fill(fd, mode, old, content);
	if (r == 0)
		r = new_link(fd, directory, new);
	if (fd >= 0 && close(fd) < 0 && r == 0)
		r = -errno;
	if (r == 0 && renameat(directory, new, directory, name) < 0)
		r = -errno;
	if (r < 0)
		(void)unlinkat(directory, new, 0);
	free(new);
	return r;
}

static mode_t less_umask(mode_t mode)
{
	mode_t mask = umask(0);

	(void)umask(mask);
	return mode & ~mask;
}

int file_replace(int directory, const char *name, mode_t mode, struct slice content)
{
	return replace(directory, name, less_umask(mode), NULL, content);
}

/* ---- by path */

/* Splits a path, which is changed. Returns the directory, opened, or -errno. */
static int directory_open(char *path, const char **ret_name)
{
	char *slash = strrchr(path, '/');
	int fd;

	*ret_name = slash ? slash + 1 : path;
	if (slash)
		*slash = '\0';
	fd = open(!slash          ? "."
		  : slash == path ? "/"
				  : path,
		  O_PATH | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* The path, which is changed, has no symbolic link in its last component. */
static int replace_path(char *path, const struct stat *old, struct slice content)
{
	const char *name;
	int directory = directory_open(path, &name), r;

	if (directory < 0)
		return directory;
	r = replace(directory, name, old ? old->st_mode & 0777 : less_umask(0666), old,
		    content);
	(void)close(directory);
	return r;
}

/* A file that is there; a device, a pipe and the like cannot be replaced. */
static int put_open(int fd, struct slice content)
{
	char *link = memory_print("/proc/self/fd/%d", fd), target[PATH_MAX];
	ssize_t len = readlink(link, target, sizeof(target) - 1);
	struct stat st, found;

	free(link);
	if (len < 0 || fstat(fd, &st) < 0)
		return -errno;
	target[len] = '\0';
	if (!S_ISREG(st.st_mode))
		return file_write(fd, content);
	if (lstat(target, &found) < 0)
		return -errno;
	if (found.st_dev != st.st_dev || found.st_ino != st.st_ino)
		return -ESTALE; /* it was moved or replaced just now */
	return replace_path(target, &st, content);
}

int file_put(const char *path, struct slice content)
{
	char *copy;
	struct stat st;
	int fd, r;

	if (lstat(path, &st) < 0 && errno == ENOENT) {
		copy = memory_copy(slice_str(path));
		r = replace_path(copy, NULL, content);
		free(copy);
		return r;
	}
	/* with O_CREAT, as the kernel's checks of links, FIFOs and others' files in /tmp want it */
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY, 0666);
	if (fd < 0)
		return -errno;
	r = put_open(fd, content);
	return close(fd) < 0 && r == 0 ? -errno : r;
}
