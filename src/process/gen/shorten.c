/* SPDX-License-Identifier: MIT */
/* A filter put together anew: a tree of numbers, and of the old one what looks at arguments. */
#include "process/gen/shorten.h"

#include <err.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define INSTRUCTIONS_MAX BPF_MAXINSNS
#define LEAVES_MAX       512
#define FAR_MAX          255 /* how far a jump can lead */

#define LD_ABS (BPF_LD | BPF_W | BPF_ABS)
#define RET_K  (BPF_RET | BPF_K)
#define AND_K  (BPF_ALU | BPF_AND | BPF_K)
#define GOTO   (BPF_JMP | BPF_JA)
#define IF(op) (BPF_JMP | (op) | BPF_K)

#define NR   offsetof(struct seccomp_data, nr)
#define ARCH offsetof(struct seccomp_data, arch)

/* ---- what a program does */

/* Where a jump leads. */
static size_t follow(const struct sock_filter program[], size_t at, uint32_t a)
{
	const struct sock_filter *i = &program[at];
	bool holds = false;

	switch (i->code) {
	case GOTO: return at + 1 + i->k;
	case IF(BPF_JEQ): holds = a == i->k; break;
	case IF(BPF_JGT): holds = a > i->k; break;
	case IF(BPF_JGE): holds = a >= i->k; break;
	case IF(BPF_JSET): holds = (a & i->k) != 0; break;
	default: errx(EXIT_FAILURE, "libseccomp has used instruction %#x", i->code);
	}
	return at + 1 + (holds ? i->jt : i->jf);
}

/* Goes on up to a decision or, without args, the first look at an argument. Returns where. */
static size_t walk(const struct sock_filter program[], const struct seccomp_data *data,
		   bool args)
{
	uint32_t a = 0;
	size_t at = 0;

	for (;;) {
		const struct sock_filter *i = &program[at];

		if (i->code == RET_K || (i->code == LD_ABS && i->k > ARCH && !args))
			return at;
		if (i->code == LD_ABS)
			memcpy(&a, (const char *)data + i->k, sizeof(a));
		else if (i->code == AND_K)
			a &= i->k;
		at = i->code == LD_ABS || i->code == AND_K ? at + 1
							   : follow(program, at, a);
	}
}

/*
 * Behind what decides nothing: far jumps, and where libseccomp masks the half of an argument
 * that does not count with 0 and compares what is left.
 */
static size_t beyond_vain(const struct sock_filter program[], size_t at)
{
	for (;;) {
		const struct sock_filter *i = &program[at];

		if (i->code == GOTO)
			at += 1 + i->k;
		else if (i->code == LD_ABS && i[1].code == AND_K && i[1].k == 0 &&
			 i[2].code == IF(BPF_JEQ) && i[2].k == 0)
			at += 3 + i[2].jt;
		else
			return at;
	}
}

/* Marks what may be reached from there on. */
static void use(const struct sock_filter program[], size_t at, bool used[])
{
	const struct sock_filter *i = &program[at];

	if (used[at])
		return;
	used[at] = true;
	if (i->code == LD_ABS || i->code == AND_K) {
		use(program, at + 1, used);
	} else if (i->code != RET_K) {
		use(program, beyond_vain(program, at + 1 + i->jt), used);
		use(program, beyond_vain(program, at + 1 + i->jf), used);
	}
}

/* ---- how it is put together: a tree of numbers, then what looks at arguments and decides */

/* Numbers from first on, up to the next one's, that all lead to the same. */
struct leaf {
	uint32_t first;
	size_t to; /* in the program as it was */
};

struct jump {
	size_t at; /* in the program as it becomes, */
	bool holds;
	size_t to; /* in the program as it was */
};

struct shorter {
	const struct sock_filter *old;
	size_t old_len;
	uint32_t arch;
	struct leaf leaf[LEAVES_MAX + 1];
	size_t leaves;
	/* what a tree of the leaves i to j costs all its numbers, and where it parts them */
	size_t cost[LEAVES_MAX][LEAVES_MAX], part[LEAVES_MAX][LEAVES_MAX];
	struct jump jump[2 * INSTRUCTIONS_MAX];
	size_t jumps;
	bool used
		[INSTRUCTIONS_MAX]; /* of the old ones, beside those that look at the number */
	size_t place[INSTRUCTIONS_MAX]; /* of a used one, in the new program */
	struct sock_filter program[INSTRUCTIONS_MAX];
	size_t len;
};

