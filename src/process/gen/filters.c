/* SPDX-License-Identifier: MIT */
/*
 * Run by make: the table of the system calls that the gate may make. It becomes the programs in
 * build/filters.h, so that a process installs each with one call.
 *
 * A call that is not in the table ends the process, so that it is noticed. Two exceptions: calls
 * that libraries try and can do without (the table has their errors), and calls that this
 * libseccomp does not know yet. These fail as on an older kernel, for which a newer C library
 * has a way round.
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
#include <stddef.h>
#include <stdint.h>
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

/* The times at which a call is allowed. Before a tunnel: */
#define SERVE   16 /* whatever the needs */
#define UNIX    SANDBOX_UNIX
#define LOAD    SANDBOX_LOAD
#define RESOLVE (SANDBOX_RESOLVE & ~LOAD & ~UNIX) /* more than these two */
#define TLS     (SANDBOX_TLS & ~LOAD)             /* more than that one */
/* In a tunnel: */
#define TUNNEL  32
#define SECURED 64 /* if OpenSSL is loaded */

#define RULES_MAX 256

/* Offsets of the two halves of an argument. */
#define HALF(arg, half) (offsetof(struct seccomp_data, args) + 8 * (arg) + 4 * (half))
#define LOWER(arg)      HALF(arg, __BYTE_ORDER == __LITTLE_ENDIAN ? 0 : 1)
#define UPPER(arg)      HALF(arg, __BYTE_ORDER == __LITTLE_ENDIAN ? 1 : 0)

/* Tests of an int argument, of which the kernel ignores the upper half too. */
#define IS(arg, value) BITS(arg, UINT32_MAX, value)
#define BITS(arg, mask, value)                                  \
	{                                                       \
		LOWER(arg), (uint32_t)(mask), (uint32_t)(value) \
	}
#define NULL_POINTER(arg)                 \
	IS(arg, 0),                       \
	{                                 \
		UPPER(arg), UINT32_MAX, 0 \
	}

#define SOCK_TYPE       0xf /* without SOCK_CLOEXEC, SOCK_NONBLOCK */
#define SOCK(family, t) IS(0, family), BITS(1, SOCK_TYPE, t), IS(2, 0)

/* Calls that are allowed with any arguments. */
static const struct plain {
	unsigned when;
	const char *calls;
} plain[] = {
	/* moving bytes, ending connections, waiting: poll() is ppoll on some architectures,
	 * and the kernel resumes it as restart_syscall after SIGSTOP */
	{ SERVE | TUNNEL, "recvfrom writev splice pipe2 shutdown close" },
	{ SERVE | TUNNEL, "poll ppoll restart_syscall" },
	/* to empty a pipe where splice() fails; the number of processes */
	{ SERVE | TUNNEL, "read" },
	{ SERVE | TUNNEL, "clock_gettime" }, /* where there is no vDSO for it */
	{ SERVE | TUNNEL, "brk munmap exit_group" },
	{ SERVE | TUNNEL, "getpid" },         /* for a line on standard error */
	{ SERVE, "connect" },                 /* Landlock limits the ports */
	{ SERVE, "getsockname getpeername" }, /* whether a backend is the gate itself */
	/* dlopen(); Landlock limits the files */
	{ LOAD, "pread64 lseek fstat newfstatat madvise mremap" },
	{ LOAD, "futex getrandom" }, /* pthread_once(), malloc() */
	/* OpenSSL on a socket, its random numbers and its locks */
	{ TLS | SECURED, "write getrandom futex" },
	{ TLS | SECURED, "uname" },     /* where getrandom() fails; see below */
	{ TLS, "readlink readlinkat" }, /* to find the module */
	{ TLS, "getdents64" },          /* a directory that openssl.cnf includes */
	{ TLS, "sysinfo" }, /* qsort() of glibc up to 2.36: how much memory there is */
	/* getaddrinfo(): DNS, and the modules of nsswitch.conf (resolve, myhostname, mdns) */
	{ RESOLVE, "bind getsockopt setsockopt getuid geteuid getgid getegid" },
	{ RESOLVE, "recvmsg write access faccessat faccessat2 uname gettid" },
	{ RESOLVE, "rt_sigprocmask rt_sigaction rt_sigreturn" }, /* SIGTERM may end it */
	/* for modules of other vendors; no more harmful than those above */
	{ RESOLVE, "recvmmsg readv select pselect6 gettimeofday clock_nanosleep" },
	{ RESOLVE, "epoll_create1 epoll_ctl epoll_wait epoll_pwait" },
	{ RESOLVE, "timerfd_create timerfd_settime eventfd2 sched_getaffinity" },
	{ RESOLVE, "stat statx statfs fstatfs getdents64 readlink readlinkat sysinfo" },
};

