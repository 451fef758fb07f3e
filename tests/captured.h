/* SPDX-License-Identifier: MIT */
/* Standard error seen through a socket pair, the journal through a socket of our own. */
#pragma once

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "peers.h"

/* Standard error is one end: a packet is what one write() wrote. */
static int reader = -1;

static inline void capture(void)
{
	int pair[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	ck_assert_int_eq(dup2(pair[1], STDERR_FILENO), STDERR_FILENO);
	close(pair[1]);
	reader = pair[0];
	unsetenv("JOURNAL_STREAM");
	unsetenv("NOTIFY_SOCKET");
	unsetenv("INVOCATION_ID");
}

static inline void capture_end(void)
{
	if (reader >= 0)
		close(reader);
	reader = -1;
}

/* The next packet at fd as a string, or NULL where there is none; empty ones are no entries. */
static inline const char *packet(int fd)
{
	static char text[65536];
	ssize_t n;

	do {
		n = recv(fd, text, sizeof(text) - 1, MSG_DONTWAIT);
	} while (n == 0);
	if (n < 0)
		return NULL;
	text[n] = '\0';
	return text;
}

/* The message of the one line that is there, without newline and "novnc-gate[PID]: ". */
static inline const char *message(void)
{
	static char line[65536];
	char prefix[32];
	int n = snprintf(prefix, sizeof(prefix), "novnc-gate[%d]: ", getpid());
	const char *text = packet(reader);

	ck_assert_ptr_nonnull(text);
	snprintf(line, sizeof(line), "%s", text);
	ck_assert_msg(strncmp(line, prefix, (size_t)n) == 0, "no prefix: %s", line);
	ck_assert_uint_gt(strlen(line), (size_t)n);
	ck_assert_ptr_eq(strchr(line, '\n'), line + strlen(line) - 1);
	line[strlen(line) - 1] = '\0';
	ck_assert_ptr_null(packet(reader));
	return line + n;
}

/* As systemd does for a unit whose standard error is the journal. */
static inline void pretend_journal(void)
{
	struct stat st;
	char stream[64];

	ck_assert_int_eq(fstat(STDERR_FILENO, &st), 0);
	snprintf(stream, sizeof(stream), "%ju:%ju", (uintmax_t)st.st_dev,
		 (uintmax_t)st.st_ino);
	setenv("JOURNAL_STREAM", stream, 1);
}

static inline void put_file(const char *file, const char *text)
{
	int fd = open(file, O_WRONLY | O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

/*
 * An empty /run that only this process sees, with the journal's socket in it; a user namespace
 * gives the right to do so where we are not root. Returns the socket, or -1 where the system
 * allows neither.
 */
static inline int journal_socket(void)
{
	struct sockaddr_un sa = { AF_UNIX, "/run/systemd/journal/socket" };
	uid_t uid = geteuid();
	gid_t gid = getegid();
	char map[64];
	int fd;

	if (unshare(uid == 0 ? CLONE_NEWNS : CLONE_NEWNS | CLONE_NEWUSER) < 0) {
		printf("SKIP: no mount namespace to be had (%s): the journal's wire is not tested\n",
		       strerror(errno));
		return -1;
	}
	if (uid != 0) {
		put_file("/proc/self/setgroups", "deny");
		snprintf(map, sizeof(map), "0 %u 1", uid);
		put_file("/proc/self/uid_map", map);
		snprintf(map, sizeof(map), "0 %u 1", gid);
		put_file("/proc/self/gid_map", map);
	}
	ck_assert_int_eq(mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL), 0);
	ck_assert_int_eq(mount("tmpfs", "/run", "tmpfs", 0, NULL), 0);
	ck_assert_int_eq(mkdir("/run/systemd", 0755), 0);
	ck_assert_int_eq(mkdir("/run/systemd/journal", 0755), 0);
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	return fd;
}