static struct seccomp_data call_of(const struct shorter *s, uint32_t nr)
{
	return (struct seccomp_data){ .nr = (int)nr, .arch = s->arch };
}

static bool is_same(const struct shorter *s, size_t a, size_t b)
{
	const struct sock_filter *x = &s->old[a], *y = &s->old[b];

	return a == b || (x->code == RET_K && y->code == RET_K && x->k == y->k);
}

static void leaves_find(struct shorter *s)
{
	for (uint32_t nr = 0; nr < CALLS_MAX; nr++) {
		struct seccomp_data data = call_of(s, nr);
		size_t to = beyond_vain(s->old, walk(s->old, &data, false));

		if (s->leaves > 0 && is_same(s, s->leaf[s->leaves - 1].to, to))
			continue;
		if (s->leaves == LEAVES_MAX)
			errx(EXIT_FAILURE, "more than %d leaves", LEAVES_MAX);
		s->leaf[s->leaves++] = (struct leaf){ nr, to };
	}
	/* the last one is that of all numbers to come: a kernel has few of them */
	s->leaf[s->leaves].first = s->leaf[s->leaves - 1].first + 16;
}

/* The tree in which the way to all numbers together is the shortest. */
static void tree_plan(struct shorter *s)
{
	for (size_t n = 1; n < s->leaves; n++)
		for (size_t i = 0, j = n; j < s->leaves; i++, j++) {
			s->cost[i][j] = SIZE_MAX;
			for (size_t k = i; k < j; k++) {
				size_t cost = s->cost[i][k] + s->cost[k + 1][j];

				if (cost < s->cost[i][j]) {
					s->cost[i][j] = cost;
					s->part[i][j] = k;
				}
			}
			s->cost[i][j] += s->leaf[j + 1].first - s->leaf[i].first;
		}
}

static size_t put(struct shorter *s, struct sock_filter i)
{
	if (s->len == INSTRUCTIONS_MAX)
		errx(EXIT_FAILURE, "a program of more than %d instructions",
		     INSTRUCTIONS_MAX);
	s->program[s->len] = i;
	return s->len++;
}

/* A jump to what has been in the old program. */
static void put_jump(struct shorter *s, size_t at, bool holds, size_t to)
{
	to = beyond_vain(s->old, to);
	s->jump[s->jumps++] = (struct jump){ at, holds, to };
	use(s->old, to, s->used);
}

/* Each part of the tree comes right behind its root, the lower numbers first. */
static void put_tree(struct shorter *s, size_t i, size_t j)
{
	size_t k = s->part[i][j], at;

	if (i == j)
		return;
	at = put(s, (struct sock_filter)BPF_JUMP(IF(BPF_JGE), s->leaf[k + 1].first,
						 (uint8_t)(k - i), 0));
	if (i == k)
		put_jump(s, at, false, s->leaf[i].to);
	put_tree(s, i, k);
	if (k + 1 == j)
		put_jump(s, at, true, s->leaf[j].to);
	put_tree(s, k + 1, j);
}

static void put_used(struct shorter *s)
{
	for (size_t at = 0; at < s->old_len; at++) {
		const struct sock_filter *i = &s->old[at];

		if (!s->used[at])
			continue;
		s->place[at] = put(s, *i);
		if (i->code == LD_ABS || i->code == AND_K || i->code == RET_K)
			continue;
		put_jump(s, s->place[at], true, at + 1 + i->jt);
		put_jump(s, s->place[at], false, at + 1 + i->jf);
	}
}

/* Whether all jumps are near enough. */
static bool jumps_resolve(struct shorter *s)
{
	for (size_t i = 0; i < s->jumps; i++) {
		const struct jump *j = &s->jump[i];
		size_t distance = s->place[j->to] - j->at - 1;

		if (distance > FAR_MAX)
			return false;
		*(j->holds ? &s->program[j->at].jt : &s->program[j->at].jf) =
			(uint8_t)distance;
	}
	return true;
}

