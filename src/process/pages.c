/* SPDX-License-Identifier: MIT */
/* Memory back to the kernel. */
#include "process/pages.h"

#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

/* Deeper than any call goes, bytes. */
#define PAGES_STACK (256 * 1024)
/* Room for our own frame and that of madvise(), with sanitizers as well. */
#define PAGES_FRAME 1024

void pages_release(void *p, size_t len)
{
	uintptr_t page = (uintptr_t)getpagesize();
	uintptr_t start = ((uintptr_t)p + page - 1) / page * page;
	uintptr_t end = ((uintptr_t)p + len) / page * page;

	if (start < end)
		(void)madvise((void *)start, end - start, MADV_DONTNEED);
}

/* Part of its caller, as link-time optimization would have it, it would give away what is there. */
__attribute__((noinline)) void pages_release_stack(void)
{
	char *end = (char *)__builtin_frame_address(0) - PAGES_FRAME;

	/* the kernel passes over what the stack has not grown to */
	pages_release(end - PAGES_STACK, PAGES_STACK);
}
