/* SPDX-License-Identifier: MIT */
/* What happened, one entry per event: to the journal with its fields, else to standard error. */
#include "log.h"

#include <assert.h>
#include <ctype.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/sockios.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <syslog.h>
#define SD_JOURNAL_SUPPRESS_LOCATION /* sd_journal_sendv() as a function, not a macro */
#include <systemd/sd-daemon.h>
#include <systemd/sd-journal.h>

#define LOG_ENTRY_MAX  8192
#define LOG_FIELDS_MAX 16
#define LOG_DRAIN_MS   200

/*
 * The table of events. @NAME@ in a sentence is the value of NOVNC_GATE_NAME=, as it is in
 * units/novnc-gate.catalog, which explains each of them under the same MESSAGE_ID. A new row
 * takes its id from `systemd-id128 new`; an id that was once released keeps its meaning.
 */
static const struct {
	int level;
	const char *id;
	const char *sentence;
} events[LOG_EVENTS] = {
	[LOG_HANDLING] = { LOG_NOTICE, "72d0afd52f154dfeb3a0b56188c70f13",
			   "Handling noVNC connection: @PATH@" },
	[LOG_PROXYING] = { LOG_NOTICE, "f6f9792c04fb43ac86cbf1932436eb7b",
			   "Proxying: @PATH@" },
	[LOG_CLOSED] = { LOG_NOTICE, "930ee7b5ab8f48f2b1fb9892c90e56b8",
			 "noVNC session closed: @PATH@ (@REASON@; @UP_BYTES@ bytes up, "
			 "@DOWN_BYTES@ bytes down, @DURATION_PRETTY@)" },
	[LOG_REJECTED] = { LOG_NOTICE, "9dd68c76318b4b9b83f916c91559c17c",
			   "Rejecting non-noVNC connection: @PATH@" },
	[LOG_ORIGIN] = { LOG_NOTICE, "207d5b6cb83f4258a744161287c60e3e",
			 "Rejecting WebSocket from another site: @PATH@ (@REASON@)" },
	[LOG_TLS] = { LOG_NOTICE, "762047d94182474d8ff0aabe5a53e569",
		      "TLS with @CLIENT@ failed: @REASON@" },
	[LOG_UNVERIFIED] = { LOG_NOTICE, "d05a0fe7789d4c0caf98d9b83879bee8",
			     "The certificate of @BACKEND@ is not verified (VerifyTls=no)" },
	[LOG_REFUSED] = { LOG_NOTICE, "172f8e3d92354f67b33d181747e5601f",
			  "Refusing request with @STATUS@: @REASON@" },
	[LOG_WS_ERROR] = { LOG_WARNING, "3f3a3d11331348c7ae8f7499bb3e7f7e",
			   "WebSocket proxy error: @REASON@" },
	[LOG_BACKEND] = { LOG_WARNING, "6a41f540a2854f87b431e3a36b6c8097",
			  "Proxy error: @REASON@ (@METHOD@ @PATH@)" },
	[LOG_PAGE] = { LOG_DEBUG, "5dcbfaf6b8a04c898e54e7065713015d",
		       "@METHOD@ @PATH@: @STATUS@ from @BACKEND@" },
	[LOG_SANDBOX] = { LOG_DEBUG, "badb50fc926342aa8d8359f82f324943",
			  "Less of a sandbox: @REASON@ is not to be had here" },
	[LOG_CONFIG] = { LOG_ERR, "e4230f61c2d94f63ab11f3179af458cb", "@REASON@" },
	[LOG_FAULT] = { LOG_ERR, "338945922f3743d38e9eb3f55f014def",
			"Internal error: @REASON@" },
};

/*
 * An entry while it is put together: NAME=value lines in one buffer that never moves, and the
 * same again as the fields that libsystemd takes.
 */
struct entry {
	struct buf text;
	struct iovec field[LOG_FIELDS_MAX];
	int fields;
	char storage[LOG_ENTRY_MAX];
};

