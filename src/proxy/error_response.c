/* SPDX-License-Identifier: MIT */
#include "proxy/error_response.h"

#include <stdarg.h>
#include <stdio.h>

#include "proxy/route.h"

__attribute__((format(printf, 2, 3))) static int put_format(struct buf *out,
							    const char *format, ...)
{
	va_list ap;
	int n;

	va_start(ap, format);
	n = vsnprintf(out->data + out->end, buf_room(out), format, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= buf_room(out))
		return -ENOBUFS;
	out->end += (size_t)n;
	return 0;
}

static const char *reason_phrase(unsigned status)
{
	switch (status) {
	case 308: return "Permanent Redirect";
	case 400: return "Bad Request";
	case 403: return "Forbidden";
	case 405: return "Method Not Allowed";
	case 408: return "Request Timeout";
	case 414: return "URI Too Long";
	case 426: return "Upgrade Required";
	case 431: return "Request Header Fields Too Large";
	case 500: return "Internal Server Error";
	case 501: return "Not Implemented";
	case 502: return "Bad Gateway";
	case 503: return "Service Unavailable";
	case 504: return "Gateway Timeout";
	case 505: return "HTTP Version Not Supported";
	}
	return "Error";
}

/* The fields that belong to one status only. */
static struct slice status_fields(unsigned status)
{
	switch (status) {
	case 405:
		return SLICE("Allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\n"
			     "Connection: close\r\n");
	case 426:
		return SLICE("Sec-WebSocket-Version: 13\r\nUpgrade: websocket\r\n"
			     "Connection: close, Upgrade\r\n");
	}
	return SLICE("Connection: close\r\n");
}

static int put_redirect(const struct error_response *r, struct buf *out)
{
	return BUF_PUT(out, SLICE("Location: https://"), r->host, route_root(r->target),
		       r->target, SLICE("\r\n"));
}

int error_response_write(const struct error_response *r, struct buf *out)
{
	bool systemd = strncmp(r->log_id, "novnc-gate[", strlen("novnc-gate[")) != 0;
	const char *phrase = reason_phrase(r->status);
	char text[1024];
	int len = snprintf(
		text, sizeof(text), "%.*s.\nLog entries: %s%s\n", SLICE_FMT(r->sentence),
		systemd ? "journalctl _SYSTEMD_INVOCATION_ID=" : "", r->log_id);

	if (len < 0 || (size_t)len >= sizeof(text) ||
	    put_format(out, "HTTP/1.1 %u %s\r\n", r->status, phrase) < 0 ||
	    (r->status == 308 && put_redirect(r, out) < 0))
		return -ENOBUFS;
	return put_format(out,
			  "Content-Type: text/plain; charset=utf-8\r\n"
			  "Content-Length: %d\r\n"
			  "Cache-Control: no-store\r\n"
			  "Server: " ERROR_RESPONSE_SERVER "\r\n"
			  "%.*s\r\n%s",
			  len, SLICE_FMT(status_fields(r->status)),
			  r->head_request ? "" : text);
}
