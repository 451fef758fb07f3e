/* SPDX-License-Identifier: MIT */
/* Where entries go: the journal, else standard error. */
#include "journal.h"

#include <ctype.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <syslog.h>
#define SD_JOURNAL_SUPPRESS_LOCATION /* sd_journal_sendv() as a function, not a macro */
#include <systemd/sd-daemon.h>
#include <systemd/sd-journal.h>

#define JOURNAL_DRAIN_MS 200

enum sink {
	SINK_NONE,
	SINK_LINE, /* on standard error */
	SINK_JOURNAL,
};

typedef __typeof__(&sd_journal_sendv) send_entry;
typedef __typeof__(&sd_notify) send_state;

static struct {
	int level;
	void *libsystemd; /* while it is loaded, else NULL */
	send_entry sendv;
	send_state notify;
	int fd;       /* the socket that libsystemd leaves behind, or -1 */
	bool settled; /* journal_settle() has seen to it that nothing is opened any more */
	enum sink sink; /* once settled */
} journal = { .level = LOG_NOTICE, .fd = -1 };

/* A note in the binary, for packagers, that libsystemd is loaded at run time:
 * https://systemd.io/ELF_DLOPEN_METADATA/ */
#define DLOPEN_NOTE                                                             \
	"[{\"feature\":\"journal\",\"description\":\"Structured log entries\"," \
	"\"priority\":\"recommended\",\"soname\":[\"libsystemd.so.0\"]}]"

static const struct {
	uint32_t owner_len, json_len, type;
	char owner[4];
	_Alignas(4) char json[sizeof(DLOPEN_NOTE)];
} dlopen_note __attribute__((used, aligned(4), section(".note.dlopen"))) = {
	sizeof("FDO"), sizeof(DLOPEN_NOTE), 0x407c0c0a, "FDO", DLOPEN_NOTE
};

/* ---- libsystemd, loaded only when it is needed: that costs more than all else at start */

static int library_load(void)
{
	if (journal.libsystemd)
		return 0;
	journal.libsystemd = dlopen("libsystemd.so.0", RTLD_LAZY | RTLD_LOCAL);
	if (!journal.libsystemd)
		return -ENOENT;
	journal.sendv = (send_entry)dlsym(journal.libsystemd, "sd_journal_sendv");
	journal.notify = (send_state)dlsym(journal.libsystemd, "sd_notify");
	if (journal.sendv && journal.notify)
		return 0;
	(void)dlclose(journal.libsystemd);
	journal.libsystemd = NULL;
	return -ENOENT;
}

/* The number that the next descriptor will have. */
static int next_fd(void)
{
	AUTO_FD int fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);

	return fd;
}

/*
 * libsystemd opens its socket to the journal with the first entry and leaves it behind when it
 * is unloaded, one more each time. So see where it opened it, for journal_release().
 */
static int send_by_library(const struct journal_entry *e)
{
	int fd, r, type = 0;
	socklen_t len = sizeof(type);

	r = library_load();
	if (r < 0)
		return r;
	fd = next_fd();
	r = journal.sendv(e->field, e->fields);
	(void)getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len); /* type tells */
	if (type == SOCK_DGRAM)
		journal.fd = fd;
	return r;
}

/*
 * The same datagram (https://systemd.io/JOURNAL_NATIVE_PROTOCOL/) on the same socket, for a
 * tunnel's last entry: loading libsystemd for it once more would cost as much as half of the
 * session's set-up, and a sandbox in which code can be loaded. No value has a line end: what
 * peers send is escaped.
 */
static int send_settled(struct slice datagram, int flags)
{
	static const struct sockaddr_un sa = { AF_UNIX, "/run/systemd/journal/socket" };

	return sendto(journal.fd, datagram.p, datagram.len, MSG_NOSIGNAL | flags,
		      (const struct sockaddr *)&sa, sizeof(sa)) < 0
		       ? -errno
		       : 0;
}

/* ---- standard error */

/* systemd says by $JOURNAL_STREAM which file it connected to the journal. */
static bool stderr_is_journal(const struct stat *st)
{
	const char *stream = getenv("JOURNAL_STREAM");
	char own[64];

	(void)snprintf(own, sizeof(own), "%ju:%ju", (uintmax_t)st->st_dev,
		       (uintmax_t)st->st_ino);
	return stream && strcmp(stream, own) == 0;
}

