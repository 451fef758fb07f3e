/* SPDX-License-Identifier: MIT */
/*
 * Run by make: the table of what the gate may ask of the kernel, compiled by libseccomp into
 * the programs of build/filters.h, so that at run time each is one call.
 *
 * Whatever is not in the table ends the process, so that it shows. Two exceptions: what
 * the libraries only try (the table says how it fails), and calls younger than this
 * libseccomp's list, which fail as on an older kernel: a newer C library that uses them
 * has a way back.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
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

#include "process/gen/shorten.h"
#include "process/sandbox.h"

#define SERVE   16 /* the first stage, whatever it needs */
#define TUNNEL  32 /* the second */
#define SECURED 64 /* the second, with TLS */
#define LOAD    SANDBOX_LOAD
#define UNIX    SANDBOX_UNIX
#define RESOLVE (SANDBOX_RESOLVE & ~LOAD & ~UNIX) /* what only the resolver does */
#define TLS     (SANDBOX_TLS & ~LOAD)             /* what only OpenSSL does */

#define PROGRAM_MAX 512
#define LEAD_MAX    5

/* An int argument: the kernel does not look at a register's upper half either. */
#define IS(arg, value)         BITS(arg, UINT32_MAX, value)
#define BITS(arg, mask, value) SCMP_CMP64(arg, SCMP_CMP_MASKED_EQ, mask, value)
#define NULL_POINTER(arg)      SCMP_CMP64(arg, SCMP_CMP_EQ, 0, 0)

#define SOCK_TYPE       0xf /* without SOCK_CLOEXEC, SOCK_NONBLOCK */
#define SOCK(family, t) IS(0, family), BITS(1, SOCK_TYPE, t), IS(2, 0)

/* Allowed whatever the arguments, in any of these. */
static const struct plain {
	unsigned when;
	const char *calls;
} plain[] = {
	/* bytes of the connection, their end, and waiting for them: on some architectures
	 * poll() is ppoll, and after SIGSTOP it goes on as restart_syscall */
	{ SERVE | TUNNEL, "recvfrom writev splice pipe2 shutdown close" },
	{ SERVE | TUNNEL, "poll ppoll restart_syscall" },
	/* what splice() cannot take out of a pipe; how many processes there are */
	{ SERVE | TUNNEL, "read" },
	{ SERVE | TUNNEL, "clock_gettime" }, /* where the vDSO cannot */
	{ SERVE | TUNNEL, "brk munmap exit_group" },
	{ SERVE | TUNNEL, "getpid" },         /* for a line on standard error */
	{ SERVE, "connect" },                 /* which ports is for Landlock to say */
	{ SERVE, "getsockname getpeername" }, /* whether a backend is the gate itself */
	/* dlopen(); which files is for Landlock to say */
	{ LOAD, "pread64 lseek fstat newfstatat madvise mremap" },
	{ LOAD, "futex getrandom" }, /* pthread_once(), malloc() */
	/* OpenSSL on a socket, its random numbers and its locks */
	{ TLS | SECURED, "write getrandom futex" },
	{ TLS | SECURED, "uname" },     /* where getrandom() fails; see below */
	{ TLS, "readlink readlinkat" }, /* where the module is */
	{ TLS, "getdents64" },          /* a directory that openssl.cnf includes */
	{ TLS, "sysinfo" },             /* qsort() of glibc up to 2.36 asks for memory */
	/* getaddrinfo(): DNS, and the modules of nsswitch.conf (resolve, myhostname, mdns) */
	{ RESOLVE, "bind getsockopt setsockopt getuid geteuid getgid getegid" },
	{ RESOLVE, "recvmsg write access faccessat faccessat2 uname gettid" },
	{ RESOLVE, "rt_sigprocmask rt_sigaction rt_sigreturn" }, /* SIGTERM may end it */
	/* and what modules of other makers may use, which is as harmless */
	{ RESOLVE, "recvmmsg readv select pselect6 gettimeofday clock_nanosleep" },
	{ RESOLVE, "epoll_create1 epoll_ctl epoll_wait epoll_pwait" },
	{ RESOLVE, "timerfd_create timerfd_settime eventfd2 sched_getaffinity" },
	{ RESOLVE, "stat statx statfs fstatfs getdents64 readlink readlinkat sysinfo" },
};

