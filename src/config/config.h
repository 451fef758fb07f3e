/* SPDX-License-Identifier: MIT */
/* novnc-gate.conf(5) and its drop-ins as one read-only struct. */
#ifndef NOVNC_GATE_CONFIG_H
#define NOVNC_GATE_CONFIG_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/clock.h"

/* The longest time span beside `infinity`: it fits poll(2). */
#define CONFIG_SPAN_MAX (24 * 86400000ULL)

/* Bounds of HeadMaxBytes=. */
#define CONFIG_HEAD_MIN 1024
#define CONFIG_HEAD_MAX (256 * 1024)

/* So many things that are wrong are reported, then no more. */
#define CONFIG_REPORTS_MAX 20

enum config_backend {
	CONFIG_NEXTJS,
	CONFIG_CONTROLLER,
	CONFIG_BACKENDS,
};

/* How a backend behind https:// is verified, and which certificate it is shown. */
struct config_trust {
	bool verify;             /* VerifyTls= */
	const char *ca_file;     /* CaFile=; NULL: the system's store */
	const char *certificate; /* ClientCertificate=, or NULL */
	const char *key;         /* ClientKey=; NULL: in the certificate's file */
};

/* [Tls]: what a client that speaks TLS is shown. Names without "/" are credentials. */
struct config_tls {
	const char *certificate;    /* Certificate= */
	const char *key;            /* Key= */
	const char *ticket_key;     /* TicketKey= */
	const char *client_ca_file; /* ClientCaFile=, or NULL */
};

/* One `Url=`, taken apart. */
struct backend {
	const char *name;    /* "Next.js", "master-controller": for people */
	const char *section; /* "NextJs", "MasterController": of its keys */
	const char *url;     /* as configured */
	/* what Host says: "host:port", "host" at the default port, "localhost" for unix: */
	char authority[280];
	char host[256]; /* name or address without brackets; "" for unix: */
	uint16_t port;
	bool tls;                     /* https:// */
	bool literal;                 /* addr holds the address, nothing to resolve */
	struct sockaddr_storage addr; /* of a literal address or a unix: path */
	socklen_t addr_len;
	struct config_trust trust;
};

/* A list of words, NULL at its end. */
typedef const char *const *config_list;

/* A file's text, which values point into. */
struct config_text;

struct config {
	struct backend backend[CONFIG_BACKENDS];
	bool rewrite_origin;             /* RewriteOrigin= */
	config_list novnc_path;          /* NoVncPath= */
	config_list controller_path;     /* ControllerPath= */
	config_list nextjs_upgrade_path; /* NextJsUpgradePath= */
	config_list allowed_origins;     /* AllowedOrigins= */
	struct config_tls tls;           /* [Tls] */
	size_t head_max;                 /* HeadMaxBytes=, bytes */
	/* all in milliseconds, CLOCK_INFINITY where the file says infinity */
	uint64_t head_ms, keep_alive_ms, connect_ms, upgrade_ms, response_ms, body_ms,
		linger_ms, idle_ms;
	int log_level;             /* Level=, as in syslog(3) */
	struct config_text *texts; /* what the pointers above point into */
};

/*
 * Told of each thing that is wrong: the file, the line (0: the file as a whole) and one
 * sentence that names the allowed values.
 */
typedef void (*config_report)(void *userdata, const char *file, unsigned line,
			      const char *what);

/* The defaults, with nothing read and nothing allocated. */
void config_init(struct config *ret);

/*
 * Reads file and then file.d/ *.conf in order of name on top of the defaults. A missing
 * file.d is nothing; a missing file is an error. Goes on after an error, so that all are
 * reported. Returns 0, or after the last report -EBADMSG, or -EMFILE, -ENFILE or -ENOMEM
 * where no edit of a file would help; *ret is usable either way (what is wrong is as if
 * it were not there) and wants config_done().
 */
int config_load(const char *file, config_report report, void *userdata,
		struct config *ret);

/* Reads one file's text, wherever it comes from, on top of *c. Returns as config_load(). */
int config_parse_text(const char *file, const char *text, size_t len,
		      config_report report, void *userdata, struct config *c);

/* Prints every section, key and effective value in the file's own syntax (for --check). */
void config_print(const struct config *c);

/* Gives the text back that the lists and URLs point into. */
void config_done(struct config *c);

#endif
