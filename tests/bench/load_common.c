/* SPDX-License-Identifier: MIT */
#include "load.h"

#include <sys/mman.h>
#include <time.h>

#include "bench.h"

int load_port;
const char *load_scheme = "http";

uint64_t now_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

struct samples samples_shared(size_t cap)
{
	void *p = mmap(NULL, cap * sizeof(uint32_t), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		fail("mmap");
	return (struct samples){ .ns = p, .cap = cap };
}

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

void report(struct samples *s, uint64_t ns)
{
	if (s->n == 0)
		fail("no samples");
	qsort(s->ns, s->n, sizeof(*s->ns), compare);
	(void)printf(
		"{\"count\": %zu, \"seconds\": %.6f, \"p50_us\": %.2f, \"p99_us\": %.2f}\n",
		s->n, (double)ns / 1e9, s->ns[s->n / 2] / 1e3,
		s->ns[s->n * 99 / 100] / 1e3);
}

void report_bytes(uint64_t bytes, uint64_t ns)
{
	(void)printf("{\"bytes\": %llu, \"seconds\": %.6f}\n", (unsigned long long)bytes,
		     (double)ns / 1e9);
}

void ready(void)
{
	(void)puts("ready");
	(void)fflush(stdout);
	if (getchar() != '\n')
		exit(EXIT_SUCCESS);
}

size_t request(char *buf, size_t cap, const char *line, const char *more)
{
	int n = snprintf(
		buf, cap,
		"%s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n%s"
		"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 "
		"Firefox/128.0\r\nAccept: text/html,application/xhtml+xml,application/xml;"
		"q=0.9,*/*;q=0.8\r\nAccept-Language: en-US,en;q=0.5\r\nAccept-Encoding: "
		"gzip, deflate, br, zstd\r\nOrigin: %s://127.0.0.1:%d\r\nPragma: no-cache\r\n"
		"Cache-Control: no-cache\r\nSec-Fetch-Dest: empty\r\nSec-Fetch-Mode: "
		"cors\r\nSec-Fetch-Site: same-origin\r\nCookie: session=3f9a1c5e7b2d4680a1b2c3d4"
		"e5f60718; theme=dark; sidebar=open\r\n\r\n",
		line, load_port, more, load_scheme, load_port);

	if (n < 0 || (size_t)n >= cap)
		fail("request");
	return (size_t)n;
}

size_t answer(struct conn *c, const char *status)
{
	char buf[8192];
	size_t len, over = conn_get_head(c, buf, sizeof(buf), &len);

	errno = 0;
	if (len == 0)
		fail("no answer");
	if (strncmp(buf, "HTTP/1.1 ", 9) != 0 || strncmp(buf + 9, status, 3) != 0)
		fail(buf);
	return over;
}

size_t tunnel(const char *query, struct conn *ret)
{
	char line[128], head[2048];
	size_t n;

	(void)snprintf(line, sizeof(line),
		       "GET /api/auth/session/bench/novnc/websockify?%s", query);
	n = request(head, sizeof(head), line,
		    "Upgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"
		    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " WS_KEY "\r\n");
	*ret = conn_dial(load_port);
	conn_put(ret, head, n);
	return answer(ret, "101");
}
