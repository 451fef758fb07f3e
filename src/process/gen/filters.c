/* SPDX-License-Identifier: MIT */
/*
 * Run by make: the table of the system calls that the gate may make. It becomes the programs in
 * build/filters.h, so that a process installs each with one call.
 *
 * A call for which the table has no rule ends the process, so that it is noticed. A rule with an
 * error is for calls that libraries can do without. Calls that this libseccomp does not know yet
 * fail with ENOSYS, as on an older kernel, for which a newer C library has a fallback.
 */
#include <endian.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/seccomp.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "process/gen/program.h"
#include "process/sandbox.h"

/* Bits: when a rule holds. Before a tunnel, always (SERVE) or with one of the needs: */
#define SERVE         16
#define UNIX          SANDBOX_UNIX
#define LOAD          SANDBOX_LOAD
#define RESOLVE       SANDBOX_RESOLVE
#define TLS           SANDBOX_TLS
/* In a tunnel: */
#define TUNNEL        32
#define TUNNEL_TLS    64 /* if TLS was possible before it */
/* In a tunnel that connects to Next.js again and again (RecheckSec=), by that family: */
#define RECHECK       128
#define RECHECK_INET  256
#define RECHECK_INET6 512
#define RECHECK_UNIX  1024
#define RECHECK_TLS   2048 /* likewise, and TLS was possible before it */

/* A tunnel that is rechecked, if TLS was possible before it; the family is added. */
#define SECURED (TUNNEL | TUNNEL_TLS | RECHECK | RECHECK_TLS)

/* Offsets of the two halves of an argument. */
#define HALF(arg, half) (offsetof(struct seccomp_data, args) + 8 * (arg) + 4 * (half))
#define LOWER(arg)      HALF(arg, __BYTE_ORDER == __LITTLE_ENDIAN ? 0 : 1)
#define UPPER(arg)      HALF(arg, __BYTE_ORDER == __LITTLE_ENDIAN ? 1 : 0)

/* Tests of an int argument: the lower half only, like the kernel. */
#define IS(arg, value) BITS(arg, UINT32_MAX, value)
#define BITS(arg, mask, value)                                  \
	{                                                       \
		LOWER(arg), (uint32_t)(mask), (uint32_t)(value) \
	}
/* A test of both halves. */
#define NULL_POINTER(arg)                 \
	IS(arg, 0),                       \
	{                                 \
		UPPER(arg), UINT32_MAX, 0 \
	}

#define SOCK_TYPE       0xf /* without SOCK_CLOEXEC, SOCK_NONBLOCK */
#define SOCK(family, t) IS(0, family), BITS(1, SOCK_TYPE, t), IS(2, 0)

/* Calls that are allowed, or fail with that error, where all tests hold. */
#define ALLOW(when, ...)       RULE(when, SECCOMP_RET_ALLOW, __VA_ARGS__)
#define FAIL(when, error, ...) RULE(when, SECCOMP_RET_ERRNO | (error), __VA_ARGS__)
#define RULE(when, action, calls, ...) \
	{                              \
		when, action, calls,   \
		{                      \
			__VA_ARGS__    \
		}                      \
	}