/* Where entries go. */
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
	int journal_fd; /* the socket that libsystemd leaves behind, or -1 */
	bool settled;   /* log_settle() has seen to it that nothing is opened any more */
	enum sink sink; /* once settled */
} logger = { .level = LOG_NOTICE, .journal_fd = -1 };

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

/* ---- text */

/*
 * Appends a peer's text so that it can neither steer a terminal, nor start a line of its own,
 * nor look like something else: all but printable ASCII becomes \xNN (C1 controls and marks
 * that turn the reading direction are valid UTF-8), and so does the backslash itself.
 */
static void put_escaped(struct buf *b, struct slice s)
{
	size_t start = b->end, keep = b->end;

	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.p[i];
		char hex[sizeof("\\xNN")];

		if (b->end - start <= LOG_VALUE_MAX - 3)
			keep = b->end;
		if (c < ' ' || c > '~' || c == '\\') {
			(void)snprintf(hex, sizeof(hex), "\\x%02x", c);
			(void)buf_put(b, hex, 4);
		} else {
			(void)buf_put(b, &s.p[i], 1);
		}
		if (b->end - start > LOG_VALUE_MAX) {
			b->end = keep;
			(void)buf_put_slice(b, SLICE("..."));
			return;
		}
	}
}

/* ---- fields. Every buf_put() fits: log_event() has the sum. */

static void field_begin(struct entry *e, const char *name)
{
	assert(e->fields < LOG_FIELDS_MAX);
	e->field[e->fields].iov_base = e->text.data + e->text.end;
	(void)buf_put_slice(&e->text, slice_str(name));
	(void)buf_put_slice(&e->text, SLICE("="));
}

static void field_end(struct entry *e)
{
	struct iovec *field = &e->field[e->fields++];

	field->iov_len = (size_t)(e->text.data + e->text.end - (char *)field->iov_base);
	(void)buf_put_slice(&e->text, SLICE("\n"));
}

static void field_text(struct entry *e, const char *name, struct slice value)
{
	if (value.len == 0)
		return;
	field_begin(e, name);
	put_escaped(&e->text, value);
	field_end(e);
}

static void field_number(struct entry *e, const char *name, uint64_t value)
{
	char digits[sizeof("18446744073709551615")];

	(void)snprintf(digits, sizeof(digits), "%" PRIu64, value);
	field_text(e, name, slice_str(digits));
}

/* The value of NOVNC_GATE_<name>=, or "-". */
static struct slice field_value(const struct entry *e, struct slice name)
{
	for (int i = 0; i < e->fields; i++) {
		struct slice s = { e->field[i].iov_base, e->field[i].iov_len };
		size_t eq;

		s = slice_from(s, sizeof("NOVNC_GATE_") - 1); /* all have it so far */
		eq = slice_find(s, '=');
		if (slice_eq((struct slice){ s.p, eq }, name))
			return slice_from(s, eq + 1);
	}
	return SLICE("-");
}

/* For the sentence and the catalog, as systemd does it: a second field for people. */
static void field_duration(struct entry *e, uint64_t ms)
{
	uint64_t s = ms / 1000, min = s / 60, h = min / 60;
	char pretty[64];

	if (h > 0)
		(void)snprintf(pretty, sizeof(pretty), "%" PRIu64 "h %umin %us", h,
			       (unsigned)(min % 60), (unsigned)(s % 60));
	else if (min > 0)
		(void)snprintf(pretty, sizeof(pretty), "%umin %us", (unsigned)min,
			       (unsigned)(s % 60));
	else
		(void)snprintf(pretty, sizeof(pretty), "%u.%03us", (unsigned)s,
			       (unsigned)(ms % 1000));
	field_number(e, "NOVNC_GATE_DURATION_MS", ms);
	field_text(e, "NOVNC_GATE_DURATION_PRETTY", slice_str(pretty));
}