#define ALLOWED 0

/* Where all these arguments are so: allowed, or failing with that error. */
static const struct rule {
	unsigned when;
	int error;
	const char *call;
	struct scmp_arg_cmp arg[3]; /* up to the first without an op */
} rules[] = {
	{ SERVE | TUNNEL, ALLOWED, "fcntl", { IS(1, F_SETPIPE_SZ) } },
	/* the message of a failed assert(); what abort() then asks for ends the process too */
	{ SERVE | TUNNEL, ALLOWED, "write", { IS(0, STDERR_FILENO) } },
	/* memory given back */
	{ SERVE | TUNNEL, ALLOWED, "madvise", { IS(2, MADV_DONTNEED) } },
	/* a reset in place of an end */
	{ SERVE | TUNNEL,
	  ALLOWED,
	  "setsockopt",
	  { IS(1, SOL_SOCKET), IS(2, SO_LINGER) } },
	/* whether a peer still acknowledges what it is sent */
	{ SERVE | TUNNEL,
	  ALLOWED,
	  "getsockopt",
	  { IS(1, IPPROTO_TCP), IS(2, TCP_INFO) } },
	{ SERVE | TUNNEL, ALLOWED, "mmap", { BITS(2, PROT_EXEC, 0) } },
	/* the next stage */
	{ SERVE, ALLOWED, "seccomp", { IS(0, SECCOMP_SET_MODE_FILTER) } },

	/* Dialling. Protocol 0 only: MPTCP and SCTP would go round Landlock. */
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

	/* Entries for the journal and the look whether it has read them; systemd's status. */
	{ SERVE | TUNNEL, ALLOWED, "sendto", { IS(3, MSG_NOSIGNAL | MSG_DONTWAIT) } },
	{ SERVE | TUNNEL, ALLOWED, "ioctl", { IS(1, SIOCOUTQ) } },

	/* dlopen(): only files become executable, never memory that is or was writable */
	{ LOAD, ALLOWED, "openat", { BITS(2, O_ACCMODE | O_CREAT | O_TRUNC, O_RDONLY) } },
	{ LOAD,
	  ALLOWED,
	  "mmap",
	  { BITS(2, PROT_EXEC | PROT_WRITE, PROT_EXEC), BITS(3, MAP_ANONYMOUS, 0) } },
	{ LOAD, ALLOWED, "mprotect", { BITS(2, PROT_EXEC, 0) } },

	/* What OpenSSL tries where getrandom() fails, before it gives up. It also opens files:
	 * in the first stage Landlock refuses those. */
	{ TLS | SECURED, ENOSYS, "shmget", { { 0 } } },
	{ SECURED, EACCES, "openat", { { 0 } } },

	{ RESOLVE, ALLOWED, "prctl", { IS(0, PR_CAPBSET_READ) } }, /* libcap's start */
	/* what modules may try, and have a way round */
	{ RESOLVE, ENOSYS, "memfd_create", { { 0 } } },
	{ RESOLVE, EACCES, "openat", { BITS(2, O_ACCMODE, O_WRONLY) } },
	{ RESOLVE, EACCES, "openat", { BITS(2, O_ACCMODE, O_RDWR) } },
	/* Fast Open would be a connect() that Landlock does not see */
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

static void check(int r, const char *what)
{
	if (r < 0)
		errx(EXIT_FAILURE, "%s: %s", what, strerror(-r));
}

static void add(scmp_filter_ctx ctx, const char *call, int error, unsigned args,
		const struct scmp_arg_cmp arg[])
{
	uint32_t action =
		error == ALLOWED ? SCMP_ACT_ALLOW : SCMP_ACT_ERRNO((uint32_t)error);
	int number = seccomp_syscall_resolve_name(call);

	if (number == __NR_SCMP_ERROR)
		errx(EXIT_FAILURE, "%s: no such system call", call);
	if (number >= 0) /* else this architecture has another for it */
		check(seccomp_rule_add_array(ctx, action, number, args, arg), call);
}

static void plain_add(scmp_filter_ctx ctx, const struct plain *p)
{
	char calls[256], *rest = calls, *call;

	if (snprintf(calls, sizeof(calls), "%s", p->calls) >= (int)sizeof(calls))
		errx(EXIT_FAILURE, "%s: too long", p->calls);
	while ((call = strsep(&rest, " ")))
		add(ctx, call, ALLOWED, 0, NULL);
}

static void rule_add(scmp_filter_ctx ctx, const struct rule *rule)
{
	unsigned args = 0;

	while (args < COUNT(rule->arg) && rule->arg[args].op != 0)
		args++;
	add(ctx, rule->call, rule->error, args, rule->arg);
}

/* One more than the highest number that this libseccomp knows. */
static uint32_t calls_known(void)
{
	for (int n = CALLS_MAX; n > 0; n--) {
		char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, n - 1);

		free(name);
		if (name)
			return (uint32_t)n;
	}
	errx(EXIT_FAILURE, "libseccomp knows no system calls");
}

