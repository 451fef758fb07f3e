/* SPDX-License-Identifier: MIT */
/* The sandbox: resource limits, Landlock, seccomp. */
#include "process/sandbox.h"

/* Of enum sandbox_need, all together. */
static unsigned needs_of(const struct config *cfg, bool tls)
{
	unsigned needs = tls ? SANDBOX_TLS : 0;

	for (size_t i = 0; i < CONFIG_BACKENDS; i++) {
		const struct backend *be = &cfg->backend[i];

		if (!be->literal)
			needs |= SANDBOX_RESOLVE;
		else if (be->addr.ss_family == AF_UNIX)
			needs |= SANDBOX_UNIX;
		if (be->tls)
			needs |= SANDBOX_TLS;
	}
	return needs;
}

bool sandbox_needs(const struct config *cfg, bool tls, enum sandbox_need need)
{
	return (needs_of(cfg, tls) & need) == need;
}

#ifdef NOVNC_GATE_NO_SANDBOX

int sandbox_enter(const struct config *cfg, bool tls, struct sandbox *ret)
{
	(void)cfg;
	(void)tls;
	*ret = (struct sandbox){ .missing = "this build has no sandbox" };
	return 0;
}

int sandbox_tighten(const struct sandbox *sandbox)
{
	(void)sandbox;
	return 0;
}

#else

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

#define COUNT(array)  (sizeof(array) / sizeof((array)[0]))

/*
 * Descriptors are below this number: standard streams, signals, a connection to each backend, the
 * pipes of two flows, sockets to the journal and systemd, and those that a library has open for
 * a moment while it is loaded or resolves a name.
 */
#define SANDBOX_FILES 32

#define DNS_PORT        53 /* by TCP, for a response that a datagram does not hold */

