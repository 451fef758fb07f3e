/* SPDX-License-Identifier: MIT */
/* novnc-gate: options, --check, the order of start, the exit code. See novnc-gate(8). */
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sysexits.h>

#include "base/buf.h"
#include "base/clock.h"
#include "check.h"
#include "config/config_load.h"
#include "log/journal.h"
#include "log/log.h"
#include "net/client.h"
#include "process/loader.h"
#include "process/sandbox.h"
#include "process/spread.h"
#include "proxy/conn.h"

#define EXIT_NOT_READY 1 /* --check: valid configuration, but another check failed */
#define EXIT_USAGE     2

/* For room in the journal, at the end, if there are few processes. */
#define ROOM_MS 15000

static const char help[] =
	"novnc-gate [--config=FILE] [--proxy-protocol] [--tls] [--spread=FILE]\n"
	"novnc-gate [--config=FILE] [--proxy-protocol] [--tls] --check[=config]\n"
	"\n"
	"One origin for a Next.js dashboard and its noVNC terminals: serves one HTTP connection,\n"
	"which systemd passes as standard input.\n"
	"\n"
	"  --config=FILE   read FILE and FILE.d/*.conf instead of " NOVNC_GATE_CONF "\n"
	"  --proxy-protocol\n"
	"                  expect a PROXY header first, as with ProxyProtocol=yes\n"
	"  --tls           speak TLS on the connection, with the certificate in section [Tls]\n"
	"  --spread=FILE   exit after a random delay if FILE (pids.current of a cgroup)\n"
	"                  shows many processes\n"
	"  --check         check the configuration, show the routing, try both backends\n"
	"  --check=config  check the configuration only\n"
	"  -h, --help, --version\n"
	"\n"
	"To start the gate, as root: systemctl enable --now novnc-gate\n"
	"To try it: systemd-socket-activate --inetd -a -l 127.0.0.1:3000 %s\n"
	"See novnc-gate(8) and novnc-gate.conf(5).\n";

struct options {
	const char *file, *spread;
	bool check;  /* --check, with or without =config */
	bool report; /* --check=report, --check=certificate: for novnc-gatectl */
	bool whole;  /* --check without =config */
	bool tls;
	bool proxy_protocol;
};

/* Returns -1 to continue, or the exit code. */
static int options_parse(int argc, char *argv[], struct options *ret)
{
	static const struct option options[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "check", optional_argument, NULL, 'k' },
		{ "proxy-protocol", no_argument, NULL, 'p' },
		{ "spread", required_argument, NULL, 's' },
		{ "tls", no_argument, NULL, 't' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'v' },
		{ 0 },
	};
	int option;

	*ret = (struct options){ .file = NOVNC_GATE_CONF };
	while ((option = getopt_long(argc, argv, "h", options, NULL)) >= 0)
		switch (option) {
		case 'c': ret->file = optarg; break;
		case 'p': ret->proxy_protocol = true; break;
		case 's': ret->spread = optarg; break;
		case 't': ret->tls = true; break;
		case 'k':
			ret->check = true;
			ret->whole = !optarg || strcmp(optarg, "report") == 0;
			ret->report = optarg &&
				      (ret->whole || strcmp(optarg, "certificate") == 0);
			if (ret->whole || ret->report || strcmp(optarg, "config") == 0)
				break;
			(void)fprintf(
				stderr,
				"novnc-gate: --check=%s: only \"config\" is allowed\n",
				optarg);
			return EXIT_USAGE;
		case 'h':
			(void)printf(help, program_invocation_name);
			return EXIT_SUCCESS;
		case 'v':
			(void)printf("novnc-gate " NOVNC_GATE_VERSION
				     "\n%s +LIBMD +LLHTTP +OPENSSL\n",
				     sandbox_parts);
			return EXIT_SUCCESS;
		default: return EXIT_USAGE;
		}
	if (optind == argc)
		return -1;
	(void)fprintf(stderr, "novnc-gate: %s: unexpected argument\n", argv[optind]);
	return EXIT_USAGE;
}

