/* SPDX-License-Identifier: MIT */
/* The sandbox: resource limits, Landlock, seccomp. */
#include "process/sandbox.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/buf.h"
#include "filters.h" /* made by src/process/gen/filters.c */
#include "process/loader.h"

/*
 * Descriptors are below this number: standard streams, signals, a connection to each backend, the
 * pipes of two flows, sockets to the journal and systemd, and those that a library has open for
 * a moment while it is loaded or resolves a name.
 */
#define SANDBOX_FILES 32

#ifdef NOVNC_GATE_UNCONFINED
const char sandbox_parts[] = "-LANDLOCK -SECCOMP";
#else
const char sandbox_parts[] = "+LANDLOCK +SECCOMP";
#endif

#define DNS_PORT 53 /* by TCP, for a response that a datagram does not hold */

/* From linux/landlock.h of Linux 6.12; older headers, and older kernels, have less of it. */
struct ruleset_attr {
	uint64_t fs, net, scoped;
};
struct port_rule {
	uint64_t allowed, port;
};
#define RULE_NET_PORT   2
#define NET_BIND_TCP    (UINT64_C(1) << 0)
#define NET_CONNECT_TCP (UINT64_C(1) << 1)
#define SCOPE_ALL       UINT64_C(3) /* abstract Unix sockets, signals */
#define ABI_NET         4
#define ABI_SCOPE       6

/* Indexed by the version of Landlock: how many access rights to files it has. They are the lowest bits. */
static const unsigned char abi_fs_rights[] = { 0, 13, 14, 15, 15, 16 };

/* Files that a process with that need may read; for a directory, all files below it. */
static const struct {
	enum sandbox_need need;
	const char *path;
} readable[] = {
	{ SANDBOX_LOAD, "/etc/ld.so.cache" },
	{ SANDBOX_LOAD, "/usr/lib" }, /* /lib is a link to it on Debian */
	{ SANDBOX_LOAD, "/usr/lib64" },
	{ SANDBOX_RESOLVE, "/etc/nsswitch.conf" },
	{ SANDBOX_RESOLVE, "/etc/resolv.conf" },
	{ SANDBOX_RESOLVE, "/etc/hosts" },
	{ SANDBOX_RESOLVE, "/etc/host.conf" },
	{ SANDBOX_RESOLVE, "/etc/gai.conf" },
	{ SANDBOX_RESOLVE, "/etc/services" },
	{ SANDBOX_RESOLVE, "/etc/mdns.allow" },
	/* directories, since resolv.conf may be replaced during a connection */
	{ SANDBOX_RESOLVE, "/run/systemd/resolve" },
	{ SANDBOX_RESOLVE, "/run/resolvconf" },
	{ SANDBOX_RESOLVE, "/run/NetworkManager" },
	{ SANDBOX_TLS, "/usr/share/ca-certificates" },
	{ SANDBOX_TLS, "/usr/local/share/ca-certificates" },
};

/* ---- needs */

unsigned sandbox_needs(const struct config *cfg, bool tls)
{
	unsigned needs = tls ? SANDBOX_TLS | SANDBOX_LOAD : 0;

	for (size_t i = 0; i < CONFIG_BACKENDS; i++) {
		const struct backend *be = &cfg->backend[i];

		if (!be->literal)
			needs |= SANDBOX_RESOLVE | SANDBOX_LOAD | SANDBOX_UNIX;
		else if (be->addr.ss_family == AF_UNIX)
			needs |= SANDBOX_UNIX;
		if (be->tls)
			needs |= SANDBOX_TLS | SANDBOX_LOAD;
	}
	return needs;
}

/* ---- limits */

/*
 * With NPROC 0 the process cannot fork, however few other processes its user has. If standard error
 * is a file, FSIZE is not set: a line written there would end the process.
 */
static int limits_set(void)
{
	static const struct rlimit none = { 0, 0 };
	struct rlimit files;
	struct stat st;

	if (fstat(STDERR_FILENO, &st) < 0 || getrlimit(RLIMIT_NOFILE, &files) < 0)
		return -errno;
	if (files.rlim_cur > SANDBOX_FILES)
		files.rlim_cur = SANDBOX_FILES;
	files.rlim_max = files.rlim_cur;
	if (setrlimit(RLIMIT_CORE, &none) < 0 || setrlimit(RLIMIT_NPROC, &none) < 0 ||
	    setrlimit(RLIMIT_NOFILE, &files) < 0 ||
	    (!S_ISREG(st.st_mode) && setrlimit(RLIMIT_FSIZE, &none) < 0))
		return -errno;
	return 0;
}