#define ALLOWED 0

/* Calls that are allowed, or fail with that error, where all tests hold. */
static const struct rule {
	unsigned when;
	int error;
	const char *call;
	struct program_test test[3];
} rules[] = {
	{ SERVE | TUNNEL, ALLOWED, "fcntl", { IS(1, F_SETPIPE_SZ) } },
	/* the message of a failed assert(); the calls of abort() then end the process as well */
	{ SERVE | TUNNEL, ALLOWED, "write", { IS(0, STDERR_FILENO) } },
	/* memory given back */
	{ SERVE | TUNNEL, ALLOWED, "madvise", { IS(2, MADV_DONTNEED) } },
	/* to end a connection with a reset */
	{ SERVE | TUNNEL,
	  ALLOWED,
	  "setsockopt",
	  { IS(1, SOL_SOCKET), IS(2, SO_LINGER) } },
	/* whether a peer still acknowledges bytes */
	{ SERVE | TUNNEL,
	  ALLOWED,
	  "getsockopt",
	  { IS(1, IPPROTO_TCP), IS(2, TCP_INFO) } },
	{ SERVE | TUNNEL, ALLOWED, "mmap", { BITS(2, PROT_EXEC, 0) } },
	/* sandbox_tighten() */
	{ SERVE, ALLOWED, "seccomp", { IS(0, SECCOMP_SET_MODE_FILTER) } },

	/* Connecting. Only protocol 0: the rules of Landlock do not hold for MPTCP and SCTP. */
	{ SERVE, ALLOWED, "socket", { SOCK(AF_INET, SOCK_STREAM) } },
	{ SERVE, ALLOWED, "socket", { SOCK(AF_INET6, SOCK_STREAM) } },
	{ UNIX, ALLOWED, "socket", { SOCK(AF_UNIX, SOCK_STREAM) } },
	{ SERVE, ALLOWED, "getsockopt", { IS(1, SOL_SOCKET) } },
	{ SERVE, ALLOWED, "setsockopt", { IS(1, IPPROTO_TCP), IS(2, TCP_NODELAY) } },
	{ SERVE, ALLOWED, "setsockopt", { IS(1, IPPROTO_TCP), IS(2, TCP_KEEPIDLE) } },
	{ SERVE, ALLOWED, "setsockopt", { IS(1, IPPROTO_TCP), IS(2, TCP_KEEPINTVL) } },
	{ SERVE, ALLOWED, "setsockopt", { IS(1, IPPROTO_TCP), IS(2, TCP_KEEPCNT) } },
	{ SERVE, ALLOWED, "setsockopt", { IS(1, SOL_SOCKET), IS(2, SO_KEEPALIVE) } },
	{ SERVE, ALLOWED, "fcntl", { IS(1, F_GETFL) } },
	{ SERVE, ALLOWED, "fcntl", { IS(1, F_SETFL) } },

	/* Log entries, whether journald has read them, and the status for systemd. */
	{ SERVE | TUNNEL, ALLOWED, "sendto", { IS(3, MSG_NOSIGNAL | MSG_DONTWAIT) } },
	{ SERVE | TUNNEL, ALLOWED, "ioctl", { IS(1, SIOCOUTQ) } },

	/* dlopen(): only files become executable, never memory that is or was writable */
	{ LOAD, ALLOWED, "openat", { BITS(2, O_ACCMODE | O_CREAT | O_TRUNC, O_RDONLY) } },
	{ LOAD,
	  ALLOWED,
	  "mmap",
	  { BITS(2, PROT_EXEC | PROT_WRITE, PROT_EXEC), BITS(3, MAP_ANONYMOUS, 0) } },
	{ LOAD, ALLOWED, "mprotect", { BITS(2, PROT_EXEC, 0) } },

	/* OpenSSL tries these where getrandom() fails, before it gives up. Before a tunnel Landlock
	 * refuses the files. */
	{ TLS | SECURED, ENOSYS, "shmget", { { 0 } } },
	{ SECURED, EACCES, "openat", { { 0 } } },

	{ RESOLVE,
	  ALLOWED,
	  "prctl",
	  { IS(0, PR_CAPBSET_READ) } }, /* libcap when it is loaded */
	/* tried by modules that can do without */
	{ RESOLVE, ENOSYS, "memfd_create", { { 0 } } },
	{ RESOLVE, EACCES, "openat", { BITS(2, O_ACCMODE, O_WRONLY) } },
	{ RESOLVE, EACCES, "openat", { BITS(2, O_ACCMODE, O_RDWR) } },
	/* without Fast Open, which connects without regard to Landlock */
	{ RESOLVE, ALLOWED, "sendto", { BITS(3, MSG_FASTOPEN, 0) } },
	{ RESOLVE, ALLOWED, "socket", { SOCK(AF_UNIX, SOCK_DGRAM) } },
	{ RESOLVE, ALLOWED, "sendmsg", { BITS(2, MSG_FASTOPEN, 0) } },
	{ RESOLVE, ALLOWED, "prlimit64", { NULL_POINTER(2) } },
	{ RESOLVE, ALLOWED, "socket", { SOCK(AF_INET, SOCK_DGRAM) } },
	{ RESOLVE, ALLOWED, "socket", { SOCK(AF_INET6, SOCK_DGRAM) } },
	{ RESOLVE, ALLOWED, "socket", { IS(0, AF_NETLINK), IS(2, NETLINK_ROUTE) } },
	{ RESOLVE, ALLOWED, "sendmmsg", { BITS(3, MSG_FASTOPEN, 0) } },
	{ RESOLVE, ALLOWED, "ioctl", { IS(1, FIONREAD) } },
	{ RESOLVE, ALLOWED, "ioctl", { IS(1, SIOCGIFINDEX) } },
	{ RESOLVE, ALLOWED, "ioctl", { IS(1, SIOCGIFNAME) } },
	{ RESOLVE, ALLOWED, "fcntl", { IS(1, F_GETFD) } },
	{ RESOLVE, ALLOWED, "fcntl", { IS(1, F_SETFD) } },
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

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

struct list {
	struct program_rule rule[RULES_MAX];
	size_t n;
};

static void list_add(struct list *l, const char *call, const struct rule *rule)
{
	int number = seccomp_syscall_resolve_name(call);
	struct program_rule *r = &l->rule[l->n];

	if (number == __NR_SCMP_ERROR)
		errx(EXIT_FAILURE, "%s: no such system call", call);
	if (number < 0)
		return; /* this architecture has another one for it */
	if (l->n++ == RULES_MAX)
		errx(EXIT_FAILURE, "more than %d rules", RULES_MAX);
	r->call = (uint32_t)number;
	r->action = rule->error == ALLOWED ? SECCOMP_RET_ALLOW
					   : SECCOMP_RET_ERRNO | (uint32_t)rule->error;
	memcpy(r->test, rule->test, sizeof(r->test));
}

/* All calls in the table that have any of these bits. */
static void list_fill(struct list *l, unsigned when)
{
	static const struct rule allowed = { .error = ALLOWED };

	l->n = 0;
	for (size_t i = 0; i < COUNT(plain); i++) {
		char calls[256], *rest = calls, *call;

		if (snprintf(calls, sizeof(calls), "%s", plain[i].calls) >=
		    (int)sizeof(calls))
			errx(EXIT_FAILURE, "%s: too long", plain[i].calls);
		while (plain[i].when & when && (call = strsep(&rest, " ")))
			list_add(l, call, &allowed);
	}
	for (size_t i = 0; i < COUNT(rules); i++)
		if (rules[i].when & when)
			list_add(l, rules[i].call, &rules[i]);
}

static void filter_print(const char *name, unsigned when)
{
	static struct list list;
	struct sock_filter program[PROGRAM_MAX];
	struct program_rules r = {
		.rule = list.rule,
		.arch = seccomp_arch_native(),
		.unknown = calls_known(),
		.otherwise = SECCOMP_RET_KILL_PROCESS,
		.newer = SECCOMP_RET_ERRNO | ENOSYS,
	};
	size_t n;

	list_fill(&list, when);
	r.rules = list.n;
	n = program_make(&r, program);
	(void)printf("static const struct sock_filter %s[] = {\n", name);
	for (size_t i = 0; i < n; i++)
		(void)printf("\t{ 0x%02x, %u, %u, 0x%08x },\n", program[i].code,
			     program[i].jt, program[i].jf, program[i].k);
	(void)printf("};\n\n");
}

int main(void)
{
	(void)printf(
		"/* Made by src/process/gen/filters.c; linux/filter.h comes first. */\n\n");
	filter_print("filter_serve", SERVE);
	filter_print("filter_unix", SERVE | UNIX);
	filter_print("filter_tls", SERVE | LOAD | TLS);
	filter_print("filter_tls_unix", SERVE | LOAD | UNIX | TLS);
	filter_print("filter_resolve", SERVE | LOAD | UNIX | RESOLVE | TLS);
	filter_print("filter_tunnel", TUNNEL);
	filter_print("filter_tunnel_tls", TUNNEL | SECURED);
	if (fflush(stdout) != 0)
		err(EXIT_FAILURE, "standard output");
	return EXIT_SUCCESS;
}
