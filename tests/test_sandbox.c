/* SPDX-License-Identifier: MIT */
/*
 * Each wall is run against: a child enters a stage and tries, and the parent sees what came of
 * it. What a stage has to leave open is tried in the same way.
 */
#include <assert.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <linux/landlock.h>
#include <linux/netlink.h>
#include <linux/seccomp.h>
#include <linux/sockios.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "config_text.h"
#include "log/journal.h"
#include "process/sandbox.h"
#include "testing.h"

/* The result of an attempt: 0, an errno, or a signal. */
#define SIGNAL(n) (1000 + (n))
#define KILLED    SIGNAL(SIGSYS)
/* EACCES by Landlock, from that version on; before, it works. */
#define NO_FILE   2001
#define NO_PORT   2004 /* Linux 6.7 */

enum stage {
	SERVE,          /* literal addresses */
	SECURED,        /* ... and TLS with the client */
	RESOLVE,        /* names */
	TUNNEL,         /* the second stage, after the first of these */
	SECURED_TUNNEL, /* ... after the second */
	STAGES,
};

/* Made before the stage is entered, for attempts that need them. */
static struct {
	int unbound;                 /* a TCP socket */
	int file;                    /* a file that could be written */
	int journal;                 /* a datagram socket */
	in_port_t configured;        /* somebody listens there */
	in_port_t other;             /* here as well */
	struct config address, name; /* backends given by either */
} before;

/* ---- attempts: 0 or an errno */

static int result(long r)
{
	return r < 0 ? errno : 0;
}

static int open_passwd(void)
{
	return result(open("/etc/passwd", O_RDONLY | O_CLOEXEC));
}

static int open_directory(void)
{
	return result(open("/etc", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

static int open_proc(void)
{
	return result(open("/proc/self/environ", O_RDONLY | O_CLOEXEC));
}

static int open_for_writing(void)
{
	return result(open("/dev/null", O_WRONLY | O_CLOEXEC));
}

static int open_device(void)
{
	return result(open("/dev/zero", O_RDONLY | O_CLOEXEC));
}

/* Landlock does not keep a process from learning what there is. */
static int look_at_file(void)
{
	struct stat st;

	return result(stat("/etc/passwd", &st));
}

static int create_file(void)
{
	return result(open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
}

static int remove_file(void)
{
	return result(unlink("/nonexistent"));
}

static int open_library(void)
{
	return result(open("/etc/ld.so.cache", O_RDONLY | O_CLOEXEC));
}

static int open_hosts(void)
{
	return result(open("/etc/hosts", O_RDONLY | O_CLOEXEC));
}

static int load_library(void)
{
	return dlopen("libssl.so.3", RTLD_LAZY) ? 0 : ENOENT;
}

static int resolve_name(void)
{
	struct addrinfo *list;

	return getaddrinfo("localhost", "80", NULL, &list) == 0 ? 0 : EHOSTUNREACH;
}

static int write_file(void)
{
	struct iovec iov = { "x", 1 };

	return result(writev(before.file, &iov, 1));
}

static int open_many(void)
{
	int pair[2];

	for (int i = 0; i < 64; i++)
		if (pipe2(pair, O_CLOEXEC | O_NONBLOCK) < 0)
			return errno;
	return 0;
}

static int open_pipe_that_waits(void)
{
	int pair[2];

	return result(pipe2(pair, O_CLOEXEC));
}

/* From an empty pipe. */
static int copy_pipe_with(unsigned flags)
{
	int from[2], to[2];

	if (pipe2(from, O_CLOEXEC | O_NONBLOCK) < 0 ||
	    pipe2(to, O_CLOEXEC | O_NONBLOCK) < 0)
		return errno;
	return result(tee(from[0], to[1], 1, flags));
}

static int copy_pipe(void)
{
	return copy_pipe_with(SPLICE_F_NONBLOCK);
}

static int copy_pipe_and_wait(void)
{
	return copy_pipe_with(0);
}

/* It is not connected. */
static int read_socket(void)
{
	char byte;

	return result(recv(before.unbound, &byte, 1, 0));
}

static int peek_socket(void)
{
	char byte;

	return result(recv(before.unbound, &byte, 1, MSG_PEEK));
}

static int fork_child(void)
{
	return result(fork());
}

static int clone3_child(void)
{
	return result(syscall(SYS_clone3, NULL, 0));
}

static int exec_program(void)
{
	return result(execl("/bin/true", "true", NULL));
}

static int exec_fd(void)
{
	return result(syscall(SYS_execveat, before.file, "", NULL, NULL, AT_EMPTY_PATH));
}

static int trace_parent(void)
{
	return result(ptrace(PTRACE_ATTACH, getpid(), NULL, NULL));
}

static int read_memory(void)
{
	return result(process_vm_readv(getpid(), NULL, 0, NULL, 0, 0));
}

static int signal_self(void)
{
	return result(kill(getpid(), 0));
}

static int connect_to(in_port_t port)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = port };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return result(connect(fd, (struct sockaddr *)&sa, sizeof(sa)));
}

static int connect_configured(void)
{
	return connect_to(before.configured);
}

static int connect_other(void)
{
	return connect_to(before.other);
}

static int connect_older_socket(void)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = before.other };

	sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return result(connect(before.unbound, (struct sockaddr *)&sa, sizeof(sa)));
}

/* A connection without connect(). */
static int fast_open(void)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = before.other };
	struct iovec iov = { "x", 1 };
	struct msghdr msg = { .msg_name = &sa,
			      .msg_namelen = sizeof(sa),
			      .msg_iov = &iov,
			      .msg_iovlen = 1 };

	sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return result(sendmsg(before.unbound, &msg, MSG_FASTOPEN | MSG_NOSIGNAL));
}

static int fast_open_sendto(void)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = before.other };

	sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return result(sendto(before.unbound, "x", 1, MSG_FASTOPEN | MSG_NOSIGNAL,
			     (struct sockaddr *)&sa, sizeof(sa)));
}

/* An entry for the journal, and the look whether it has been read. */
static int send_entry(void)
{
	static const struct sockaddr_un sa = { AF_UNIX, "/nonexistent" };

	return result(sendto(before.journal, "x", 1, MSG_NOSIGNAL | MSG_DONTWAIT,
			     (const struct sockaddr *)&sa, sizeof(sa)));
}