static const struct rule {
	unsigned when;
	uint32_t action;
	const char *calls;
	struct program_test test[PROGRAM_TESTS];
} rules[] = {
	/* moving bytes, ending connections, waiting: poll() is ppoll on some architectures,
	 * and the kernel resumes it as restart_syscall after SIGSTOP */
	ALLOW(SERVE | TUNNEL, "writev splice shutdown close"),
	ALLOW(SERVE, "recvfrom"),
	ALLOW(TUNNEL, "recvfrom", IS(3, 0)),
	ALLOW(SERVE | TUNNEL, "pipe2", IS(1, O_CLOEXEC | O_NONBLOCK)),
	ALLOW(SERVE | TUNNEL, "tee", IS(3, SPLICE_F_NONBLOCK)),
	ALLOW(SERVE | TUNNEL, "poll ppoll restart_syscall"),
	/* to empty a pipe where splice() fails; to read pids.current (spread.c) */
	ALLOW(SERVE | TUNNEL, "read"),
	ALLOW(SERVE | TUNNEL, "clock_gettime"), /* where there is no vDSO for it */
	ALLOW(SERVE | TUNNEL, "brk munmap exit_group"),
	ALLOW(SERVE | TUNNEL, "getpid"),   /* in log lines, and journal_close() */
	ALLOW(SERVE | RECHECK, "connect"), /* Landlock limits the ports */
	ALLOW(SERVE,
	      "getsockname getpeername"), /* whether a backend is the gate itself */
	/* dlopen(); Landlock limits the files */
	ALLOW(LOAD, "pread64 lseek fstat newfstatat madvise mremap"),
	ALLOW(LOAD, "futex getrandom"), /* pthread_once(), malloc() */
	/* OpenSSL on a socket, its random numbers and its locks */
	ALLOW(TLS | TUNNEL_TLS, "write getrandom futex"),
	ALLOW(TLS | TUNNEL_TLS, "uname"),  /* where getrandom() fails; see below */
	ALLOW(TLS, "readlink readlinkat"), /* to find the module */
	ALLOW(TLS, "getdents64"),          /* a directory that openssl.cnf includes */
	ALLOW(TLS, "sysinfo"), /* qsort() of glibc up to 2.36: how much memory there is */
	/* getaddrinfo(): DNS, and the modules of nsswitch.conf (resolve, myhostname, mdns) */
	ALLOW(RESOLVE, "bind getsockopt setsockopt getuid geteuid getgid getegid"),
	ALLOW(RESOLVE, "recvmsg write access faccessat faccessat2 uname gettid"),
	ALLOW(RESOLVE,
	      "rt_sigprocmask rt_sigaction rt_sigreturn"), /* loader_resolve(): SIGTERM */
	/* for modules of other vendors; no more harmful than those above */
	ALLOW(RESOLVE, "recvmmsg readv select pselect6 gettimeofday clock_nanosleep"),
	ALLOW(RESOLVE, "epoll_create1 epoll_ctl epoll_wait epoll_pwait"),
	ALLOW(RESOLVE, "timerfd_create timerfd_settime eventfd2 sched_getaffinity"),
	ALLOW(RESOLVE,
	      "stat statx statfs fstatfs getdents64 readlink readlinkat sysinfo"),

	ALLOW(SERVE | TUNNEL, "fcntl", IS(1, F_SETPIPE_SZ)),
	/* memory given back */
	ALLOW(SERVE | TUNNEL, "madvise", IS(2, MADV_DONTNEED)),
	/* to end a connection with a reset */
	ALLOW(SERVE | TUNNEL, "setsockopt", IS(1, SOL_SOCKET), IS(2, SO_LINGER)),
	/* whether a peer still acknowledges bytes */
	ALLOW(SERVE | TUNNEL, "getsockopt", IS(1, IPPROTO_TCP), IS(2, TCP_INFO)),
	ALLOW(SERVE | TUNNEL, "mmap", BITS(2, PROT_EXEC, 0)),
	/* sandbox_tighten() */
	ALLOW(SERVE, "seccomp", IS(0, SECCOMP_SET_MODE_FILTER)),

	/* Connecting. Only protocol 0: the rules of Landlock do not hold for MPTCP and SCTP. */
	ALLOW(SERVE, "socket", SOCK(AF_INET, SOCK_STREAM)),
	ALLOW(SERVE, "socket", SOCK(AF_INET6, SOCK_STREAM)),
	ALLOW(UNIX, "socket", SOCK(AF_UNIX, SOCK_STREAM)),
	ALLOW(RECHECK_INET, "socket", SOCK(AF_INET, SOCK_STREAM)),
	ALLOW(RECHECK_INET6, "socket", SOCK(AF_INET6, SOCK_STREAM)),
	ALLOW(RECHECK_UNIX, "socket", SOCK(AF_UNIX, SOCK_STREAM)),
	ALLOW(SERVE, "getsockopt", IS(1, SOL_SOCKET)),
	ALLOW(RECHECK, "getsockopt", IS(1, SOL_SOCKET), IS(2, SO_ERROR)),
	ALLOW(SERVE | RECHECK, "setsockopt", IS(1, IPPROTO_TCP), IS(2, TCP_NODELAY)),
	ALLOW(SERVE, "setsockopt", IS(1, IPPROTO_TCP), IS(2, TCP_KEEPIDLE)),
	ALLOW(SERVE, "setsockopt", IS(1, IPPROTO_TCP), IS(2, TCP_KEEPINTVL)),
	ALLOW(SERVE, "setsockopt", IS(1, IPPROTO_TCP), IS(2, TCP_KEEPCNT)),
	ALLOW(SERVE, "setsockopt", IS(1, SOL_SOCKET), IS(2, SO_KEEPALIVE)),
	ALLOW(SERVE, "fcntl", IS(1, F_GETFL)),
	ALLOW(SERVE, "fcntl", IS(1, F_SETFL)),

	/* Log entries, the status for systemd; SIOCOUTQ: has journald, or a client, everything? */
	ALLOW(SERVE | TUNNEL, "sendto", IS(3, MSG_NOSIGNAL | MSG_DONTWAIT)),
	ALLOW(SERVE | TUNNEL, "ioctl", IS(1, SIOCOUTQ)),

	/* dlopen(): only files become executable, never memory that is or was writable */
	ALLOW(LOAD, "openat", BITS(2, O_ACCMODE | O_CREAT | O_TRUNC, O_RDONLY)),
	ALLOW(LOAD, "mmap", BITS(2, PROT_EXEC | PROT_WRITE, PROT_EXEC),
	      BITS(3, MAP_ANONYMOUS, 0)),
	ALLOW(LOAD, "mprotect", BITS(2, PROT_EXEC, 0)),

	/* OpenSSL tries these where getrandom() fails, before it gives up. Before a tunnel,
	 * Landlock makes openat fail. */
	FAIL(TLS | TUNNEL_TLS, ENOSYS, "shmget"),
	FAIL(TUNNEL_TLS, EACCES, "openat"),
	/* OpenSSL looks for an authority of which it has read no certificate before the tunnel */
	FAIL(RECHECK_TLS, EACCES, "newfstatat"),
	ALLOW(RECHECK_TLS, "sysinfo"), /* qsort(), see above */

	ALLOW(RESOLVE, "prctl", IS(0, PR_CAPBSET_READ)), /* libcap when it is loaded */
	/* tried by modules that can do without */
	FAIL(RESOLVE, ENOSYS, "memfd_create"),
	FAIL(RESOLVE, EACCES, "openat", BITS(2, O_ACCMODE, O_WRONLY)),
	FAIL(RESOLVE, EACCES, "openat", BITS(2, O_ACCMODE, O_RDWR)),
	/* without Fast Open, which connects without regard to Landlock */
	ALLOW(RESOLVE, "sendto", BITS(3, MSG_FASTOPEN, 0)),
	ALLOW(RESOLVE, "sendmsg", BITS(2, MSG_FASTOPEN, 0)),
	ALLOW(RESOLVE, "sendmmsg", BITS(3, MSG_FASTOPEN, 0)),
	/* getaddrinfo() and its modules, with these arguments only */
	ALLOW(RESOLVE, "socket", SOCK(AF_UNIX, SOCK_DGRAM)),
	ALLOW(RESOLVE, "socket", SOCK(AF_INET, SOCK_DGRAM)),
	ALLOW(RESOLVE, "socket", SOCK(AF_INET6, SOCK_DGRAM)),
	ALLOW(RESOLVE, "socket", IS(0, AF_NETLINK), IS(2, NETLINK_ROUTE)),
	ALLOW(RESOLVE, "prlimit64", NULL_POINTER(2)),
	ALLOW(RESOLVE, "ioctl", IS(1, FIONREAD)),
	ALLOW(RESOLVE, "ioctl", IS(1, SIOCGIFINDEX)),
	ALLOW(RESOLVE, "ioctl", IS(1, SIOCGIFNAME)),
	ALLOW(RESOLVE, "fcntl", IS(1, F_GETFD)),
	ALLOW(RESOLVE, "fcntl", IS(1, F_SETFD)),
};