/* ---- Landlock */

/* A ruleset that is being filled; after an error nothing is added to it any more. */
struct rules {
	int ruleset, error;
};

static void allow(struct rules *rules, int type, const void *rule)
{
	if (rules->error == 0 &&
	    syscall(SYS_landlock_add_rule, rules->ruleset, type, rule, 0) < 0)
		rules->error = -errno;
}

static void allow_access(struct rules *rules, const char *path, uint64_t access)
{
	AUTO_FD int fd = open(path, O_PATH | O_CLOEXEC);
	struct landlock_path_beneath_attr rule = {
		.allowed_access = access,
		.parent_fd = fd,
	};

	if (fd >= 0) /* else it cannot be read later either */
		allow(rules, LANDLOCK_RULE_PATH_BENEATH, &rule);
}

/* The path may be NULL. */
static void allow_reading(struct rules *rules, const char *path)
{
	if (path)
		allow_access(rules, path, LANDLOCK_ACCESS_FS_READ_FILE);
}

/* Directories with ":" in between, or NULL. */
static void allow_reading_list(struct rules *rules, const char *list)
{
	struct slice rest = { list, list ? strlen(list) : 0 }, dir;
	char path[PATH_MAX];

	while (slice_split(&rest, ':', &dir)) {
		if (dir.len >= sizeof(path))
			continue; /* cannot be opened either */
		memcpy(path, dir.p, dir.len);
		path[dir.len] = '\0';
		allow_reading(rules, path);
	}
}

static void allow_port(struct rules *rules, uint16_t port)
{
	struct port_rule rule = { .allowed = NET_CONNECT_TCP, .port = port };

	allow(rules, RULE_NET_PORT, &rule);
}

/*
 * Allows the files that a backend's section names, those of OpenSSL, and the directory of the TLS
 * module, because an upgrade replaces the module's file. loader_tls() checks the version of the
 * new one.
 */
static void allow_tls(struct rules *rules, const struct config *cfg)
{
	char own[PATH_MAX];

	/* openssl.cnf may include a directory */
	allow_access(rules, "/etc/ssl",
		     LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR);
	/* environment variables of OpenSSL: certificates and settings outside /etc/ssl */
	allow_reading_list(rules, getenv("SSL_CERT_DIR"));
	allow_reading(rules, getenv("OPENSSL_CONF"));
	if (loader_path("", own) == 0)
		allow_reading(rules, own);
	for (size_t i = 0; i < CONFIG_BACKENDS; i++) {
		const struct config_backend_tls *trust = &cfg->backend[i].trust;

		allow_reading(rules, trust->ca_file);
		allow_reading(rules, trust->certificate);
		allow_reading(rules, trust->key);
	}
}

static void allow_files(struct rules *rules, unsigned needs)
{
	for (size_t i = 0; i < COUNT(readable); i++)
		if (readable[i].need & needs)
			allow_reading(rules, readable[i].path);
}

static void allow_ports(struct rules *rules, const struct config *cfg, unsigned needs)
{
	for (size_t i = 0; i < CONFIG_BACKENDS; i++)
		if (cfg->backend[i].port != 0)
			allow_port(rules, cfg->backend[i].port);
	if (needs & SANDBOX_RESOLVE)
		allow_port(rules, DNS_PORT);
}

/*
 * The version of the kernel's Landlock, or 0 where it has none or it is disabled. EPERM is not from
 * Landlock, but from a container's seccomp filter that does not know this call.
 */
static int landlock_abi(void)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0,
			   LANDLOCK_CREATE_RULESET_VERSION);

	if (abi < 0)
		return errno == ENOSYS || errno == EOPNOTSUPP || errno == EPERM ? 0
										: -errno;
	return (int)abi;
}

static int landlock_enter(const struct config *cfg, unsigned needs, int abi)
{
	size_t last = COUNT(abi_fs_rights) - 1;
	unsigned rights = abi_fs_rights[(size_t)abi < last ? (size_t)abi : last];
	struct ruleset_attr attr = {
		.fs = (UINT64_C(1) << rights) - 1,
		.net = abi >= ABI_NET ? NET_BIND_TCP | NET_CONNECT_TCP : 0,
		.scoped = abi >= ABI_SCOPE ? SCOPE_ALL : 0,
	};
	AUTO_FD int ruleset =
		(int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);
	struct rules rules = { .ruleset = ruleset };

	if (ruleset < 0)
		return -errno;
	allow_files(&rules, needs);
	if (needs & SANDBOX_TLS)
		allow_tls(&rules, cfg);
	if (abi >= ABI_NET)
		allow_ports(&rules, cfg, needs);
	if (rules.error < 0)
		return rules.error;
	return syscall(SYS_landlock_restrict_self, ruleset, 0) < 0 ? -errno : 0;
}