static int look_at_queue(void)
{
	int queued;

	return result(ioctl(before.journal, SIOCOUTQ, &queued));
}

/* Peers are written to by a call without flags or an address. */
static int send_message(void)
{
	struct iovec iov = { "x", 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	return result(sendmsg(before.unbound, &msg, MSG_NOSIGNAL));
}

static int bind_port(void)
{
	struct sockaddr_in sa = { .sin_family = AF_INET };

	return result(bind(before.unbound, (struct sockaddr *)&sa, sizeof(sa)));
}

static int listen_unbound(void)
{
	return result(listen(before.unbound, 1));
}

static int socket_mptcp(void)
{
	return result(socket(AF_INET, SOCK_STREAM, IPPROTO_MPTCP));
}

static int socket_udp(void)
{
	return result(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
}

static int socket_raw(void)
{
	return result(socket(AF_INET, SOCK_RAW, IPPROTO_ICMP));
}

static int socket_packet(void)
{
	return result(socket(AF_PACKET, SOCK_RAW, 0));
}

/* Asks for the addresses of this machine, as name resolution does. */
static int socket_netlink_route(void)
{
	return result(socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE));
}

static int socket_netlink_other(void)
{
	return result(socket(AF_NETLINK, SOCK_RAW, NETLINK_KOBJECT_UEVENT));
}

static int socket_cipher(void)
{
	return result(socket(AF_ALG, SOCK_SEQPACKET, 0));
}

static int socket_vsock(void)
{
	return result(socket(AF_VSOCK, SOCK_STREAM, 0));
}

static int socket_unix(void)
{
	return result(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
}

static int socket_datagram(void)
{
	return result(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
}

/* Asks for the sent bytes that are acknowledged. */
static int look_at_acknowledgements(void)
{
	char info[256];
	socklen_t len = sizeof(info);

	return result(getsockopt(before.unbound, IPPROTO_TCP, TCP_INFO, info, &len));
}

static int look_at_congestion(void)
{
	char name[16];
	socklen_t len = sizeof(name);

	return result(
		getsockopt(before.unbound, IPPROTO_TCP, TCP_CONGESTION, name, &len));
}

static int write_to_socket(void)
{
	return result(write(before.unbound, "x", 1));
}

static int memory(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		    0) == MAP_FAILED
		       ? errno
		       : 0;
}

static int advise(int advice)
{
	static char block[64 * 1024] __attribute__((aligned(64 * 1024)));

	return result(madvise(block, sizeof(block), advice));
}

static int memory_back(void)
{
	return advise(MADV_DONTNEED);
}

static int memory_advice(void)
{
	return advise(MADV_NORMAL);
}

static int memory_for_code(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		    0) == MAP_FAILED
		       ? errno
		       : 0;
}

static int memory_made_code(void)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		       -1, 0);

	return result(mprotect(p, 4096, PROT_READ | PROT_EXEC));
}

static int file_as_writable_code(void)
{
	return mmap(NULL, 1, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE, before.file,
		    0) == MAP_FAILED
		       ? errno
		       : 0;
}

static int memory_file(void)
{
	return result(memfd_create("x", MFD_CLOEXEC));
}

/* One that would outlive its process. */
static int memory_segment(void)
{
	return result(shmget(IPC_PRIVATE, 4096, 0600));
}

static int new_namespace(void)
{
	return result(unshare(CLONE_NEWUSER));
}

static int other_user(void)
{
	return result(setuid(1));
}

static int dumpable_again(void)
{
	return result(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0));
}

static int load_bpf(void)
{
	return result(syscall(SYS_bpf, BPF_PROG_LOAD, NULL, 0));
}

static int uring(void)
{
	return result(syscall(SYS_io_uring_setup, 1, NULL));
}

static int controlling_ioctl(void)
{
	return result(syscall(SYS_ioctl, 0, 0x5412 /* TIOCSTI */, "x"));
}

static int signal_by_fd(void)
{
	return result(fcntl(before.unbound, F_SETOWN, 1));
}

static int copy_descriptor(void)
{
	return result(fcntl(before.unbound, F_DUPFD_CLOEXEC, 0));
}

/* From a kernel to come, as a C library to come may try it. */
static int unknown_call(void)
{
	return result(syscall(4000));
}

static int one_stage_more(void)
{
	return -sandbox_tighten(&(struct sandbox){ .seccomp = SANDBOX_SECCOMP },
				AF_UNSPEC);
}