static int check(const struct options *o, char *argv[])
{
	static const int codes[] = {
		[CHECK_GOOD] = EXIT_SUCCESS,
		[CHECK_NOT_READY] = EXIT_NOT_READY,
		[CHECK_INVALID] = EX_CONFIG,
		[CHECK_NOT_DONE] = EX_OSERR,
	};
	const struct check c = {
		.file = o->file,
		.is_default_file = strcmp(o->file, NOVNC_GATE_CONF) == 0,
		.tls = o->tls,
		.proxy_protocol = o->proxy_protocol,
		.report = o->report,
		.whole = o->whole,
	};
	enum check_result result;
	int r = loader_reexec(argv);

	if (r < 0) {
		(void)fprintf(stderr,
			      "novnc-gate: cannot execute " LOADER_PROGRAM ": %s\n",
			      strerror(-r));
		return EX_OSERR;
	}
	result = check_run(&c);
	return fflush(stdout) == 0 ? codes[result] : EX_OSERR;
}

/* Prints why standard input is no connection. Returns the exit code. */
static int stdin_explain(enum client_peer peer)
{
	(void)fprintf(stderr, "novnc-gate: standard input is %s\n",
		      peer == CLIENT_LISTENING
			      ? "a listening socket; the socket unit needs Accept=yes"
			      : "not a connection");
	(void)fprintf(stderr, help, program_invocation_name);
	return EXIT_USAGE;
}

/* Logs one error of the configuration, with the client of this connection. */
static void on_config_error(void *userdata, const char *error)
{
	const struct conn_setup *setup = userdata;

	log_event(LOG_CONFIG,
		  &(struct log_fields){ .client = slice_str(setup->client->text),
					.reason = slice_str(error) });
}

/* Opens closed standard streams; else a file opened later would become one. */
static int streams_complete(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd)
			return -errno;
	return 0;
}