/* From linux/landlock.h of Linux 6.12; older headers, and older kernels, have less of it. */
struct ruleset {
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

/* By version of Landlock: the number of access rights to files, which are its lowest bits. */
static const unsigned char abi_fs_rights[] = { 0, 13, 14, 15, 15, 16 };

/* Files that a process with these needs may read; of directories, all files below. */
static const struct {
	unsigned needs;
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

/* ---- limits */

/*
 * With NPROC 0 the process cannot fork, however few other processes its user has. FSIZE stays
 * as it is where standard error is a file: a line written to it would end the process.
 */
static int limits_set(void)
{
	static const struct rlimit none = { 0, 0 };
	struct rlimit files;
	struct stat st;
	bool log_is_file;

	if (fstat(STDERR_FILENO, &st) < 0 || getrlimit(RLIMIT_NOFILE, &files) < 0)
		return -errno;
	log_is_file = S_ISREG(st.st_mode);
	if (files.rlim_cur > SANDBOX_FILES)
		files.rlim_cur = SANDBOX_FILES;
	files.rlim_max = files.rlim_cur;
	if (setrlimit(RLIMIT_CORE, &none) < 0 || setrlimit(RLIMIT_NPROC, &none) < 0 ||
	    setrlimit(RLIMIT_NOFILE, &files) < 0 ||
	    (!log_is_file && setrlimit(RLIMIT_FSIZE, &none) < 0))
		return -errno;
	return 0;
}

/* ---- Landlock */

static int allow_access(int ruleset, const char *path, uint64_t access)
{
	AUTO_FD int fd = open(path, O_PATH | O_CLOEXEC);
	struct landlock_path_beneath_attr rule = {
		.allowed_access = access,
		.parent_fd = fd,
	};

	if (fd < 0)
		return 0; /* it cannot be read later either */
	return syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule,
		       0) < 0
		       ? -errno
		       : 0;
}

static int allow_reading(int ruleset, const char *path)
{
	return allow_access(ruleset, path, LANDLOCK_ACCESS_FS_READ_FILE);
}

static int allow_port(int ruleset, uint16_t port)
{
	struct port_rule rule = { .allowed = NET_CONNECT_TCP, .port = port };

	return syscall(SYS_landlock_add_rule, ruleset, RULE_NET_PORT, &rule, 0) < 0
		       ? -errno
		       : 0;
}

/*
 * The files that keys of backends name, those of OpenSSL, and the directory of the TLS module:
 * not its file, for an upgrade puts another one in its place, and loader_tls() looks whether it
 * is of this version.
 */
static int allow_tls(int ruleset, const struct config *cfg)
{
	/* OpenSSL's, for its certificates and its settings elsewhere than in /etc/ssl */
	static const char *const variables[] = { "SSL_CERT_DIR", "OPENSSL_CONF" };
	char own[PATH_MAX];
	/* openssl.cnf may include a directory */
	int r = allow_access(ruleset, "/etc/ssl",
			     LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR);

	for (size_t i = 0; r == 0 && i < COUNT(variables); i++)
		if (getenv(variables[i]))
			r = allow_reading(ruleset, getenv(variables[i]));
	if (r == 0 && loader_path("", "", own) == 0)
		r = allow_reading(ruleset, own);
	for (size_t i = 0; i < CONFIG_BACKENDS; i++) {
		const struct config_trust *trust = &cfg->backend[i].trust;
		const char *const files[] = { trust->ca_file, trust->certificate,
					      trust->key };

		for (size_t k = 0; r == 0 && k < COUNT(files); k++)
			if (files[k])
				r = allow_reading(ruleset, files[k]);
	}
	return r;
}

static int allow_files(int ruleset, unsigned needs)
{
	int r = 0;

	for (size_t i = 0; i < COUNT(readable) && r == 0; i++)
		if ((readable[i].needs & needs) == readable[i].needs)
			r = allow_reading(ruleset, readable[i].path);
	return r;
}

static int allow_ports(int ruleset, const struct config *cfg, unsigned needs)
{
	int r = 0;

	for (size_t i = 0; i < CONFIG_BACKENDS && r == 0; i++)
		if (cfg->backend[i].port != 0)
			r = allow_port(ruleset, cfg->backend[i].port);
	if (r == 0 && (needs & SANDBOX_RESOLVE) == SANDBOX_RESOLVE)
		r = allow_port(ruleset, DNS_PORT);
	return r;
}

/*
 * The version of the kernel's Landlock, or 0 where it has none or it is disabled. Landlock itself
 * never fails here with EPERM: that is the seccomp filter of a container that does not know it.
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
	struct ruleset attr = {
		.fs = (UINT64_C(1) << rights) - 1,
		.net = abi >= ABI_NET ? NET_BIND_TCP | NET_CONNECT_TCP : 0,
		.scoped = abi >= ABI_SCOPE ? SCOPE_ALL : 0,
	};
	AUTO_FD int ruleset =
		(int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);
	int r;

	if (ruleset < 0)
		return -errno;
	r = allow_files(ruleset, needs);
	if (r == 0 && (needs & SANDBOX_TLS) == SANDBOX_TLS)
		r = allow_tls(ruleset, cfg);
	if (r == 0 && abi >= ABI_NET)
		r = allow_ports(ruleset, cfg, needs);
	if (r == 0 && syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
		r = -errno;
	return r;
}

/* ---- seccomp */

static bool seccomp_exists(void)
{
	static const uint32_t action = SECCOMP_RET_KILL_PROCESS;

	return syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0;
}

static int seccomp_enter(const struct sock_filter *filter, size_t len)
{
	struct sock_fprog program = { (unsigned short)len, (struct sock_filter *)filter };

	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0 ? -errno
									      : 0;
}

#define SECCOMP_ENTER(filter) seccomp_enter(filter, COUNT(filter))

static int seccomp_enter_needs(unsigned needs)
{
	switch (needs) {
	case 0: return SECCOMP_ENTER(filter_serve);
	case SANDBOX_UNIX: return SECCOMP_ENTER(filter_unix);
	case SANDBOX_TLS: return SECCOMP_ENTER(filter_tls);
	case SANDBOX_TLS | SANDBOX_UNIX: return SECCOMP_ENTER(filter_tls_unix);
	default: return SECCOMP_ENTER(filter_resolve); /* allows what all others allow */
	}
}

/* ---- what sandbox.h promises */

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
	unsigned needs = needs_of(cfg, tls);
	int abi = landlock_abi(), r;

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
	if (r < 0 && !((r == -ENOSYS || r == -EINVAL) && !seccomp_exists()))
		return r;
	ret->missing = missing(abi, r == 0);
	ret->seccomp = r < 0                                  ? SANDBOX_NO_SECCOMP
		       : (needs & SANDBOX_TLS) == SANDBOX_TLS ? SANDBOX_SECCOMP_TLS
							      : SANDBOX_SECCOMP;
	return 0;
}

int sandbox_tighten(const struct sandbox *sandbox)
{
	switch (sandbox->seccomp) {
	case SANDBOX_NO_SECCOMP: break; /* sandbox_enter() has named it as missing */
	case SANDBOX_SECCOMP: return SECCOMP_ENTER(filter_tunnel);
	case SANDBOX_SECCOMP_TLS: return SECCOMP_ENTER(filter_tunnel_tls);
	}
	return 0;
}

#endif