/* One more than the highest number that this libseccomp knows. */
static uint32_t calls_known(void)
{
	for (int n = PROGRAM_CALLS; n > 0; n--) {
		char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, n - 1);

		free(name);
		if (name)
			return (uint32_t)n;
	}
	errx(EXIT_FAILURE, "libseccomp knows no system calls");
}

static void rules_add(struct program_rules *r, const char *call, const struct rule *rule)
{
	int number = seccomp_syscall_resolve_name(call);
	struct program_rule *added = &r->rule[r->n_rules];

	if (number == __NR_SCMP_ERROR)
		errx(EXIT_FAILURE, "%s: no such system call", call);
	if (number < 0)
		return; /* this architecture has another one for it */
	if (r->n_rules++ == PROGRAM_RULES)
		errx(EXIT_FAILURE, "more than %d rules", PROGRAM_RULES);
	added->call = (uint32_t)number;
	added->action = rule->action;
	memcpy(added->test, rule->test, sizeof(added->test));
}

/* All calls in the table that have any of these bits. */
static void rules_of(unsigned when, struct program_rules *ret)
{
	*ret = (struct program_rules){
		.arch = seccomp_arch_native(),
		.first_unknown = calls_known(),
		.otherwise = SECCOMP_RET_KILL_PROCESS,
		.newer = SECCOMP_RET_ERRNO | ENOSYS,
	};
	for (size_t i = 0; i < COUNT(rules); i++) {
		char *calls = strdup(rules[i].calls), *rest = calls, *call;

		if (!calls)
			err(EXIT_FAILURE, "strdup");
		while (rules[i].when & when && (call = strsep(&rest, " ")))
			rules_add(ret, call, &rules[i]);
		free(calls);
	}
}