/* Returns a descriptor that is readable after SIGTERM, or -1: then SIGTERM ends the process. */
static int signals_open(void)
{
	sigset_t term;
	int fd;

	(void)sigemptyset(&term); /* these three cannot fail with these arguments */
	(void)sigaddset(&term, SIGTERM);
	(void)sigprocmask(SIG_BLOCK, &term, NULL);
	fd = signalfd(-1, &term, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		(void)sigprocmask(SIG_UNBLOCK, &term, NULL);
	return fd;
}

/* Keeps the first error for conn_serve(), which then logs it and does not serve the connection. */
static void note_error(struct conn_setup *setup, int r, const char *failure)
{
	if (r < 0 && setup->error == 0) {
		setup->error = r;
		setup->failure = failure;
	}
}

/*
 * Reads the configuration, and re-executes this program as novnc-gate-dynamic if TLS or a name
 * needs the dynamic loader. With --tls it re-executes before it reads, or both programs would log
 * the same errors.
 */
static enum config_result configure(const struct options *o, char *argv[],
				    struct conn_setup *setup, struct config *ret)
{
	enum config_result r, with_option = CONFIG_OK;

	if (o->tls)
		note_error(setup, loader_reexec(argv), "cannot execute " LOADER_PROGRAM);
	r = config_load(o->file, on_config_error, setup, ret);
	if (o->proxy_protocol)
		with_option =
			config_use_proxy_protocol(ret, o->file, on_config_error, setup);
	if (with_option > r)
		r = with_option;
	journal_set_level(ret->log_level);
	if (r == CONFIG_OK && (sandbox_needs(ret, o->tls) & SANDBOX_LOAD))
		note_error(setup, loader_reexec(argv), "cannot execute " LOADER_PROGRAM);
	setup->misconfigured = r != CONFIG_OK;
	setup->cfg = ret;
	return r;
}

static void enter_sandbox(const struct options *o, struct conn_setup *setup,
			  struct sandbox *ret)
{
	int r = sandbox_enter(setup->cfg, o->tls, ret);

	if (r == 0 && ret->missing)
		log_event(LOG_SANDBOX,
			  &(struct log_fields){ .client = slice_str(setup->client->text),
						.reason = slice_str(ret->missing) });
	note_error(setup, r, "cannot enter the sandbox");
	setup->sandbox = ret;
}

/*
 * Writes the entries that are left, and waits before the exit (spread.h). PID 1 has the connection
 * open as well until this process exits, so finish() shuts the connection down if flushing or the
 * delay takes time. SIGTERM does not shorten the delay. If the journal has room at last, the delay
 * starts then, for many processes may have found room at one moment. If it never has room, the
 * process exits as long before SPREAD_END_MAX_MS as its delay is.
 */
static void finish(int connection, uint64_t delay_ms)
{
	struct pollfd no_signal = { .fd = -1 };
	uint64_t now_ms;
	bool written;

	if (!journal_flush() || delay_ms > 0)
		(void)shutdown(connection, SHUT_RDWR); /* fails if it has ended already */
	fd_close_auto(&connection);
	if (delay_ms > 0) /* else `systemctl status` would show an open session */
		journal_notify(SLICE("STATUS=closed; the process ends later"));
	written = journal_wait(delay_ms > 0 ? SPREAD_END_MAX_MS - delay_ms : ROOM_MS);
	now_ms = clock_ms();
	if (written && delay_ms > 0)
		(void)clock_wait(&no_signal, 1, now_ms, now_ms + delay_ms);
	journal_close();
}

/*
 * The order: re-execute, which loses all that the process has opened; open or map all files that
 * the connection needs; enter the sandbox, in which that is not possible any more; only then
 * read what the client has sent.
 */
static int serve(const struct options *o, char *argv[], const struct client *client)
{
	AUTO_FD int sigfd = signals_open();
	AUTO_FD int spread = -1;
	struct conn_setup setup = { .client = client,
				    .sigfd = sigfd,
				    .null_fd = STDOUT_FILENO }; /* main() */
	struct sandbox sandbox = { 0 };
	struct stream_tls tls;
	struct config cfg;
	enum config_result config;
	int r, connection;

	journal_open();
	config = configure(o, argv, &setup, &cfg);
	if (o->tls) {
		stream_tls_prepare(STDIN_FILENO, &cfg.tls, &tls);
		setup.tls = &tls;
	}
	if (o->spread)
		spread = open(o->spread, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	/* -1 after an error: then finish() cannot shut the connection down */
	connection = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0);
	if (getrandom(&setup.random, sizeof(setup.random), 0) < 0)
		note_error(&setup, -errno, "cannot draw random numbers");
	/* also after an error, because conn_serve() then still sends an error response */
	enter_sandbox(o, &setup, &sandbox);
	r = conn_serve(STDIN_FILENO, &setup);
	if (o->tls)
		stream_tls_done(&tls);
	config_done(&cfg);
	finish(connection,
	       o->spread ? spread_exit_delay_ms(spread, sandbox.tightened ? 2 : 1) : 0);
	/* -EBADMSG: conn_serve() has found an error in the configuration */
	if (config == CONFIG_INVALID || r == -EBADMSG)
		return EX_CONFIG;
	return config != CONFIG_OK || r < 0 ? EX_OSERR : EXIT_SUCCESS;
}

int main(int argc, char *argv[])
{
	struct client client;
	struct options o;
	enum client_peer peer;
	int code;

	if (streams_complete() < 0)
		return EX_OSERR;
	code = options_parse(argc, argv, &o);
	if (code >= 0)
		return code;
	(void)signal(SIGPIPE, SIG_IGN); /* writing to a closed connection fails: EPIPE */
	if (o.check)
		return check(&o, argv);
	peer = client_identify(STDIN_FILENO, &client);
	if (peer == CLIENT_GONE)
		return EXIT_SUCCESS;
	if (peer != CLIENT_CONNECTED)
		return stdin_explain(peer);
	/* systemd passes the connection as standard output as well; standard input owns it */
	(void)close(STDOUT_FILENO);
	if (open("/dev/null", O_WRONLY) != STDOUT_FILENO)
		return EX_OSERR;
	return serve(&o, argv, &client);
}
