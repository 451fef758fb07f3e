/* SPDX-License-Identifier: MIT */
/* The values of novnc-gate.conf(5) as plain data; config_load.h reads them. */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/clock.h"
#include "base/network.h"

/* The longest finite time span, in milliseconds: it fits the time-out of poll(2), see clock_wait(). */
#define CONFIG_SPAN_MAX (24 * 86400000ULL)

/* Bounds of HeadMaxBytes=. */
#define CONFIG_HEAD_MIN 1024
#define CONFIG_HEAD_MAX (256 * 1024)

enum config_backend {
	CONFIG_NEXTJS,
	CONFIG_CONTROLLER,
	CONFIG_BACKENDS,
};

/* TLS to a backend whose Url= is https://. */
struct config_backend_tls {
	bool verify;             /* VerifyTls= */
	const char *ca_file;     /* CaFile=; NULL: the system's certificates */
	const char *certificate; /* ClientCertificate=, or NULL */
	const char *key;         /* ClientKey=; NULL: in the certificate's file */
};

/* TLS to clients, section [Tls]. A name without "/" is that of a credential. */
struct config_tls {
	const char *certificate;    /* Certificate= */
	const char *key;            /* Key= */
	const char *ticket_key;     /* TicketKey= */
	const char *client_ca_file; /* ClientCaFile=, or NULL */
};

/* Section [NextJs] or [MasterController]; most of it is parsed from Url=. */
struct backend {
	const char *name;    /* "Next.js" or "master-controller", for messages */
	const char *section; /* "NextJs" or "MasterController", for messages */
	const char *url;     /* Url= as it is written */
	/* the Host to send: "host:port", "host" at the default port, "localhost" for unix: */
	char authority[280];
	char host[256]; /* name or address without brackets; "" for unix: */
	uint16_t port;  /* 0 for unix: */
	bool tls;       /* https:// */
	bool literal;   /* host is an address, or unix: nothing to resolve */
	struct sockaddr_storage addr; /* if literal */
	socklen_t addr_len;
	/* if tls: how to verify the backend, and the gate's own certificate and key */
	struct config_backend_tls trust;
};

/* How a session that cannot be opened is refused. */
enum config_upgrade_errors {
	CONFIG_UPGRADE_ERRORS_HTTP,  /* with an HTTP status */
	CONFIG_UPGRADE_ERRORS_CLOSE, /* with a 101 and a Close */
};

/* A list of words with NULL at its end. */
typedef const char *const *config_list;

/* Read-only once it is loaded. Each row of config_keys.c sets a member, maybe a nested one. */
struct config {
	struct backend backend[CONFIG_BACKENDS];
	bool rewrite_origin;                       /* RewriteOrigin= */
	config_list novnc_path;                    /* NoVncPath= */
	config_list controller_path;               /* ControllerPath= */
	config_list nextjs_upgrade_path;           /* NextJsUpgradePath= */
	config_list allowed_origins;               /* AllowedOrigins= */
	enum config_upgrade_errors upgrade_errors; /* UpgradeErrors= */
	config_list health_path;                   /* HealthPath= */
	config_list trusted_proxies;               /* TrustedProxies= */
	struct network_list trusted;               /* the networks of trusted_proxies */
	bool proxy_protocol;        /* ProxyProtocol=, or --proxy-protocol */
	const char *authorize_path; /* [Authorization] Path=, or NULL */
	uint64_t authorize_ms;      /* [Authorization] TimeoutSec= */
	uint64_t recheck_ms;        /* RecheckSec=; CLOCK_INFINITY: never */
	struct config_tls tls;      /* [Tls] */
	uint64_t head_max;          /* HeadMaxBytes=, bytes */
	/* milliseconds, or CLOCK_INFINITY */
	uint64_t head_ms;          /* HeadTimeoutSec= */
	uint64_t keep_alive_ms;    /* KeepAliveTimeoutSec= */
	uint64_t connect_ms;       /* ConnectTimeoutSec= */
	uint64_t upgrade_ms;       /* UpgradeTimeoutSec= */
	uint64_t response_ms;      /* ResponseTimeoutSec= */
	uint64_t body_ms;          /* BodyTimeoutSec= */
	uint64_t linger_ms;        /* LingerTimeoutSec= */
	uint64_t idle_ms;          /* IdleTimeoutSec= */
	uint64_t session_ms;       /* SessionTimeoutSec= */
	uint64_t heartbeat_ms;     /* HeartbeatSec=; 0: no Pings */
	int log_level;             /* Level=, as in syslog(3) */
	struct config_text *texts; /* of the files; the strings point into them */
};