static const struct filter {
	const char *name;
	unsigned when;
} filters[] = {
	{ "filter_serve", SERVE },
	{ "filter_unix", SERVE | UNIX },
	{ "filter_tls", SERVE | LOAD | TLS },
	{ "filter_tls_unix", SERVE | LOAD | UNIX | TLS },
	{ "filter_resolve", SERVE | LOAD | UNIX | RESOLVE | TLS },
	{ "filter_tunnel", TUNNEL },
	{ "filter_tunnel_inet", TUNNEL | RECHECK | RECHECK_INET },
	{ "filter_tunnel_inet6", TUNNEL | RECHECK | RECHECK_INET6 },
	{ "filter_tunnel_unix", TUNNEL | RECHECK | RECHECK_UNIX },
	{ "filter_tunnel_tls", TUNNEL | TUNNEL_TLS },
	{ "filter_tunnel_tls_inet", SECURED | RECHECK_INET },
	{ "filter_tunnel_tls_inet6", SECURED | RECHECK_INET6 },
	{ "filter_tunnel_tls_unix", SECURED | RECHECK_UNIX },
};

static void filter_print(const struct filter *f)
{
	static struct program_rules r;
	struct sock_filter program[PROGRAM_MAX];
	size_t n;

	rules_of(f->when, &r);
	n = program_make(&r, program);
	(void)printf("static const struct sock_filter %s[] = {\n", f->name);
	for (size_t i = 0; i < n; i++)
		(void)printf("\t{ 0x%02x, %u, %u, 0x%08x },\n", program[i].code,
			     program[i].jt, program[i].jf, program[i].k);
	(void)printf("};\n\n");
}

int main(void)
{
	(void)printf(
		"/* Made by src/process/gen/filters.c; linux/filter.h comes first. */\n\n");
	for (size_t i = 0; i < COUNT(filters); i++)
		filter_print(&filters[i]);
	if (fflush(stdout) != 0)
		err(EXIT_FAILURE, "standard output");
	return EXIT_SUCCESS;
}
