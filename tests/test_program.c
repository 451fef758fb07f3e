/* SPDX-License-Identifier: MIT */
/* gen/program.c: a seccomp program gives each call the action that its rules give. */
#include "process/gen/program.h"

#include "testing.h"

/* The table of system calls, and the filters that are made of it. */
#define main filters_main
int filters_main(void);
#include "process/gen/filters.c"
#undef main

#define WORDS (sizeof(struct seccomp_data) / sizeof(uint32_t))

/* The action of the program, as the kernel finds it. */
static uint32_t run(const struct sock_filter *program, size_t len,
		    const struct seccomp_data *data)
{
	uint32_t a = 0;

	for (size_t at = 0; at < len; at++) {
		const struct sock_filter *i = &program[at];

		switch (i->code) {
		case BPF_LD | BPF_W | BPF_ABS:
			memcpy(&a, (const char *)data + i->k, sizeof(a));
			break;
		case BPF_ALU | BPF_AND | BPF_K: a &= i->k; break;
		case BPF_JMP | BPF_JEQ | BPF_K: at += a == i->k ? i->jt : i->jf; break;
		case BPF_JMP | BPF_JGE | BPF_K: at += a >= i->k ? i->jt : i->jf; break;
		case BPF_RET | BPF_K: return i->k;
		default: ck_abort_msg("instruction 0x%02x", i->code);
		}
	}
	ck_abort_msg("the program has no end");
}

static bool holds(const struct program_rule *rule, const struct seccomp_data *data)
{
	uint32_t word[WORDS];

	memcpy(word, data, sizeof(word));
	for (size_t i = 0; i < PROGRAM_TESTS && rule->test[i].mask != 0; i++) {
		const struct program_test *t = &rule->test[i];

		if ((word[t->offset / sizeof(*word)] & t->mask) != t->value)
			return false;
	}
	return true;
}

/* The action that program.h promises. */
static uint32_t wanted(const struct program_rules *r, const struct seccomp_data *data)
{
	uint32_t call = (uint32_t)data->nr;

	if (data->arch != r->arch)
		return r->otherwise;
	for (size_t i = 0; i < r->n_rules; i++)
		if (r->rule[i].call == call && holds(&r->rule[i], data))
			return r->rule[i].action;
	return call < r->first_unknown ? r->otherwise : r->newer;
}

/* A program and its rules. */
struct pair {
	const struct program_rules *rules;
	struct sock_filter program[PROGRAM_MAX];
	size_t len;
};

static void compare(const struct pair *p, const struct seccomp_data *data)
{
	uint32_t is = run(p->program, p->len, data), shall = wanted(p->rules, data);

	/* without ck_assert(), which takes a system call each time */
	if (is != shall)
		ck_abort_msg("call %d of 0x%x with 0x%llx, 0x%llx, 0x%llx, 0x%llx: "
			     "0x%08x, not 0x%08x",
			     data->nr, data->arch, data->args[0], data->args[1],
			     data->args[2], data->args[3], is, shall);
}

/* The call, and what differs from it in one of the first n bits. */
static void compare_bits(const struct pair *p, const struct seccomp_data *data, size_t n)
{
	compare(p, data);
	for (size_t bit = 0; bit < n; bit++) {
		struct seccomp_data other = *data;

		((unsigned char *)&other)[bit / 8] ^= (unsigned char)(1 << bit % 8);
		compare(p, &other);
	}
}

/* Arguments that pass all tests of a rule, with other bits than 0 where nothing is tested. */
static struct seccomp_data passing(const struct program_rules *r,
				   const struct program_rule *rule)
{
	struct seccomp_data data = { .nr = (int)rule->call, .arch = r->arch };
	uint32_t word[WORDS];

	memset(data.args, 0xa5, sizeof(data.args));
	memcpy(word, &data, sizeof(word));
	for (size_t i = 0; i < PROGRAM_TESTS; i++) {
		const struct program_test *t = &rule->test[i];
		uint32_t *w = &word[t->offset / sizeof(*word)];

		*w = (*w & ~t->mask) | t->value;
	}
	memcpy(&data, word, sizeof(data));
	return data;
}

/* Each number of a call on each architecture that differs in one bit, and each rule. */
static void compare_all(const struct program_rules *r)
{
	struct pair p = { .rules = r };

	p.len = program_make(r, p.program);
	for (uint32_t call = 0; call < PROGRAM_CALLS; call++) {
		const struct program_rule none = { .call = call };
		struct seccomp_data data = passing(r, &none);

		compare_bits(&p, &data, 8 * offsetof(struct seccomp_data, args));
	}
	for (size_t i = 0; i < r->n_rules; i++) {
		struct seccomp_data data = passing(r, &r->rule[i]);

		compare_bits(&p, &data, 8 * sizeof(data));
	}
}