static const struct attempt {
	const char *name;
	int (*run)(void);
	int expected[STAGES];
} attempts[] = {
#define ATTEMPT(run, serve, secured, resolve, tunnel, secured_tunnel)   \
	{                                                               \
#run, run,                                              \
		{                                                       \
			serve, secured, resolve, tunnel, secured_tunnel \
		}                                                       \
	}
	ATTEMPT(open_passwd, KILLED, NO_FILE, NO_FILE, KILLED, EACCES),
	ATTEMPT(open_directory, KILLED, NO_FILE, NO_FILE, KILLED, EACCES),
	ATTEMPT(open_proc, KILLED, NO_FILE, NO_FILE, KILLED, EACCES),
	ATTEMPT(open_for_writing, KILLED, KILLED, EACCES, KILLED, KILLED),
	ATTEMPT(open_device, KILLED, NO_FILE, NO_FILE, KILLED, EACCES),
	ATTEMPT(look_at_file, KILLED, 0, 0, KILLED, KILLED),
	ATTEMPT(create_file, KILLED, KILLED, EACCES, KILLED, KILLED),
	ATTEMPT(remove_file, KILLED, KILLED, KILLED, KILLED, KILLED),
	ATTEMPT(open_library, KILLED, 0, 0, KILLED, EACCES),
	ATTEMPT(open_hosts, KILLED, NO_FILE, 0, KILLED, EACCES),
	ATTEMPT(load_library, KILLED, 0, 0, KILLED, KILLED),
	ATTEMPT(resolve_name, KILLED, KILLED, 0, KILLED, KILLED),
	ATTEMPT(write_file, SIGNAL(SIGXFSZ), SIGNAL(SIGXFSZ), SIGNAL(SIGXFSZ),
		SIGNAL(SIGXFSZ), SIGNAL(SIGXFSZ)),
	ATTEMPT(open_many, EMFILE, EMFILE, EMFILE, EMFILE, EMFILE),
	ATTEMPT(open_pipe_that_waits, KILLED, KILLED, KILLED, KILLED, KILLED),
	ATTEMPT(copy_pipe, EAGAIN, EAGAIN, EAGAIN, EAGAIN, EAGAIN),
	ATTEMPT(copy_pipe_and_wait, KILLED, KILLED, KILLED, KILLED, KILLED),
	ATTEMPT(read_socket, ENOTCONN, ENOTCONN, ENOTCONN, ENOTCONN, ENOTCONN),
	ATTEMPT(peek_socket, ENOTCONN, ENOTCONN, ENOTCONN, KILLED, KILLED),
	ATTEMPT(fork_child, KILLED, KILLED, KILLED, KILLED, KILLED),
	ATTEMPT(clone3_child, KILLED, KILLED, KILLED, KILLED, KILLED),
	ATTEMPT(exec_program, KILLED, KILLED, KILLED, KILLED, KILLED),
	ATTEMPT(exec_fd, KILLED, KILLED, KILLED, KILLED, KILLED),
	ATTEMPT(trace_parent, KILLED, KILLED, KILLED, KILLED, KILLED),
	ATTEMPT(read_memory, KILLED, KILLED, KILLED, KILLED, KILLED),
	ATTEMPT(signal_self, KILLED, KILLED, KILLED, KILLED, KILLED),
	ATTEMPT(connect_configured, 0, 0, 0, KILLED, KILLED),
	ATTEMPT(connect_other, NO_PORT, NO_PORT, NO_PORT, KILLED, KILLED),
	ATTEMPT(connect_older_socket, NO_PORT, NO_PORT, NO_PORT, KILLED, KILLED),
	ATTEMPT(fast_open, KILLED, KILLED, KILLED, KILLED, KILLED),
	ATTEMPT(fast_open_sendto, KILLED, KILLED, KILLED, KILLED, KILLED),
	ATTEMPT(send_entry, ENOENT, ENOENT, ENOENT, ENOENT, ENOENT),
	ATTEMPT(look_at_queue, 0, 0, 0, 0, 0),
	ATTEMPT(look_at_acknowledgements, 0, 0, 0, 0, 0),
	ATTEMPT(look_at_congestion, KILLED, KILLED, 0, KILLED, KILLED),
	/* it is not connected */
	ATTEMPT(send_message, KILLED, KILLED, EPIPE, KILLED, KILLED),
	ATTEMPT(write_to_socket, KILLED, SIGNAL(SIGPIPE), SIGNAL(SIGPIPE), KILLED,
		SIGNAL(SIGPIPE)),
	ATTEMPT(bind_port, KILLED, KILLED, NO_PORT, KILLED, KILLED),
	ATTEMPT(listen_unbound, KILLED, KILLED, KILLED, KILLED, KILLED),
	ATTEMPT(socket_mptcp, KILLED, KILLED, KILLED, KILLED, KILLED),
	ATTEMPT(socket_udp, KILLED, KILLED, 0, KILLED, KILLED),
	ATTEMPT(socket_raw, KILLED, KILLED, KILLED, KILLED, KILLED),
	ATTEMPT(socket_packet, KILLED, KILLED, KILLED, KILLED, KILLED),
	ATTEMPT(socket_netlink_route, KILLED, KILLED, 0, KILLED, KILLED),
	ATTEMPT(socket_netlink_other, KILLED, KILLED, KILLED, KILLED, KILLED),
	ATTEMPT(socket_cipher, KILLED, KILLED, KILLED, KILLED, KILLED),
	ATTEMPT(socket_vsock, KILLED, KILLED, KILLED, KILLED, KILLED),
	ATTEMPT(socket_unix, KILLED, KILLED, 0, KILLED, KILLED),
	ATTEMPT(socket_datagram, KILLED, KILLED, 0, KILLED, KILLED),
	ATTEMPT(memory, 0, 0, 0, 0, 0),
	ATTEMPT(memory_back, 0, 0, 0, 0, 0),
	ATTEMPT(memory_advice, KILLED, 0, 0, KILLED, KILLED),
	ATTEMPT(memory_for_code, KILLED, KILLED, KILLED, KILLED, KILLED),
	ATTEMPT(memory_made_code, KILLED, KILLED, KILLED, KILLED, KILLED),
	ATTEMPT(file_as_writable_code, KILLED, KILLED, KILLED, KILLED, KILLED),
	ATTEMPT(memory_file, KILLED, KILLED, ENOSYS, KILLED, KILLED),
	ATTEMPT(memory_segment, KILLED, ENOSYS, ENOSYS, KILLED, ENOSYS),
	ATTEMPT(new_namespace, KILLED, KILLED, KILLED, KILLED, KILLED),
	ATTEMPT(other_user, KILLED, KILLED, KILLED, KILLED, KILLED),
	ATTEMPT(dumpable_again, KILLED, KILLED, KILLED, KILLED, KILLED),
	ATTEMPT(load_bpf, KILLED, KILLED, KILLED, KILLED, KILLED),
	ATTEMPT(uring, KILLED, KILLED, KILLED, KILLED, KILLED),
	ATTEMPT(controlling_ioctl, KILLED, KILLED, KILLED, KILLED, KILLED),
	ATTEMPT(signal_by_fd, KILLED, KILLED, KILLED, KILLED, KILLED),
	ATTEMPT(copy_descriptor, KILLED, KILLED, KILLED, KILLED, KILLED),
	ATTEMPT(unknown_call, ENOSYS, ENOSYS, ENOSYS, ENOSYS, ENOSYS),
	ATTEMPT(one_stage_more, 0, 0, 0, KILLED, KILLED),
};

/* ---- a child that enters a stage and tries */

static in_port_t port_of(int fd)
{
	struct sockaddr_in sa;
	socklen_t len = sizeof(sa);

	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
	return sa.sin_port;
}

static int listener(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_eq(listen(fd, 8), 0);
	return fd;
}

