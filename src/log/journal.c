/* SPDX-License-Identifier: MIT */
#include "log/journal.h"

#include <ctype.h>
#include <linux/sockios.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <syslog.h>

#include "base/clock.h"

#define JOURNAL_DRAIN_MS  200   /* until the journal has read the last entry */
#define JOURNAL_STDERR_MS 200   /* for room on standard error, once in a process */
#define JOURNAL_RETRY_MS  10000 /* the longest pause between two attempts to send */
#define JOURNAL_KEPT_MAX  8     /* entries */

enum sink {
	SINK_NONE,
	SINK_LINE, /* on standard error */
	SINK_JOURNAL,
};

static struct {
	int level;
	enum sink sink; /* since journal_open() */
	int fd;         /* a datagram socket to the journal, or -1 */
	int notify_fd;  /* another one to systemd, or -1 */
	int wait_ms;    /* for room on standard error; 0 after a wait that was in vain */
	bool sent;      /* entries that the journal may not have read yet */
} journal = {
	.level = LOG_NOTICE, .fd = -1, .notify_fd = -1, .wait_ms = JOURNAL_STDERR_MS
};

/* The level of what is no entry, but a status for systemd. */
#define JOURNAL_STATUS (-1)

/* The entries for which the journal has had no room, and a status for which systemd had none. */
struct kept {
	struct journal_entry entry[JOURNAL_KEPT_MAX];
	size_t first, end; /* those that are to be sent */
	size_t used;       /* bytes of text */
	char text[2 * JOURNAL_ENTRY_MAX];
};
static struct kept *kept; /* NULL: none */

static const struct sockaddr_un journal_address = { AF_UNIX,
						    "/run/systemd/journal/socket" };

/* ---- datagrams */

/* Each datagram has the address, so that a restarted journal gets it too. */
static int send_datagram(struct slice datagram)
{
	if (sendto(journal.fd, datagram.p, datagram.len, MSG_NOSIGNAL | MSG_DONTWAIT,
		   (const struct sockaddr *)&journal_address,
		   sizeof(journal_address)) < 0)
		return -errno;
	journal.sent = true;
	return 0;
}

/*
 * Waits until the journal has dealt with all entries. After it has read an entry, it reads the
 * sender's unit and invocation from /proc: the sender must not have exited. The journal deals with
 * one datagram after the other and drops empty ones. So an empty one is sent after the last entry;
 * when that has been read, all entries are done.
 */
static void drain(void)
{
	uint64_t end_ms = clock_ms() + JOURNAL_DRAIN_MS;
	int queued;

	while (send_datagram(SLICE("")) == -EAGAIN && clock_ms() < end_ms)
		(void)poll(NULL, 0, 1);
	while (ioctl(journal.fd, SIOCOUTQ, &queued) == 0 && queued > 0 &&
	       clock_ms() < end_ms)
		(void)poll(NULL, 0, 1); /* no event says that the queue is empty */
}

/* ---- standard error */

/*
 * $JOURNAL_STREAM has device and inode of the file that systemd has connected to the journal. The
 * units set StandardError=null: then there is no $JOURNAL_STREAM. So /dev/null together with
 * $INVOCATION_ID also counts as the journal.
 */
static bool stderr_is_journal(const struct stat *st)
{
	const char *stream = getenv("JOURNAL_STREAM");
	char own[64];

	if (!stream && S_ISCHR(st->st_mode) && st->st_rdev == makedev(1, 3))
		return getenv("INVOCATION_ID") != NULL;
	(void)snprintf(own, sizeof(own), "%ju:%ju", (uintmax_t)st->st_dev,
		       (uintmax_t)st->st_ino);
	return stream && strcmp(stream, own) == 0;
}

/* inetd and xinetd pass the connection as standard error too: no entry may go there. */
static bool stderr_is_client(const struct stat *st)
{
	struct stat client;

	return S_ISSOCK(st->st_mode) && fstat(STDIN_FILENO, &client) == 0 &&
	       client.st_dev == st->st_dev && client.st_ino == st->st_ino;
}

