/* SPDX-License-Identifier: MIT */
/*
 * Does this kernel come to a standstill when many seccomp programs are freed at one moment? Where it
 * does, no process can install a program afterwards, until the machine is restarted: only for `run`.
 *
 *	standstill [--kill] PROCESSES PROGRAMS SPREAD_MS ROUNDS
 *
 * In each round so many processes install so many programs each. Then all of them exit, evenly over
 * SPREAD_MS, or are killed at one moment. Then one more process installs a program. Exit status 3: it
 * could not.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/klog.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* About as many as the gate's first program has. */
#define INSTRUCTIONS 140
/* A standstill: for so long, no process can install a program. */
#define PATIENCE_S   120
#define SYSLOG_ALL   3 /* syslog(2) */

struct test {
	int processes, programs, rounds;
	long spread_ms;
	bool kill;
};

static void fail(const char *what)
{
	perror(what);
	exit(EXIT_FAILURE);
}

static double now(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Lets everything through, after comparisons that the kernel does not optimise away. */
static int program_install(void)
{
	struct sock_filter code[INSTRUCTIONS] = { BPF_STMT(
		BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)) };
	struct sock_fprog program = { INSTRUCTIONS, code };

	for (unsigned i = 1; i < INSTRUCTIONS - 1; i++)
		code[i] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
						       100000 + i, 0, 0);
	code[INSTRUCTIONS - 1] =
		(struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return -errno;
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) != 0 ? -errno
									       : 0;
}

/* One of the processes: says that it stands, waits for the end of `go`, and exits in its turn. */
static void process_run(const struct test *t, int number, int go, int stands)
{
	long ms = t->spread_ms * number / t->processes;
	struct timespec delay = { ms / 1000, ms % 1000 * 1000000 };
	char c = 0;

	for (int i = 0; i < t->programs; i++)
		if (program_install() != 0)
			fail("seccomp");
	if (write(stands, &c, 1) != 1 || read(go, &c, 1) != 0)
		fail("pipe");
	(void)nanosleep(&delay, NULL);
	_exit(EXIT_SUCCESS);
}

/* Waits until all have said that they stand; false where nothing comes any more. */
static bool group_stands(const struct test *t, int stands)
{
	struct pollfd p = { .fd = stands, .events = POLLIN };
	char c;

	for (int i = 0; i < t->processes; i++) {
		if (poll(&p, 1, PATIENCE_S * 1000) == 0)
			return false;
		if (read(stands, &c, 1) != 1)
			fail("a process ended early");
	}
	return true;
}

/* Starts them, in a process group of their own; returns it, or 0 where not all of them stand. */
static pid_t group_start(const struct test *t, const int go[2])
{
	pid_t group = 0;
	int stands[2];
	bool all;

	if (pipe(stands) != 0)
		fail("pipe");
	for (int i = 0; i < t->processes; i++) {
		pid_t pid = fork();

		if (pid < 0)
			fail("fork");
		if (pid == 0) {
			(void)setpgid(0, group);
			(void)close(go[1]);
			process_run(t, i, go[0], stands[1]);
		}
		(void)setpgid(pid, group);
		group = group ? group : pid;
	}
	(void)close(stands[1]);
	all = group_stands(t, stands[0]);
	(void)close(stands[0]);
	return all ? group : 0;
}

/* True if one more process can install a program. */
static bool seccomp_works(void)
{
	static const struct timespec pause = { .tv_nsec = 100000000 };
	double end = now() + PATIENCE_S;
	pid_t pid = fork();

	if (pid == 0)
		_exit(program_install() != 0);
	while (waitpid(pid, NULL, WNOHANG) == 0) {
		if (now() > end)
			return false;
		(void)nanosleep(&pause, NULL);
	}
	return true;
}

/* Ends all, and waits for them. */
static void group_end(const struct test *t, pid_t group, const int go[2])
{
	if (t->kill)
		(void)kill(-group, SIGKILL);
	(void)close(go[0]);
	(void)close(go[1]);
	while (wait(NULL) > 0)
		;
}

static bool round_passes(const struct test *t, int number)
{
	double start = now(), stood, gone;
	pid_t group;
	int go[2];

	if (pipe(go) != 0)
		fail("pipe");
	printf("round %d: ", number);
	group = group_start(t, go);
	stood = now();
	if (group == 0) {
		printf("STANDSTILL: no process gets a program\n");
		return false;
	}
	group_end(t, group, go);
	gone = now();
	printf("they stand after %.0f s, are gone %.1f s later", stood - start,
	       gone - stood);
	if (!seccomp_works()) {
		printf("; STANDSTILL: one more gets no program\n");
		return false;
	}
	printf("; one more has its program after %.1f s\n", now() - gone);
	return true;
}

/* The number of tasks that the kernel has reported as blocked. */
static int tasks_hung(void)
{
	static char log[1 << 20];
	int n = klogctl(SYSLOG_ALL, log, sizeof(log) - 1), count = 0;

	if (n < 0)
		fail("klogctl");
	log[n] = '\0';
	for (const char *p = log; (p = strstr(p, "blocked for more")) != NULL; p++)
		count++;
	return count;
}

static void sysctl_write(const char *file, const char *value)
{
	FILE *f = fopen(file, "w");

	if (!f || fputs(value, f) < 0 || fclose(f) != 0)
		fail(file);
}

int main(int argc, char *argv[])
{
	struct test t = { .kill = argc == 6 && strcmp(argv[1], "--kill") == 0 };
	bool passes = true;

	argv += t.kill;
	if (argc != 5 + t.kill)
		return 2;
	t.processes = atoi(argv[1]);
	t.programs = atoi(argv[2]);
	t.spread_ms = atol(argv[3]);
	t.rounds = atoi(argv[4]);
	(void)setvbuf(stdout, NULL, _IONBF, 0);
	sysctl_write("/proc/sys/kernel/pid_max", "100000");
	sysctl_write("/proc/sys/kernel/threads-max", "100000");
	printf("%d processes with %d programs each, ", t.processes, t.programs);
	if (t.kill)
		puts("killed at one moment");
	else
		printf("exiting within %ld ms\n", t.spread_ms);
	for (int i = 1; passes && i <= t.rounds; i++)
		passes = round_passes(&t, i);
	printf("%d tasks hung\n", tasks_hung());
	return passes ? EXIT_SUCCESS : 3;
}