/* Both backends at this host (or, with a slash, behind this Unix socket). */
static void configure(const char *host, struct config *ret)
{
	char text[512], url[128];

	if (strchr(host, '/'))
		snprintf(url, sizeof(url), "unix:%s", host);
	else
		snprintf(url, sizeof(url), "http://%s:%u", host,
			 ntohs(before.configured));
	snprintf(text, sizeof(text), "[NextJs]\nUrl=%s\n[MasterController]\nUrl=%s\n",
		 url, url);
	config_good(text, ret);
}

static void prepare(void)
{
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

	before.configured = port_of(listener());
	before.other = port_of(listener());
	before.unbound = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	before.journal = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	before.file = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	ck_assert_int_ge(before.file, 0);
	configure("127.0.0.1", &before.address);
	configure("localhost", &before.name);
	/* a log that is a file would lift the limit on files */
	ck_assert_int_eq(dup2(null, STDERR_FILENO), STDERR_FILENO);
}

static int enter(enum stage stage, struct sandbox *ret)
{
	bool tls = stage == SECURED || stage == SECURED_TUNNEL;
	int r = sandbox_enter(stage == RESOLVE ? &before.name : &before.address, tls,
			      ret);

	if (r == 0 && (stage == TUNNEL || stage == SECURED_TUNNEL))
		r = sandbox_tighten(ret, AF_UNSPEC);
	return r;
}

/* Starts a child that exits with what run() returns. */
static pid_t child_start(int (*run)(const void *arg), const void *arg)
{
	pid_t child = fork();

	ck_assert_int_ge(child, 0);
	if (child == 0)
		_exit(run(arg));
	return child;
}

/* The exit of a child: a value below 256, or SIGNAL(). */
static int child_end(pid_t child)
{
	int status;

	ck_assert_int_eq(waitpid(child, &status, 0), child);
	return WIFSIGNALED(status) ? SIGNAL(WTERMSIG(status)) : WEXITSTATUS(status);
}

#define NOT_ENTERED 255
#define LESS        254 /* this kernel has not got all of it */

/* The version of this kernel's Landlock, 0: none. */
static int landlock_version(void)
{
	long version = syscall(SYS_landlock_create_ruleset, NULL, 0,
			       LANDLOCK_CREATE_RULESET_VERSION);

	return version < 0 ? 0 : (int)version;
}

static int expect(int expected, int version)
{
	if (expected == NO_FILE || expected == NO_PORT)
		return version >= expected - NO_FILE + 1 ? EACCES : 0;
	return expected;
}

static const char *what_lacks(int landlock, bool seccomp)
{
	if (landlock == 0)
		return seccomp ? "Landlock is not available"
			       : "Landlock and seccomp are not available";
	if (landlock < 4)
		return seccomp ? "Landlock rules for TCP are not available"
			       : "Landlock rules for TCP and seccomp are not available";
	return seccomp ? NULL : "seccomp is not available";
}

static bool same(const char *text, const char *other)
{
	return text && other ? strcmp(text, other) == 0 : text == other;
}

static void *claim_version(void *userdata)
{
	int *claim = userdata;
	struct seccomp_notif asked = { 0 };
	struct seccomp_notif_resp answer = { .val = claim[1] };

	while (ioctl(claim[0], SECCOMP_IOCTL_NOTIF_RECV, &asked) == 0) {
		answer.id = asked.id;
		(void)ioctl(claim[0], SECCOMP_IOCTL_NOTIF_SEND, &answer);
		memset(&asked, 0, sizeof(asked));
	}
	return NULL;
}

/* From here on this process has an older Landlock. */
static int landlock_age(int version)
{
	static int claim[2];
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_landlock_create_ruleset, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, args[2])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, LANDLOCK_CREATE_RULESET_VERSION, 0,
			 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { LENGTH(code), code };
	pthread_t thread;

	claim[1] = version;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	claim[0] = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
				SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
	return claim[0] < 0 ? -errno
			    : -pthread_create(&thread, NULL, claim_version, claim);
}

static int in_child(int (*run)(const void *arg), const void *arg)
{
	return child_end(child_start(run, arg));
}

struct trial {
	const struct attempt *a;
	enum stage stage;
	int version; /* of Landlock */
};

static int attempt_in_stage(const void *arg)
{
	const struct trial *t = arg;
	struct sandbox sandbox;

	if (t->version != landlock_version() && landlock_age(t->version) < 0)
		return NOT_ENTERED;
	if (enter(t->stage, &sandbox) < 0)
		return NOT_ENTERED;
	return same(sandbox.missing, what_lacks(t->version, true)) ? t->a->run() : LESS;
}

static void try(const struct attempt *a, enum stage stage, int version)
{
	int expected = expect(a->expected[stage], version);
	int r;

	prepare();
	r = in_child(attempt_in_stage, &(struct trial){ a, stage, version });
	if (r == LESS)
		printf("SKIP: this kernel has no seccomp\n");
	else
		ck_assert_msg(r == expected, "%s in stage %d: %d in place of %d", a->name,
			      stage, r, expected);
}

START_TEST(each_attempt_ends_as_expected)
{
	try(&attempts[(size_t)_i / STAGES], (enum stage)(_i % STAGES),
	    landlock_version());
}
END_TEST

/* Linux 6.1, Debian 12's own, has the second version. */
START_TEST(an_older_landlock_keeps_files_shut_and_ports_open)
{
	const struct attempt *a = &attempts[(size_t)_i / STAGES];
	int stage = _i % STAGES, expected = a->expected[stage];

	if ((expected == NO_FILE || expected == NO_PORT) && landlock_version() > 2)
		try(a, (enum stage)stage, 2);
}
END_TEST

/* Without a wall these work, so it is the wall that stops them. */
static int (*const works[])(void) = {
	open_passwd,
	open_directory,
	open_proc,
	open_for_writing,
	create_file,
	open_library,
	load_library,
	resolve_name,
	write_file,
	open_many,
	connect_other,
	connect_older_socket,
	bind_port,
	listen_unbound,
	socket_udp,
	socket_unix,
	socket_datagram,
	memory_for_code,
	memory_file,
	signal_self,
	memory_made_code,
	file_as_writable_code,
	open_device,
	socket_netlink_route,
	memory_segment,
	socket_netlink_other,
	open_pipe_that_waits,
};