/* All that is known of the event. */
static void entry_describe(struct entry *e, const struct log_fields *f)
{
	struct slice path = { f->path.p, slice_find(f->path, '?') }; /* no secrets */

	field_text(e, "NOVNC_GATE_CLIENT", f->client);
	field_text(e, "NOVNC_GATE_SESSION", f->session);
	field_text(e, "NOVNC_GATE_PATH", path);
	field_text(e, "NOVNC_GATE_METHOD", f->method);
	field_text(e, "NOVNC_GATE_BACKEND", f->backend);
	field_text(e, "NOVNC_GATE_ORIGIN", f->origin);
	field_text(e, "NOVNC_GATE_REASON", f->reason);
	if (f->status != 0)
		field_number(e, "NOVNC_GATE_STATUS", f->status);
	if (!f->ended)
		return;
	field_number(e, "NOVNC_GATE_UP_BYTES", f->up_bytes);
	field_number(e, "NOVNC_GATE_DOWN_BYTES", f->down_bytes);
	field_duration(e, f->duration_ms);
}

/* MESSAGE=: the sentence with each @NAME@ filled in. Returns the value. */
static struct slice entry_message(struct entry *e, const char *sentence)
{
	struct slice rest = slice_str(sentence), part;
	bool is_name = false;
	size_t start, len;

	field_begin(e, "MESSAGE");
	start = e->text.end;
	while (slice_split(&rest, '@', &part)) {
		(void)buf_put_slice(&e->text, is_name ? field_value(e, part) : part);
		is_name = !is_name;
	}
	len = e->text.end - start;
	field_end(e);
	return (struct slice){ e->text.data + start, len };
}

/* ---- libsystemd, loaded only when it is needed: that costs more than all else at start */

static int library_load(void)
{
	if (logger.libsystemd)
		return 0;
	logger.libsystemd = dlopen("libsystemd.so.0", RTLD_LAZY | RTLD_LOCAL);
	if (!logger.libsystemd)
		return -ENOENT;
	logger.sendv = (send_entry)dlsym(logger.libsystemd, "sd_journal_sendv");
	logger.notify = (send_state)dlsym(logger.libsystemd, "sd_notify");
	if (logger.sendv && logger.notify)
		return 0;
	(void)dlclose(logger.libsystemd);
	logger.libsystemd = NULL;
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
 * is unloaded, one more each time. So see where it opened it, for log_release().
 */
static int journal_send_library(const struct entry *e)
{
	int fd, r, type = 0;
	socklen_t len = sizeof(type);

	r = library_load();
	if (r < 0)
		return r;
	fd = next_fd();
	r = logger.sendv(e->field, e->fields);
	(void)getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len); /* type tells */
	if (type == SOCK_DGRAM)
		logger.journal_fd = fd;
	return r;
}

/*
 * The same datagram (https://systemd.io/JOURNAL_NATIVE_PROTOCOL/) on the same socket, for a
 * tunnel's last entry: loading libsystemd for it once more would cost as much as half of the
 * session's set-up, and a sandbox in which code can be loaded. No value has a line end: what
 * peers send is escaped.
 */
static int journal_send_settled(struct slice datagram, int flags)
{
	static const struct sockaddr_un journal = {
		AF_UNIX,
		"/run/systemd/journal/socket",
	};

	return sendto(logger.journal_fd, datagram.p, datagram.len, MSG_NOSIGNAL | flags,
		      (const struct sockaddr *)&journal, sizeof(journal)) < 0
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

	if (poll(&p, 1, LOG_DRAIN_MS) == 0)
		return; /* a reader that stalls costs no connection */
	if (writev(STDERR_FILENO, line, sizeof(line) / sizeof(line[0])) < 0)
		return; /* there is nowhere left to say so */
}

/* ---- what log.h promises */

void log_level(int level)
{
	logger.level = level;
}

bool log_wants(enum log_event ev)
{
	return events[ev].level <= logger.level;
}

