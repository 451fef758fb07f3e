/* SPDX-License-Identifier: MIT */
/* Makes a seccomp program: a tree that finds the number of the call, then the tests of each. */
#include "process/gen/program.h"

#include <err.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define LOAD     (BPF_LD | BPF_W | BPF_ABS)
#define MASK     (BPF_ALU | BPF_AND | BPF_K)
#define EQUAL    (BPF_JMP | BPF_JEQ | BPF_K)
#define AT_LEAST (BPF_JMP | BPF_JGE | BPF_K)
#define RETURN   (BPF_RET | BPF_K)

#define NR   offsetof(struct seccomp_data, nr)
#define ARCH offsetof(struct seccomp_data, arch)

/* Numbers from `first` up to the next leaf, for which the program continues at `to`. */
struct leaf {
	uint32_t first;
	size_t to;
};

/* Written from its end to its start: jumps lead forwards, so their targets are known. */
struct program {
	struct sock_filter code[PROGRAM_MAX];
	size_t start;
	struct leaf leaf[PROGRAM_MAX + 1];
	size_t leaves;
};

/* ---- instructions: each function puts its own in front, and returns the index of the first */

static size_t put(struct program *p, struct sock_filter instruction)
{
	if (p->start == 0)
		errx(EXIT_FAILURE, "a program of more than %d instructions", PROGRAM_MAX);
	p->code[--p->start] = instruction;
	return p->start;
}

static size_t put_jump(struct program *p, uint16_t code, uint32_t k, size_t yes,
		       size_t no)
{
	return put(p, (struct sock_filter){ code, (uint8_t)(yes - p->start),
					    (uint8_t)(no - p->start), k });
}

/* Uses the instruction that is there already, if there is one. */
static size_t put_return(struct program *p, uint32_t action)
{
	for (size_t at = p->start; at < PROGRAM_MAX; at++)
		if (p->code[at].code == RETURN && p->code[at].k == action)
			return at;
	return put(p, (struct sock_filter)BPF_STMT(RETURN, action));
}

/* Continues at `yes` if the test holds, else at `no`. */
static size_t put_test(struct program *p, const struct program_test *t, size_t yes,
		       size_t no)
{
	const struct sock_filter load = BPF_STMT(LOAD, t->offset);
	/* if `no` is the load of this word, and no MASK has changed the accumulator, jump past it */
	bool loaded =
		t->mask == UINT32_MAX && memcmp(&p->code[no], &load, sizeof(load)) == 0;

	(void)put_jump(p, EQUAL, t->value, yes, loaded ? no + 1 : no);
	if (t->mask != UINT32_MAX)
		(void)put(p, (struct sock_filter)BPF_STMT(MASK, t->mask));
	return put(p, load);
}

/* The rules for one call, from the i-th on. */
static size_t put_call(struct program *p, const struct program_rules *r, uint32_t call,
		       size_t i)
{
	const struct program_rule *rule;
	size_t tests = 0, yes, no;

	while (i < r->n_rules && r->rule[i].call != call)
		i++;
	if (i == r->n_rules)
		return put_return(p, call < r->first_unknown ? r->otherwise : r->newer);
	rule = &r->rule[i];
	while (tests < PROGRAM_TESTS && rule->test[tests].mask != 0)
		tests++;
	no = tests > 0 ? put_call(p, r, call, i + 1) : 0;
	yes = put_return(p, rule->action);
	while (tests-- > 0)
		yes = put_test(p, &rule->test[tests], yes, no);
	return yes;
}

static void put_leaves(struct program *p, const struct program_rules *r)
{
	for (uint32_t call = 0; call < PROGRAM_CALLS; call++) {
		size_t to = put_call(p, r, call, 0);

		if (p->leaves > 0 && p->leaf[p->leaves - 1].to == to)
			continue;
		if (p->leaves == PROGRAM_MAX)
			errx(EXIT_FAILURE, "more than %d ranges of calls", PROGRAM_MAX);
		p->leaf[p->leaves++] = (struct leaf){ call, to };
	}
	/* the last leaf has no end; to balance the tree, it counts as 16 numbers long, because a
	 * kernel has few calls that libseccomp does not know */
	p->leaf[p->leaves].first = p->leaf[p->leaves - 1].first + 16;
}

/* The last leaf of the lower half of the numbers. */
static size_t middle(const struct leaf leaf[], size_t low, size_t high)
{
	uint32_t half = leaf[low].first + (leaf[high + 1].first - leaf[low].first) / 2;

	while (low + 1 < high && leaf[low + 1].first < half)
		low++;
	return low;
}

static size_t put_tree(struct program *p, size_t low, size_t high)
{
	size_t m, yes, no;

	if (low == high)
		return p->leaf[low].to;
	m = middle(p->leaf, low, high);
	yes = put_tree(p, m + 1, high);
	no = put_tree(p, low, m);
	return put_jump(p, AT_LEAST, p->leaf[m + 1].first, yes, no);
}

/* ---- the functions of program.h */

size_t program_make(const struct program_rules *r,
		    struct sock_filter ret[static PROGRAM_MAX])
{
	static struct program p;
	size_t root, other;

	p = (struct program){ .start = PROGRAM_MAX };
	other = put_return(&p, r->otherwise);
	put_leaves(&p, r);
	(void)put_tree(&p, 0, p.leaves - 1);
	root = put(&p, (struct sock_filter)BPF_STMT(LOAD, NR));
	(void)put_jump(&p, EQUAL, r->arch, root, other);
	(void)put(&p, (struct sock_filter)BPF_STMT(LOAD, ARCH));
	memcpy(ret, &p.code[p.start], (PROGRAM_MAX - p.start) * sizeof(*ret));
	return PROGRAM_MAX - p.start;
}