static int attempt_without_sandbox(const void *arg)
{
	return works[*(const int *)arg]();
}

START_TEST(without_a_wall_it_would_work)
{
	prepare();
	ck_assert_int_eq(in_child(attempt_without_sandbox, &_i), 0);
}
END_TEST

/* ---- a tunnel with RecheckSec= */

static int socket_of(int family, int type)
{
	int fd = socket(family, type, 0);

	if (fd >= 0)
		close(fd);
	return result(fd);
}

static int socket_inet(void)
{
	return socket_of(AF_INET, SOCK_STREAM);
}

static int socket_inet6(void)
{
	return socket_of(AF_INET6, SOCK_STREAM);
}

static int socket_local(void)
{
	return socket_of(AF_UNIX, SOCK_STREAM);
}

static int error_of_socket(void)
{
	socklen_t len = sizeof(int);
	int error;

	return result(getsockopt(before.unbound, SOL_SOCKET, SO_ERROR, &error, &len));
}

static int type_of_socket(void)
{
	socklen_t len = sizeof(int);
	int type;

	return result(getsockopt(before.unbound, SOL_SOCKET, SO_TYPE, &type, &len));
}

static int without_delay(void)
{
	int on = 1;

	return result(
		setsockopt(before.unbound, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)));
}

/* Listeners of another program: one with a path, one without. */
static struct {
	struct sockaddr_un path, abstract;
} local = { { AF_UNIX, "" }, { AF_UNIX, "" } };

static void listen_at(const struct sockaddr_un *sa)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_eq(bind(fd, (const struct sockaddr *)sa, sizeof(*sa)), 0);
	ck_assert_int_eq(listen(fd, 8), 0);
}

static void local_listen(void)
{
	snprintf(local.path.sun_path, sizeof(local.path.sun_path), "/tmp/test_sandbox.%d",
		 getpid());
	snprintf(local.abstract.sun_path + 1, sizeof(local.abstract.sun_path) - 1,
		 "test_sandbox.%d", getpid());
	listen_at(&local.path);
	listen_at(&local.abstract);
}

static int connect_local(const struct sockaddr_un *sa)
{
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	return result(connect(fd, (const struct sockaddr *)sa, sizeof(*sa)));
}

static int connect_path(void)
{
	return connect_local(&local.path);
}

static int connect_abstract(void)
{
	return connect_local(&local.abstract);
}

/* The first stage allows sockets of all three families. */
struct recheck_trial {
	int (*run)(void);
	enum stage stage;
	int family;
	bool tls;
	int version; /* of Landlock; 0: this kernel's own */
};

static int attempt_with_recheck(const void *arg)
{
	const struct recheck_trial *t = arg;
	struct sandbox sandbox;

	if (t->version && t->version != landlock_version() &&
	    landlock_age(t->version) < 0)
		return NOT_ENTERED;
	if (enter(t->stage, &sandbox) < 0)
		return NOT_ENTERED;
	if (sandbox.seccomp == SANDBOX_NO_SECCOMP)
		return LESS;
	if (t->tls)
		sandbox.seccomp = SANDBOX_SECCOMP_TLS;
	return sandbox_tighten(&sandbox, t->family) < 0 ? NOT_ENTERED : t->run();
}

START_TEST(a_recheck_has_sockets_of_one_family_only)
{
	static const int families[] = { AF_UNSPEC, AF_INET, AF_INET6, AF_UNIX };
	static const struct {
		int (*run)(void);
		int family; /* AF_UNSPEC: allowed for all of them */
	} table[] = {
		{ socket_inet, AF_INET },       { socket_inet6, AF_INET6 },
		{ socket_local, AF_UNIX },      { connect_configured, AF_INET },
		{ error_of_socket, AF_UNSPEC }, { without_delay, AF_UNSPEC },
		{ type_of_socket, -1 },         { socket_udp, -1 },
		{ socket_datagram, -1 },        { socket_mptcp, -1 },
	};
	struct recheck_trial t = { .stage = RESOLVE, .run = table[_i].run };

	prepare();
	for (size_t i = 0; i < 2 * LENGTH(families); i++) {
		int r, wanted = table[_i].family;
		bool allowed;

		t.family = families[i / 2];
		t.tls = i % 2;
		allowed = t.family != AF_UNSPEC &&
			  (wanted == AF_UNSPEC || wanted == t.family);
		r = in_child(attempt_with_recheck, &t);
		if (r != LESS)
			ck_assert_msg(r == (allowed ? 0 : KILLED),
				      "attempt %d with family %d: %d", _i, t.family, r);
	}
}
END_TEST

START_TEST(another_family_is_no_sandbox)
{
	prepare();
	for (int tls = 0; tls < 2; tls++)
		ck_assert_int_eq(in_child(attempt_with_recheck,
					  &(struct recheck_trial){ socket_inet, RESOLVE,
								   AF_NETLINK, tls, 0 }),
				 NOT_ENTERED);
}
END_TEST

/* All else is as in any tunnel. */
static int expected_with_recheck(const struct attempt *a, bool tls)
{
	static const struct {
		int (*run)(void);
		int plain, tls;
	} more[] = {
		{ connect_configured, 0, 0 },
		{ connect_other, NO_PORT, NO_PORT },
		{ connect_older_socket, NO_PORT, NO_PORT },
		{ look_at_file, KILLED, EACCES },
		{ load_library, KILLED, ENOENT },
	};

	for (size_t i = 0; i < LENGTH(more); i++)
		if (more[i].run == a->run)
			return tls ? more[i].tls : more[i].plain;
	return a->expected[tls ? SECURED_TUNNEL : TUNNEL];
}

static void try_with_recheck(const struct attempt *a, bool tls, int version)
{
	const struct recheck_trial t = { a->run, tls ? SECURED : SERVE, AF_INET, tls,
					 version };
	int expected = expect(expected_with_recheck(a, tls), version), r;

	prepare();
	r = in_child(attempt_with_recheck, &t);
	if (r != LESS)
		ck_assert_msg(r == expected, "%s: %d in place of %d", a->name, r,
			      expected);
}