/* ---- whether it decides as before */

static uint32_t decision(const struct sock_filter program[],
			 const struct seccomp_data *data)
{
	return program[walk(program, data, true)].k;
}

static void compare(const struct shorter *s, const struct seccomp_data *data)
{
	if (decision(s->old, data) != decision(s->program, data))
		errx(EXIT_FAILURE, "call %d is decided otherwise when shortened",
		     data->nr);
}

/* With all words from *word on at all values that the program knows, and some beside them. */
static void compare_args(const struct shorter *s, struct seccomp_data *data,
			 const uint32_t word[], size_t words, const uint32_t value[],
			 size_t values)
{
	if (words == 0) {
		compare(s, data);
		return;
	}
	for (size_t i = 0; i < values; i++) {
		memcpy((char *)data + *word, &value[i], sizeof(*value));
		compare_args(s, data, word + 1, words - 1, value, values);
	}
}

struct list {
	uint32_t item[64];
	size_t n;
};

static void list_add(struct list *l, uint32_t item)
{
	for (size_t i = 0; i < l->n; i++)
		if (l->item[i] == item)
			return;
	if (l->n == sizeof(l->item) / sizeof(l->item[0]))
		errx(EXIT_FAILURE, "a call with more to try out than expected");
	l->item[l->n++] = item;
}

/* The words that a program looks at for this call, and the values that matter to it. */
static void collect(const struct sock_filter program[], size_t len,
		    const struct seccomp_data *data, struct list *words,
		    struct list *values)
{
	bool used[INSTRUCTIONS_MAX] = { false };

	use(program, walk(program, data, false), used);
	for (size_t at = 0; at < len; at++) {
		const struct sock_filter *i = &program[at];

		if (!used[at] || i->code == RET_K)
			continue;
		list_add(i->code == LD_ABS ? words : values, i->k);
		if (i->code != LD_ABS)
			list_add(values, ~i->k);
		/* what it lets pass, with all that it does not look at */
		if (i->code == AND_K)
			list_add(values, i[1].k | ~i->k);
	}
}

static void compare_call(const struct shorter *s, uint32_t nr)
{
	struct seccomp_data data = call_of(s, nr);
	struct list words = { .n = 0 }, values = { { 0, 1, UINT32_MAX }, 3 };

	memset(data.args, 0xa5, sizeof(data.args));
	collect(s->old, s->old_len, &data, &words, &values);
	collect(s->program, s->len, &data, &words, &values);
	compare_args(s, &data, words.item, words.n, values.item, values.n);
}

static void compare_all(const struct shorter *s)
{
	struct seccomp_data data;

	for (uint32_t nr = 0; nr < CALLS_MAX; nr++) {
		compare_call(s, nr);
		data = call_of(s, nr);
		data.arch = ~data.arch;
		compare(s, &data);
	}
	for (int bit = 11; bit < 32; bit++) {
		data = call_of(s, UINT32_C(1) << bit);
		compare(s, &data);
	}
}

/* ---- what shorten.h promises */

size_t shorten(struct sock_filter program[], size_t len, uint32_t arch)
{
	static struct shorter s;
	struct seccomp_data foreign = { .arch = ~arch };

	s = (struct shorter){ .old = program, .old_len = len, .arch = arch };
	leaves_find(&s);
	tree_plan(&s);
	(void)put(&s, (struct sock_filter)BPF_STMT(LD_ABS, ARCH));
	(void)put(&s, (struct sock_filter)BPF_JUMP(IF(BPF_JEQ), arch, 1, 0));
	(void)put(&s, program[walk(program, &foreign, true)]);
	(void)put(&s, (struct sock_filter)BPF_STMT(LD_ABS, NR));
	put_tree(&s, 0, s.leaves - 1);
	put_used(&s);
	if (s.len > len || !jumps_resolve(&s))
		return len;
	compare_all(&s);
	memcpy(program, s.program, s.len * sizeof(*program));
	return s.len;
}