/* libseccomp's program, which it only writes into a file. Returns the count. */
static size_t program_export(scmp_filter_ctx ctx, struct sock_filter program[])
{
	FILE *file = tmpfile();
	size_t n;

	if (!file)
		err(EXIT_FAILURE, "tmpfile");
	check(seccomp_export_bpf(ctx, fileno(file)), "seccomp_export_bpf");
	rewind(file);
	n = fread(program, sizeof(*program), PROGRAM_MAX, file);
	if (n == 0 || n == PROGRAM_MAX)
		errx(EXIT_FAILURE, "a program of %zu instructions", n);
	(void)fclose(file); /* has been read */
	return n;
}

/* The program of what has any of these bits. Returns the count. */
static size_t program_make(unsigned when, struct sock_filter program[])
{
	uint32_t arch = seccomp_arch_native();
	const struct sock_filter too_young[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, arch, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, calls_known(), 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SCMP_ACT_ERRNO(ENOSYS)),
	};
	size_t lead = COUNT(too_young), n;
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_KILL_PROCESS);

	if (!ctx)
		errx(EXIT_FAILURE, "seccomp_init");
	check(seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS),
	      "arch");
	for (size_t i = 0; i < COUNT(plain); i++)
		if (plain[i].when & when)
			plain_add(ctx, &plain[i]);
	for (size_t i = 0; i < COUNT(rules); i++)
		if (rules[i].when & when)
			rule_add(ctx, &rules[i]);
	memcpy(program, too_young, sizeof(too_young));
	n = lead + program_export(ctx, program + lead);
	seccomp_release(ctx);
	return shorten(program, n, arch);
}

static void program_print(const char *name, unsigned when)
{
	struct sock_filter program[PROGRAM_MAX + LEAD_MAX];
	size_t n = program_make(when, program);

	(void)printf("static const struct sock_filter %s[] = {\n", name);
	for (size_t i = 0; i < n; i++)
		(void)printf("\t{ 0x%02x, %u, %u, 0x%08x },\n", program[i].code,
			     program[i].jt, program[i].jf, program[i].k);
	(void)printf("};\n\n");
}

int main(void)
{
	(void)printf("/* Made by src/gen/filters.c; linux/filter.h comes first. */\n\n");
	program_print("filter_serve", SERVE);
	program_print("filter_unix", SERVE | UNIX);
	program_print("filter_resolve", SERVE | LOAD | UNIX | RESOLVE);
	program_print("filter_tls", SERVE | LOAD | TLS);
	program_print("filter_tls_unix", SERVE | LOAD | UNIX | TLS);
	program_print("filter_tls_resolve", SERVE | LOAD | UNIX | RESOLVE | TLS);
	program_print("filter_tunnel", TUNNEL);
	program_print("filter_tunnel_tls", TUNNEL | SECURED);
	if (fflush(stdout) != 0)
		err(EXIT_FAILURE, "standard output");
	return EXIT_SUCCESS;
}