/* Used if fstat() fails. A socket may be the client's, so it gets no entry. */
static enum sink sink_guess(void)
{
	socklen_t len = sizeof(int);
	int type;

	if (getenv("JOURNAL_STREAM"))
		return SINK_JOURNAL; /* which gets entries through journal.fd */
	return getsockopt(STDERR_FILENO, SOL_SOCKET, SO_TYPE, &type, &len) == 0
		       ? SINK_NONE
		       : SINK_LINE;
}

static enum sink sink_find(void)
{
	struct stat st;

	if (fstat(STDERR_FILENO, &st) < 0)
		return sink_guess();
	if (stderr_is_client(&st))
		return SINK_NONE;
	return stderr_is_journal(&st) ? SINK_JOURNAL : SINK_LINE;
}

/* Waits for room, but not long: no log may hold up a connection. */
static bool stderr_has_room(void)
{
	struct pollfd p = { .fd = STDERR_FILENO, .events = POLLOUT };

	if (poll(&p, 1, journal.wait_ms) != 0)
		return true; /* or an error, with which writing fails as well */
	journal.wait_ms = 0;
	return false;
}

/* One call and at most PIPE_BUF bytes, so that lines of several processes do not mix. */
static void stderr_line(const struct journal_entry *e)
{
	char prefix[32];
	struct iovec line[] = {
		{ prefix, 0 }, /* the level as in sd-daemon(3), or our name */
		{ (char *)e->message.p, e->message.len },
		{ "\n", 1 },
	};
	int len =
		journal.sink == SINK_JOURNAL
			? snprintf(prefix, sizeof(prefix), "<%d>", e->level)
			: snprintf(prefix, sizeof(prefix), "novnc-gate[%d]: ", getpid());

	line[0].iov_len = (size_t)len;
	if (!stderr_has_room())
		return;
	if (writev(STDERR_FILENO, line, COUNT(line)) < 0)
		return; /* and there is nowhere to report it */
}

/* ---- entries for which there is no room yet */

/* Copies the entry, to be sent later; false if too many are kept, or there is no memory. */
static bool keep(const struct journal_entry *e)
{
	struct journal_entry *copy;
	char *text;

	if (!kept)
		kept = calloc(1, sizeof(*kept));
	if (!kept || kept->end == JOURNAL_KEPT_MAX ||
	    e->datagram.len > sizeof(kept->text) - kept->used)
		return false;
	text = memcpy(kept->text + kept->used, e->datagram.p, e->datagram.len);
	copy = &kept->entry[kept->end++];
	*copy = *e;
	copy->datagram.p = text;
	copy->message.p = text + (e->message.p - e->datagram.p);
	kept->used += e->datagram.len;
	return true;
}

/* Sends systemd a status, if it listens. Never waits. */
static int send_status(struct slice state)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	size_t len = path ? strlen(path) : 0;

	if (len == 0 || len > sizeof(sa.sun_path))
		return 0;
	memcpy(sa.sun_path, path, len);
	if (path[0] == '@')
		sa.sun_path[0] = '\0'; /* an abstract one, unix(7) */
	if (sendto(journal.notify_fd, state.p, state.len, MSG_NOSIGNAL | MSG_DONTWAIT,
		   (const struct sockaddr *)&sa,
		   (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)) < 0)
		return -errno;
	return 0;
}

/* A line for what could not be sent; for a status there is no other place. */
static void give_up(const struct journal_entry *e)
{
	if (e->level != JOURNAL_STATUS)
		stderr_line(e);
}

/* Forgets a status that is kept: a newer one has replaced it, or the process ends. */
static void forget_status(void)
{
	for (size_t i = kept ? kept->first : 0; kept && i < kept->end; i++)
		if (kept->entry[i].level == JOURNAL_STATUS)
			kept->entry[i].datagram.len = 0;
}