START_TEST(a_recheck_opens_only_connections)
{
	try_with_recheck(&attempts[_i / 2], _i % 2, landlock_version());
}
END_TEST

/* Then it can connect to all ports, but still neither bind nor listen nor send datagrams. */
START_TEST(with_an_older_landlock_a_recheck_may_connect_to_any_port)
{
	if (landlock_version() > 2)
		try_with_recheck(&attempts[_i / 2], _i % 2, 2);
}
END_TEST

/* Landlock has no rule for sockets with a path; for those without, since Linux 6.12. */
START_TEST(a_recheck_through_a_unix_socket_may_connect_to_any_with_a_path)
{
	static const struct {
		int (*run)(void);
		int version, expected;
	} table[] = {
		{ connect_path, 2, 0 },
		{ connect_path, 99, 0 },
		{ connect_abstract, 2, 0 },
		{ connect_abstract, 99, EPERM },
	};
	struct recheck_trial t = { .stage = RESOLVE, .family = AF_UNIX };
	int own = landlock_version();

	prepare();
	local_listen();
	for (size_t i = 0; i < LENGTH(table); i++) {
		int version = table[i].version < own ? table[i].version : own, r;

		t.run = table[i].run;
		t.version = version;
		r = in_child(attempt_with_recheck, &t);
		if (r != LESS)
			ck_assert_msg(r == (version < 6 ? 0 : table[i].expected),
				      "%zu: %d", i, r);
	}
	unlink(local.path.sun_path);
}
END_TEST

struct unix_trial {
	const struct config *cfg;
	const char *missing;
	int (*run)(void);
};

static int attempt_with_unix_backend(const void *arg)
{
	const struct unix_trial *t = arg;
	struct sandbox sandbox;

	if (sandbox_enter(t->cfg, false, &sandbox) < 0)
		return NOT_ENTERED;
	return same(sandbox.missing, t->missing) ? t->run() : LESS;
}

START_TEST(a_unix_backend_gets_unix_sockets_and_no_port)
{
	static const struct {
		int (*run)(void);
		int expected;
	} table[] = {
		{ socket_unix, 0 },
		{ socket_datagram, KILLED },
		{ connect_configured, NO_PORT },
		{ open_library, KILLED },
	};
	int version = landlock_version();
	struct config cfg;

	prepare();
	configure("/run/next.sock", &cfg);
	for (size_t i = 0; i < LENGTH(table); i++) {
		int r = in_child(attempt_with_unix_backend,
				 &(struct unix_trial){ &cfg, what_lacks(version, true),
						       table[i].run });

		if (r != LESS)
			ck_assert_int_eq(r, expect(table[i].expected, version));
	}
	config_done(&cfg);
}
END_TEST

struct failing_trial {
	enum stage stage;
	int told; /* becomes standard error */
};

static int fail_assertion(const void *arg)
{
	const struct failing_trial *t = arg;
	struct sandbox sandbox;

	if (dup2(t->told, STDERR_FILENO) < 0)
		return NOT_ENTERED;
	journal_open(); /* before the sandbox, as main.c does */
	if (enter(t->stage, &sandbox) < 0)
		return NOT_ENTERED;
	assert(t->stage == STAGES);
	return 0;
}

/* The sandbox ends the process in abort(), but after the entry. */
START_TEST(a_failed_assertion_is_told)
{
	const char *expected = "assertion failed: t->stage == STAGES";
	char text[1024] = "";
	int told[2];

	prepare();
	ck_assert_int_eq(pipe2(told, O_CLOEXEC), 0);
	ck_assert_int_ge(in_child(fail_assertion,
				  &(struct failing_trial){ (enum stage)_i, told[1] }),
			 SIGNAL(1));
	close(told[1]);
	ck_assert_int_ge(read(told[0], text, sizeof(text) - 1), 0);
	ck_assert_msg(strstr(text, expected), "it says: %s", text);
	close(told[0]);
}
END_TEST

struct hidden_trial {
	int ready[2], end[2];
};

static int wait_inside(const void *arg)
{
	const struct hidden_trial *t = arg;
	struct iovec iov = { "x", 1 };
	struct pollfd ended = { .fd = t->end[0] };
	struct sandbox sandbox;
	char byte;

	close(t->end[1]);
	if (geteuid() == 0 && setuid(65534) < 0)
		return NOT_ENTERED;
	/* setuid() had taken it away */
	if (prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) < 0 || writev(t->ready[1], &iov, 1) != 1 ||
	    read(t->end[0], &byte, 1) != 1 || enter(SERVE, &sandbox) < 0 ||
	    writev(t->ready[1], &iov, 1) != 1)
		return NOT_ENTERED;
	return poll(&ended, 1, -1) == 1 ? 0 : NOT_ENTERED;
}

/* Files in /proc that belong to root are closed to other processes of the same user. */
START_TEST(others_of_its_user_cannot_look_inside)
{
	struct hidden_trial t;
	char path[64], byte;
	struct stat st;
	pid_t child;

	prepare();
	ck_assert_int_eq(pipe2(t.ready, O_CLOEXEC), 0);
	ck_assert_int_eq(pipe2(t.end, O_CLOEXEC), 0);
	child = child_start(wait_inside, &t);
	(void)snprintf(path, sizeof(path), "/proc/%d/mem", child);
	ck_assert_int_eq(read(t.ready[0], &byte, 1), 1);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_ne(st.st_uid, 0);
	ck_assert_int_eq(write(t.end[1], "x", 1), 1);
	ck_assert_int_eq(read(t.ready[0], &byte, 1), 1);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_uid, 0);
	close(t.end[1]);
	ck_assert_int_eq(child_end(child), 0);
}
END_TEST

/* ---- kernels that have less, as a filter that makes calls fail */

static void lack(long call, int error)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)call, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)error),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { LENGTH(code), code };

	ck_assert_int_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
	ck_assert_int_eq(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0), 0);
}