START_TEST(each_filter_of_the_sandbox_does_as_the_table_says)
{
	static struct program_rules r;

	rules_of(filters[_i].when, &r);
	ck_assert_uint_gt(r.n_rules, 0);
	compare_all(&r);
}
END_TEST

/* Actions; the program only returns them. */
enum { OTHERWISE = 1, NEWER, A, B, C };

static const struct program_rules table[] = {
	/* no rule; few calls are unknown, all are */
	{ .first_unknown = PROGRAM_CALLS - 1 },
	{ .first_unknown = 0 },
	/* the lowest number, the highest, and those beside the first that is unknown */
	{ .first_unknown = 300, .n_rules = 1, .rule = { { 0, A, { { 0 } } } } },
	{ .first_unknown = 300,
	  .n_rules = 1,
	  .rule = { { PROGRAM_CALLS - 2, A, { { 0 } } } } },
	{ .first_unknown = 300,
	  .n_rules = 2,
	  .rule = { { 299, A, { { 0 } } }, { 300, B, { { 0 } } } } },
	/* neighbours with one action, and with several */
	{ .first_unknown = 300,
	  .n_rules = 3,
	  .rule = { { 7, A, { { 0 } } }, { 8, A, { { 0 } } }, { 9, B, { { 0 } } } } },
	/* the same call: tests of one word, of several; the last without a test */
	{ .first_unknown = 300,
	  .n_rules = 4,
	  .rule = { { 7, A, { IS(0, 1) } },
		    { 7, B, { IS(0, 2), BITS(1, 0xf0, 0x30) } },
		    { 7, C, { BITS(0, 0x4, 0), IS(1, 5), IS(2, 6) } },
		    { 7, A, { { 0 } } } } },
	/* the same, but only with tests; another call's rule between them */
	{ .first_unknown = 7,
	  .n_rules = 3,
	  .rule = { { 7, A, { NULL_POINTER(2) } },
		    { 6, B, { BITS(2, 1, 1) } },
		    { 7, C, { BITS(2, 1, 0) } } } },
	/* both rules hold: the first one counts */
	{ .first_unknown = 300,
	  .n_rules = 3,
	  .rule = { { 7, A, { BITS(0, 1, 1) } },
		    { 7, B, { BITS(0, 3, 3) } },
		    { 7, C, { { 0 } } } } },
};

START_TEST(a_program_does_as_its_rules_say)
{
	static struct program_rules r;

	r = table[_i];
	r.arch = seccomp_arch_native();
	r.otherwise = OTHERWISE;
	r.newer = NEWER;
	compare_all(&r);
}
END_TEST

/* Every second call has a rule: two instructions for each, and six more. */
static void every_second(size_t calls, struct program_rules *ret)
{
	*ret = (struct program_rules){
		.arch = seccomp_arch_native(),
		.first_unknown = PROGRAM_CALLS - 1,
		.otherwise = OTHERWISE,
		.newer = NEWER,
		.n_rules = calls,
	};
	for (size_t i = 0; i < calls; i++)
		ret->rule[i] =
			(struct program_rule){ .call = (uint32_t)(2 * i), .action = A };
}

START_TEST(a_program_of_the_greatest_length_does_too)
{
	static struct program_rules r;

	every_second((PROGRAM_MAX - 6) / 2, &r);
	compare_all(&r);
}
END_TEST

START_TEST(a_longer_program_is_an_error)
{
	static struct program_rules r;
	struct sock_filter program[PROGRAM_MAX];

	every_second((PROGRAM_MAX - 6) / 2 + 1, &r);
	ck_assert_ptr_nonnull(freopen("/dev/null", "w", stderr)); /* for its message */
	(void)program_make(&r, program);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("program");
	TCase *t = tcase_create("program");

	suite_add_tcase(s, t);
	tcase_add_loop_test(t, each_filter_of_the_sandbox_does_as_the_table_says, 0,
			    (int)LENGTH(filters));
	tcase_add_loop_test(t, a_program_does_as_its_rules_say, 0, (int)LENGTH(table));
	tcase_add_test(t, a_program_of_the_greatest_length_does_too);
	tcase_add_exit_test(t, a_longer_program_is_an_error, EXIT_FAILURE);
	return suite_run(s);
}