/* ---- seccomp */

static bool seccomp_exists(void)
{
	static const uint32_t action = SECCOMP_RET_KILL_PROCESS;

	return syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0;
}

static int seccomp_enter(const struct sock_fprog *program)
{
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, program) < 0 ? -errno : 0;
}

#define PROGRAM(filter)                                                       \
	{                                                                     \
		(unsigned short)COUNT(filter), (struct sock_filter *)(filter) \
	}
#define SECCOMP_ENTER(filter) seccomp_enter(&(struct sock_fprog)PROGRAM(filter))

/* For a tunnel: by the family of the address to which rechecks connect, without TLS and with it. */
static const struct {
	int family;
	struct sock_fprog plain, tls;
} tunnel[] = {
	{ AF_UNSPEC, PROGRAM(filter_tunnel), PROGRAM(filter_tunnel_tls) },
	{ AF_INET, PROGRAM(filter_tunnel_inet), PROGRAM(filter_tunnel_tls_inet) },
	{ AF_INET6, PROGRAM(filter_tunnel_inet6), PROGRAM(filter_tunnel_tls_inet6) },
	{ AF_UNIX, PROGRAM(filter_tunnel_unix), PROGRAM(filter_tunnel_tls_unix) },
};

static int seccomp_enter_needs(unsigned needs)
{
	switch (needs) {
	case 0: return SECCOMP_ENTER(filter_serve);
	case SANDBOX_UNIX: return SECCOMP_ENTER(filter_unix);
	case SANDBOX_TLS | SANDBOX_LOAD: return SECCOMP_ENTER(filter_tls);
	case SANDBOX_TLS | SANDBOX_LOAD | SANDBOX_UNIX:
		return SECCOMP_ENTER(filter_tls_unix);
	default: return SECCOMP_ENTER(filter_resolve); /* allows all that these allow */
	}
}

/* ---- the functions of sandbox.h */

/* The scopes of Landlock (ABI_SCOPE) are not reported as missing. */
static const char *missing(int abi, bool seccomp)
{
	if (abi == 0)
		return seccomp ? "Landlock is not available"
			       : "Landlock and seccomp are not available";
	if (abi < ABI_NET)
		return seccomp ? "Landlock rules for TCP are not available"
			       : "Landlock rules for TCP and seccomp are not available";
	return seccomp ? NULL : "seccomp is not available";
}

int sandbox_enter(const struct config *cfg, bool tls, struct sandbox *ret)
{
	unsigned needs = sandbox_needs(cfg, tls);
	bool lacks_seccomp;
	int abi, r;

#ifdef NOVNC_GATE_UNCONFINED
	*ret = (struct sandbox){ .missing = "this build has no sandbox" };
	return 0;
#endif
	abi = landlock_abi();
	if (abi < 0)
		return abi;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return -errno;
	r = limits_set();
	if (r == 0 && abi > 0)
		r = landlock_enter(cfg, needs, abi);
	if (r < 0)
		return r;
	r = seccomp_enter_needs(needs);
	lacks_seccomp = (r == -ENOSYS || r == -EINVAL) && !seccomp_exists();
	if (r < 0 && !lacks_seccomp)
		return r;
	ret->missing = missing(abi, !lacks_seccomp);
	ret->seccomp = lacks_seccomp         ? SANDBOX_NO_SECCOMP
		       : needs & SANDBOX_TLS ? SANDBOX_SECCOMP_TLS
					     : SANDBOX_SECCOMP;
	return 0;
}

int sandbox_tighten(struct sandbox *sandbox, int family)
{
	sandbox->tightened = true;
	if (sandbox->seccomp == SANDBOX_NO_SECCOMP)
		return 0; /* sandbox_enter() has named it as missing */
	for (size_t i = 0; i < COUNT(tunnel); i++)
		if (tunnel[i].family == family)
			return seccomp_enter(sandbox->seccomp == SANDBOX_SECCOMP_TLS
						     ? &tunnel[i].tls
						     : &tunnel[i].plain);
	return -EAFNOSUPPORT;
}