static const struct kernel {
	int landlock, seccomp, limit, stat; /* errno of these calls; 0: as they are */
	int result;
} kernels[] = {
	{ 0, 0, 0, 0, 0 },
	{ ENOSYS, 0, 0, 0, 0 },
	{ EOPNOTSUPP, 0, 0, 0, 0 },
	{ EPERM, 0, 0, 0, 0 }, /* says a container */
	{ 0, ENOSYS, 0, 0, 0 },
	{ 0, EINVAL, 0, 0, 0 },
	{ ENOSYS, ENOSYS, 0, 0, 0 },
	/* there, and failing */
	{ EINVAL, 0, 0, 0, EINVAL },
	{ EMFILE, 0, 0, 0, EMFILE },
	{ 0, EPERM, 0, 0, EPERM },
	{ 0, ENOMEM, 0, 0, ENOMEM },
	{ 0, 0, EPERM, 0, EPERM },
	{ 0, 0, 0, EIO, EIO },
};

struct kernel_trial {
	const struct kernel *kernel;
	const char *missing;
};

static int enter_on_kernel(const void *arg)
{
	const struct kernel_trial *t = arg;
	const struct kernel *k = t->kernel;
	struct sandbox sandbox;
	int r;

	if (k->landlock)
		lack(SYS_landlock_create_ruleset, k->landlock);
	if (k->limit)
		lack(SYS_prlimit64, k->limit);
	if (k->stat) {
		lack(SYS_newfstatat, k->stat);
		lack(SYS_fstat, k->stat);
	}
	if (k->seccomp)
		lack(SYS_seccomp, k->seccomp);
	r = enter(SERVE, &sandbox);
	if (r < 0)
		return -r;
	if (k->seccomp && sandbox_tighten(&sandbox, AF_UNSPEC) < 0)
		return NOT_ENTERED;
	return same(sandbox.missing, t->missing) ? 0 : LESS;
}

START_TEST(what_a_kernel_lacks_is_said_and_what_fails_is_fatal)
{
	const struct kernel *k = &kernels[_i];
	const struct kernel_trial t = {
		k, what_lacks(k->landlock ? 0 : landlock_version(), !k->seccomp)
	};

	prepare();
	ck_assert_int_eq(in_child(enter_on_kernel, &t), k->result);
}
END_TEST

/* ---- calls that nothing here ever makes */

/*
 * What `systemd-analyze security` asks about and nothing here has a use for, whatever the
 * arguments: groups of calls as systemd.exec(5) has them, and what single directives forbid.
 */
static const struct call {
	const char *asked;
	const char *name;
	long number;
} forbidden[] = {
#define CALL(asked, name)                \
	{                                \
		asked, #name, SYS_##name \
	}
	CALL("@clock", adjtimex),
	CALL("@clock", clock_adjtime),
	CALL("@clock", clock_settime),
	CALL("@clock", settimeofday),
	CALL("@debug", perf_event_open),
	CALL("@debug", pidfd_getfd),
	CALL("@debug", ptrace),
	CALL("@debug", process_vm_writev),
	CALL("@debug", kcmp),
	CALL("@keyring", add_key),
	CALL("@keyring", keyctl),
	CALL("@keyring", request_key),
	CALL("@module", delete_module),
	CALL("@module", finit_module),
	CALL("@module", init_module),
	CALL("@mount", chroot),
	CALL("@mount", fsconfig),
	CALL("@mount", fsmount),
	CALL("@mount", fsopen),
	CALL("@mount", fspick),
	CALL("@mount", mount),
	CALL("@mount", mount_setattr),
	CALL("@mount", move_mount),
	CALL("@mount", open_tree),
	CALL("@mount", pivot_root),
	CALL("@mount", umount2),
	CALL("@privileged", acct),
	CALL("@privileged", bpf),
	CALL("@privileged", capset),
	CALL("@privileged", fanotify_init),
	CALL("@privileged", fanotify_mark),
	CALL("@privileged", open_by_handle_at),
	CALL("@privileged", quotactl),
	CALL("@privileged", setdomainname),
	CALL("@privileged", setfsgid),
	CALL("@privileged", setfsuid),
	CALL("@privileged", setgid),
	CALL("@privileged", setgroups),
	CALL("@privileged", sethostname),
	CALL("@privileged", setregid),
	CALL("@privileged", setresgid),
	CALL("@privileged", setresuid),
	CALL("@privileged", setreuid),
	CALL("@privileged", setuid),
	CALL("@privileged", vhangup),
	CALL("@chown", fchown),
	CALL("@chown", fchownat),
	CALL("@reboot", kexec_load),
	CALL("@reboot", reboot),
	CALL("@resources", ioprio_set),
	CALL("@resources", mbind),
	CALL("@resources", migrate_pages),
	CALL("@resources", move_pages),
	CALL("@resources", sched_setaffinity),
	CALL("@resources", sched_setattr),
	CALL("@resources", sched_setparam),
	CALL("@resources", sched_setscheduler),
	CALL("@resources", set_mempolicy),
	CALL("@resources", setpriority),
	CALL("@swap", swapoff),
	CALL("@swap", swapon),
	CALL("RestrictNamespaces=", clone),
	CALL("RestrictNamespaces=", clone3),
	CALL("RestrictNamespaces=", setns),
	CALL("RestrictNamespaces=", unshare),
	CALL("RestrictSUIDSGID=", fchmod),
	CALL("RestrictSUIDSGID=", fchmodat),
	CALL("RestrictSUIDSGID=", mknodat),
	CALL("LockPersonality=", personality),
	CALL("MemoryDenyWriteExecute=", pkey_mprotect),
	CALL("MemoryDenyWriteExecute=", shmat),
	CALL("MemoryDenyWriteExecute=", remap_file_pages),
	CALL("ProtectKernelLogs=", syslog),
	CALL("RemoveIPC=", mq_open),
	CALL("RemoveIPC=", msgget),
	CALL("RemoveIPC=", semget),
/* not on every architecture, or not in older headers */
#ifdef SYS_modify_ldt
	CALL("@cpu-emulation", modify_ldt),
#endif
#ifdef SYS_lookup_dcookie
	CALL("@debug", lookup_dcookie),
#endif
#ifdef SYS__sysctl
	CALL("@obsolete", _sysctl),
#endif
#ifdef SYS_create_module
	CALL("@obsolete", create_module),
#endif
#ifdef SYS_get_kernel_syms
	CALL("@obsolete", get_kernel_syms),
#endif
#ifdef SYS_query_module
	CALL("@obsolete", query_module),
#endif
#ifdef SYS_sysfs
	CALL("@obsolete", sysfs),
#endif
#ifdef SYS_uselib
	CALL("@obsolete", uselib),
#endif
#ifdef SYS_ustat
	CALL("@obsolete", ustat),
#endif
#ifdef SYS_quotactl_fd
	CALL("@privileged", quotactl_fd),
#endif
#ifdef SYS_chown
	CALL("@chown", chown),
#endif
#ifdef SYS_lchown
	CALL("@chown", lchown),
#endif
#ifdef SYS_ioperm
	CALL("@raw-io", ioperm),
#endif
#ifdef SYS_iopl
	CALL("@raw-io", iopl),
#endif
#ifdef SYS_kexec_file_load
	CALL("@reboot", kexec_file_load),
#endif
#ifdef SYS_setrlimit
	CALL("@resources", setrlimit),
#endif
#ifdef SYS_fork
	CALL("RestrictNamespaces=", fork),
#endif
#ifdef SYS_vfork
	CALL("RestrictNamespaces=", vfork),
#endif
#ifdef SYS_chmod
	CALL("RestrictSUIDSGID=", chmod),
#endif
#ifdef SYS_mknod
	CALL("RestrictSUIDSGID=", mknod),
#endif
};

