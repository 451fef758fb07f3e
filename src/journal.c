/* SPDX-License-Identifier: MIT */
/* Where entries go: the journal, else standard error. */
#include "journal.h"

#include <ctype.h>
#include <dlfcn.h>
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

#define JOURNAL_WAIT_MS  200 /* for room in the log, all in all */
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
	int fd;       /* our own socket to the journal, or -1 */
	int wait_ms;  /* for room, at most */
	bool settled; /* journal_settle() has seen to it that nothing is opened any more */
	enum sink sink; /* once settled */
} journal = { .level = LOG_NOTICE, .fd = -1, .wait_ms = JOURNAL_WAIT_MS };

static const struct sockaddr_un journal_address = { AF_UNIX,
						    "/run/systemd/journal/socket" };

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

/* ---- no log may hold up its connection, but libsystemd's socket would wait for ever */

/* Whether fd takes an entry, now or soon. Who has waited in vain once does not wait again. */
static bool has_room(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };

	if (poll(&p, 1, journal.wait_ms) != 0)
		return true; /* or an error, which the entry will meet as well */
	journal.wait_ms = 0;
	return false;
}

/*
 * A socket of our own beside libsystemd's, which nobody else gets at. It is connected only so
 * that poll() tells whether the journal's queue has room: each datagram finds its way anew.
 */
static void socket_open(void)
{
	if (journal.fd >= 0 || journal.settled)
		return;
	journal.fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	/* where either fails, so will the entry */
	(void)connect(journal.fd, (const struct sockaddr *)&journal_address,
		      sizeof(journal_address));
}

/*
 * The same datagram as libsystemd's (https://systemd.io/JOURNAL_NATIVE_PROTOCOL/), for a
 * tunnel's last entry: loading libsystemd for it once more would cost as much as half of the
 * session's set-up, and a sandbox in which code can be loaded. No value has a line end: what
 * peers send is escaped.
 */
static int send_datagram(struct slice datagram)
{
	return sendto(journal.fd, datagram.p, datagram.len, MSG_NOSIGNAL | MSG_DONTWAIT,
		      (const struct sockaddr *)&journal_address,
		      sizeof(journal_address)) < 0
		       ? -errno
		       : 0;
}

static int send_to_journal(const struct journal_entry *e)
{
	int r;

	socket_open();
	if (journal.fd < 0)
		return -EBADF;
	if (!has_room(journal.fd))
		return -EAGAIN;
	if (journal.settled)
		return send_datagram(e->datagram);
	r = library_load();
	/* should others be quicker and fill the queue, this waits until the journal reads on */
	return r < 0 ? r : journal.sendv(e->field, e->fields);
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

	if (!has_room(STDERR_FILENO))
		return;
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
		if (send_to_journal(e) >= 0)
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

	/* without room for it there is nothing to wait for but entries of our own socket */
	if (has_room(journal.fd))
		(void)send_datagram(SLICE(""));
	for (int ms = 0; ms < JOURNAL_DRAIN_MS; ms++) {
		if (ioctl(journal.fd, SIOCOUTQ, &queued) < 0 || queued == 0)
			return;
		(void)poll(NULL, 0, 1); /* nothing tells when a queue is empty */
	}
}

bool journal_loads(void)
{
	return getenv("NOTIFY_SOCKET") || sink_find() == SINK_JOURNAL;
}

void journal_settle(void)
{
	journal.sink = sink_find();
	if (journal.sink == SINK_JOURNAL)
		socket_open(); /* nothing may have been logged so far */
	journal.settled = true;
	if (journal.libsystemd)
		(void)dlclose(journal.libsystemd);
	journal.libsystemd = NULL;
}

void journal_release(void)
{
	journal.settled = false;
	if (journal.fd < 0)
		return;
	journal_drain();
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