/* inetd and xinetd make standard error the connection as well: no entry belongs there. */
static bool stderr_is_client(const struct stat *st)
{
	struct stat client;

	return S_ISSOCK(st->st_mode) && fstat(STDIN_FILENO, &client) == 0 &&
	       client.st_dev == st->st_dev && client.st_ino == st->st_ino;
}

static enum sink sink_find(void)
{
	struct stat st;

	if (fstat(STDERR_FILENO, &st) < 0 || stderr_is_client(&st))
		return SINK_NONE;
	return stderr_is_journal(&st) ? SINK_JOURNAL : SINK_LINE;
}

/* One call and no more than PIPE_BUF, so that lines of several processes do not mix. */
static void stderr_line(const char *prefix, struct slice message)
{
	struct iovec line[] = {
		{ (char *)prefix, strlen(prefix) },
		{ (char *)message.p, message.len },
		{ "\n", 1 },
	};
	struct pollfd p = { .fd = STDERR_FILENO, .events = POLLOUT };

	if (poll(&p, 1, JOURNAL_DRAIN_MS) == 0)
		return; /* a reader that stalls costs no connection */
	if (writev(STDERR_FILENO, line, sizeof(line) / sizeof(line[0])) < 0)
		return; /* there is nowhere left to say so */
}

/* ---- what journal.h promises */

void journal_level(int level)
{
	journal.level = level;
}

bool journal_takes(int level)
{
	return level <= journal.level;
}

void journal_write(const struct journal_entry *e)
{
	enum sink sink = journal.settled ? journal.sink : sink_find();
	char prefix[32];

	if (sink == SINK_NONE)
		return;
	if (sink == SINK_JOURNAL) {
		if ((journal.settled ? send_settled(e->datagram, 0)
				     : send_by_library(e)) >= 0)
			return;
		/* without its fields, but not lost */
		(void)snprintf(prefix, sizeof(prefix), "<%d>", e->level);
	} else {
		(void)snprintf(prefix, sizeof(prefix), "novnc-gate[%d]: ", getpid());
	}
	stderr_line(prefix, e->message);
}

void journal_notify(const char *state)
{
	if (getenv("NOTIFY_SOCKET") && library_load() == 0)
		(void)journal.notify(0, state); /* only for show */
}

/*
 * The journal takes what it adds to an entry (unit, invocation) from the sender's /proc,
 * after it has read it, so the sender has to live on for a moment. Entries are dealt with
 * one by one: once it has read an empty datagram behind the last of them, which it drops,
 * it is done. But nobody waits for ever.
 */
static void journal_drain(void)
{
	int queued;

	/* where there is no room for it, waiting for the others is the next best */
	(void)send_settled(SLICE(""), MSG_DONTWAIT);
	for (int ms = 0; ms < JOURNAL_DRAIN_MS; ms++) {
		if (ioctl(journal.fd, SIOCOUTQ, &queued) < 0 || queued == 0)
			return;
		(void)poll(NULL, 0, 1); /* nothing tells when a queue is empty */
	}
}

/* Newer libsystemds (256 and later) are marked never to be unloaded. */
static bool library_stays(void)
{
	Dl_info info;

	return journal.sendv && dladdr((void *)journal.sendv, &info) != 0;
}

bool journal_loads(void)
{
	return getenv("NOTIFY_SOCKET") || sink_find() == SINK_JOURNAL;
}

void journal_settle(void)
{
	journal.sink = sink_find();
	journal.settled = true;
	if (journal.libsystemd)
		(void)dlclose(journal.libsystemd);
	journal.libsystemd = NULL;
	/* nothing may have been logged so far; without it the last entry is a line */
	if (journal.sink == SINK_JOURNAL && journal.fd < 0)
		journal.fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
}

void journal_release(void)
{
	if (journal.libsystemd)
		(void)dlclose(journal.libsystemd);
	journal.libsystemd = NULL;
	journal.settled = false;
	if (journal.fd < 0)
		return;
	journal_drain();
	if (library_stays())
		return; /* it goes on using its socket: closed, it would be somebody else's */
	(void)close(journal.fd);
	journal.fd = -1;
}

const char *journal_id(void)
{
	static char own[sizeof("novnc-gate[-2147483648]")];
	const char *id = getenv("INVOCATION_ID");
	size_t hex = 0;

	while (id && isxdigit((unsigned char)id[hex]))
		hex++;
	if (hex == 32 && id[hex] == '\0')
		return id;
	(void)snprintf(own, sizeof(own), "novnc-gate[%d]", getpid());
	return own;
}