void log_event(enum log_event ev, const struct log_fields *f)
{
	struct entry e;
	struct slice message;
	enum sink sink;
	char prefix[32];

	/* seven texts, three of them once more in the sentence, and the rest */
	_Static_assert(10 * LOG_VALUE_MAX + 2048 <= LOG_ENTRY_MAX, "an entry fits");
	_Static_assert(3 * LOG_VALUE_MAX + 1024 <= PIPE_BUF, "a line fits");

	if (!log_wants(ev))
		return;
	sink = logger.settled ? logger.sink : sink_find();
	if (sink == SINK_NONE)
		return;
	e.text = (struct buf){ .data = e.storage, .cap = sizeof(e.storage) };
	e.fields = 0;
	entry_describe(&e, f);
	message = entry_message(&e, events[ev].sentence);
	if (sink == SINK_JOURNAL) {
		field_text(&e, "MESSAGE_ID", slice_str(events[ev].id));
		field_number(&e, "PRIORITY", (uint64_t)events[ev].level);
		field_text(&e, "SYSLOG_IDENTIFIER", SLICE("novnc-gate"));
		if ((logger.settled ? journal_send_settled(buf_slice(&e.text), 0)
				    : journal_send_library(&e)) >= 0)
			return;
		/* without its fields, but not lost */
		(void)snprintf(prefix, sizeof(prefix), "<%d>", events[ev].level);
	} else {
		(void)snprintf(prefix, sizeof(prefix), "novnc-gate[%d]: ", getpid());
	}
	stderr_line(prefix, message);
}

void log_status(struct slice text)
{
	static const char name[] = "STATUS=";
	char line[sizeof(name) + LOG_VALUE_MAX + 4]; /* one escape over, before the cut */
	struct buf b = { .data = line, .cap = sizeof(line) };

	if (!getenv("NOTIFY_SOCKET") || library_load() < 0)
		return;
	(void)buf_put(&b, name, sizeof(name) - 1);
	put_escaped(&b, text);
	(void)buf_put(&b, "", 1);
	(void)logger.notify(0, line); /* only for show */
}

/*
 * The journal takes what it adds to an entry (unit, invocation) from the sender's /proc, after
 * it has read it, so the sender has to live on for a moment. Entries are dealt with one by one:
 * once it has read an empty datagram behind the last of them, which it drops, it is done. But
 * nobody waits for ever.
 */
static void journal_drain(void)
{
	int queued;

	/* where there is no room for it, waiting for the others is the next best */
	(void)journal_send_settled(SLICE(""), MSG_DONTWAIT);
	for (int ms = 0; ms < LOG_DRAIN_MS; ms++) {
		if (ioctl(logger.journal_fd, SIOCOUTQ, &queued) < 0 || queued == 0)
			return;
		(void)poll(NULL, 0, 1); /* nothing tells when a queue is empty */
	}
}

/* Newer libsystemds (256 and later) are marked never to be unloaded. */
static bool library_stays(void)
{
	Dl_info info;

	return logger.sendv && dladdr((void *)logger.sendv, &info) != 0;
}

bool log_loads(void)
{
	return getenv("NOTIFY_SOCKET") || sink_find() == SINK_JOURNAL;
}

void log_settle(void)
{
	logger.sink = sink_find();
	logger.settled = true;
	if (logger.libsystemd)
		(void)dlclose(logger.libsystemd);
	logger.libsystemd = NULL;
	/* nothing may have been logged so far; without it the last entry is a line */
	if (logger.sink == SINK_JOURNAL && logger.journal_fd < 0)
		logger.journal_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
}

void log_release(void)
{
	if (logger.libsystemd)
		(void)dlclose(logger.libsystemd);
	logger.libsystemd = NULL;
	logger.settled = false;
	if (logger.journal_fd < 0)
		return;
	journal_drain();
	if (library_stays())
		return; /* it goes on using its socket: closed, it would be somebody else's */
	(void)close(logger.journal_fd);
	logger.journal_fd = -1;
}

const char *log_id(void)
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