struct forbidden_trial {
	const struct call *call;
	enum stage stage;
};

static int make_forbidden_call(const void *arg)
{
	const struct forbidden_trial *t = arg;
	struct sandbox sandbox;

	lack(t->call->number,
	     EDOM); /* without a sandbox it would fail, with no harm done */
	if (enter(t->stage, &sandbox) < 0)
		return NOT_ENTERED;
	return result(syscall(t->call->number, -1, -1, -1));
}

/*
 * These two stages have between them all that any program allows: tunnels keep the program of
 * the first stage, and the others leave out a part of it.
 */
START_TEST(what_systemd_would_forbid_ends_the_process)
{
	const struct forbidden_trial t = { &forbidden[_i / 2],
					   _i % 2 ? RESOLVE : SECURED };
	int r;

	prepare();
	r = in_child(make_forbidden_call, &t);
	ck_assert_msg(r == KILLED, "%s (%s): %d", t.call->name, t.call->asked, r);
}
END_TEST

#ifdef __x86_64__

#define X32_BIT 0x40000000L

static int call_i386(void)
{
	long r = 20; /* getpid() */

	__asm__ volatile("int $0x80" : "+a"(r)::"memory", "r8", "r9", "r10", "r11");
	return r < 0 ? (int)-r : 0;
}

static int call_x32(void)
{
	return result(syscall(X32_BIT | SYS_getppid));
}

static const struct foreign_call {
	int (*run)(void);
	int expected;
} foreign_calls[] = {
	{ call_i386, KILLED },
	{ call_x32, ENOSYS },
};

static int call_without_sandbox(const void *arg)
{
	return ((const struct foreign_call *)arg)->run();
}

struct foreign_trial {
	const struct foreign_call *call;
	enum stage stage;
};

static int make_foreign_call(const void *arg)
{
	const struct foreign_trial *t = arg;
	struct sandbox sandbox;

	/* a kernel without x32 fails with the same error as the sandbox */
	lack(X32_BIT | SYS_getppid, EDOM);
	if (enter(t->stage, &sandbox) < 0)
		return NOT_ENTERED;
	return t->call->run();
}

START_TEST(another_architecture_has_no_calls)
{
	const struct foreign_trial t = { &foreign_calls[_i / STAGES],
					 (enum stage)(_i % STAGES) };

	/* a kernel without 32-bit programs ends the process by SIGSEGV */
	if (t.call->run == call_i386 && in_child(call_without_sandbox, t.call) != 0) {
		printf("SKIP: this kernel runs no 32-bit programs\n");
		return;
	}
	prepare();
	ck_assert_int_eq(in_child(make_foreign_call, &t), t.call->expected);
}
END_TEST

#endif

int main(void)
{
	Suite *suite = suite_create("sandbox");
	TCase *tc = tcase_create("sandbox");

	/* two attempts end by these signals; whatever started this may ignore them */
	(void)signal(SIGPIPE, SIG_DFL);
	(void)signal(SIGXFSZ, SIG_DFL);
	suite_add_tcase(suite, tc);
	tcase_add_loop_test(tc, each_attempt_ends_as_expected, 0,
			    (int)LENGTH(attempts) * STAGES);
	tcase_add_loop_test(tc, an_older_landlock_keeps_files_shut_and_ports_open, 0,
			    (int)LENGTH(attempts) * STAGES);
	tcase_add_loop_test(tc, without_a_wall_it_would_work, 0, (int)LENGTH(works));
	tcase_add_loop_test(tc, a_recheck_has_sockets_of_one_family_only, 0, 10);
	tcase_add_test(tc, another_family_is_no_sandbox);
	tcase_add_loop_test(tc, a_recheck_opens_only_connections, 0,
			    (int)LENGTH(attempts) * 2);
	tcase_add_loop_test(tc, with_an_older_landlock_a_recheck_may_connect_to_any_port,
			    0, (int)LENGTH(attempts) * 2);
	tcase_add_test(tc,
		       a_recheck_through_a_unix_socket_may_connect_to_any_with_a_path);
	tcase_add_test(tc, a_unix_backend_gets_unix_sockets_and_no_port);
	tcase_add_loop_test(tc, a_failed_assertion_is_told, 0, STAGES);
	tcase_add_test(tc, others_of_its_user_cannot_look_inside);
	tcase_add_loop_test(tc, what_a_kernel_lacks_is_said_and_what_fails_is_fatal, 0,
			    (int)LENGTH(kernels));
	tcase_add_loop_test(tc, what_systemd_would_forbid_ends_the_process, 0,
			    (int)LENGTH(forbidden) * 2);
#ifdef __x86_64__
	tcase_add_loop_test(tc, another_architecture_has_no_calls, 0, 2 * STAGES);
#endif
	return suite_run(suite);
}