static int send_one(const struct journal_entry *e)
{
	if (e->level != JOURNAL_STATUS)
		return send_datagram(e->datagram);
	return e->datagram.len > 0 ? send_status(e->datagram) : 0;
}

/* 0 if no entry is kept any more, or -EAGAIN. */
static int send_kept(void)
{
	for (; kept && kept->first < kept->end; kept->first++) {
		int r = send_one(&kept->entry[kept->first]);

		if (r == -EAGAIN)
			return r;
		if (r < 0)
			give_up(&kept->entry[kept->first]);
	}
	free(kept);
	kept = NULL;
	return 0;
}

/* ---- the functions of journal.h */

void journal_set_level(int level)
{
	journal.level = level;
}

bool journal_enabled(int level)
{
	return level <= journal.level;
}

void journal_open(void)
{
	if (journal.sink != SINK_NONE)
		return;
	journal.sink = sink_find();
	if (getenv("NOTIFY_SOCKET"))
		journal.notify_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (journal.sink != SINK_JOURNAL)
		return;
	/* if this fails, so does sending, and entries become lines on standard error */
	journal.fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
}

void journal_write(const struct journal_entry *e)
{
	int r;

	if (journal.sink == SINK_JOURNAL) {
		r = send_kept();
		if (r == 0)
			r = send_datagram(e->datagram);
		if (r == 0 || (r == -EAGAIN && keep(e)))
			return;
	}
	if (journal.sink != SINK_NONE)
		stderr_line(e); /* with StandardError=null, this line is lost */
}

bool journal_flush(void)
{
	return send_kept() == 0;
}

bool journal_has_manager(void)
{
	return journal.notify_fd >= 0;
}

void journal_notify(struct slice state)
{
	const struct journal_entry e = { .level = JOURNAL_STATUS,
					 .message = state,
					 .datagram = state };

	forget_status();
	/* if neither works, `systemctl status` shows the previous state */
	if (send_status(state) == -EAGAIN)
		(void)keep(&e);
}

/*
 * Waiting for POLLOUT would wake all processes for each entry that the journal reads. And thousands
 * of processes that try ten times a second leave the journal no CPU: the pauses get longer, and
 * shorter again towards the end.
 */
bool journal_wait(uint64_t room_ms)
{
	uint64_t now_ms = clock_ms(), end_ms = now_ms + room_ms;
	uint64_t pause_ms = 50 + (uint64_t)getpid() % 50;

	forget_status();
	for (; send_kept() == -EAGAIN && now_ms < end_ms; now_ms = clock_ms()) {
		uint64_t half_ms = (end_ms - now_ms) / 2;

		(void)poll(NULL, 0, (int)clock_earlier(pause_ms, half_ms + 10));
		pause_ms = clock_earlier(pause_ms + pause_ms / 2, JOURNAL_RETRY_MS);
	}
	fd_close_auto(&journal.notify_fd);
	return !kept;
}

void journal_close(void)
{
	for (; kept && kept->first < kept->end; kept->first++)
		give_up(&kept->entry[kept->first]);
	free(kept);
	kept = NULL;
	if (journal.sent)
		drain();
	fd_close_auto(&journal.fd);
	fd_close_auto(&journal.notify_fd);
	journal.sent = false;
	journal.sink = SINK_NONE;
}

const char *journal_id(void)
{
	static char own[sizeof("novnc-gate[2147483647]")];
	const char *id = getenv("INVOCATION_ID");
	struct buf b;
	size_t hex = 0;

	while (id && isxdigit((unsigned char)id[hex]))
		hex++;
	if (hex == 32 && id[hex] == '\0')
		return id;
	b = (struct buf){ .data = own, .cap = sizeof(own) };
	(void)BUF_PUT(&b, SLICE("novnc-gate[")); /* these three fit */
	(void)buf_put_number(&b, (uint64_t)getpid(), 10);
	(void)BUF_PUT(&b, SLICE("]\0"));
	return own;
}
