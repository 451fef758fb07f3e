/* SPDX-License-Identifier: MIT */
#include "proxy/error_response.h"

#include <stdio.h>

#include "http/frames.h"
#include "proxy/route.h"

static struct slice status_text(unsigned status)
{
	switch (status) {
	case 308: return SLICE("308 Permanent Redirect");
	case 400: return SLICE("400 Bad Request");
	case 403: return SLICE("403 Forbidden");
	case 405: return SLICE("405 Method Not Allowed");
	case 408: return SLICE("408 Request Timeout");
	case 414: return SLICE("414 URI Too Long");
	case 426: return SLICE("426 Upgrade Required");
	case 431: return SLICE("431 Request Header Fields Too Large");
	case 501: return SLICE("501 Not Implemented");
	case 502: return SLICE("502 Bad Gateway");
	case 503: return SLICE("503 Service Unavailable");
	case 504: return SLICE("504 Gateway Timeout");
	case 505: return SLICE("505 HTTP Version Not Supported");
	}
	return SLICE("500 Internal Server Error");
}

/* Connection, and the fields that a status requires. */
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

/* RFC 9209 2.3, where nothing more is known. */
static const char *status_type(unsigned status)
{
	switch (status) {
	case 403: return "http_request_denied";
	case 501:
	case 505: return "proxy_internal_response"; /* without asking a backend */
	}
	return status < 500 ? "http_request_error" : "proxy_internal_error";
}

/* 308 is no error. */
static int put_proxy_status(const struct error_response *e, struct buf *out)
{
	if (e->status < 400)
		return 0;
	return BUF_PUT(out, SLICE("Proxy-Status: " ERROR_RESPONSE_SERVER "; error="),
		       slice_str(e->type ? e->type : status_type(e->status)),
		       SLICE("\r\n"));
}

int error_response_write(const struct error_response *e, struct buf *out)
{
	bool is_invocation = !strchr(e->log_id, '['); /* not "novnc-gate[PID]" */
	const struct slice content[] = {
		slice_str(e->what),
		SLICE(": "),
		slice_str(e->why),
		SLICE(".\nLog entries: "),
		is_invocation ? SLICE("journalctl _SYSTEMD_INVOCATION_ID=") : SLICE(""),
		slice_str(e->log_id),
		SLICE("\n"),
	};
	size_t parts = COUNT(content), len = 0;
	int r = BUF_PUT(out, SLICE("HTTP/1.1 "), status_text(e->status), SLICE("\r\n"));

	for (size_t i = 0; i < parts; i++)
		len += content[i].len;
	if (r == 0 && e->status == 308)
		r = BUF_PUT(out, SLICE("Location: https://"), e->host,
			    route_root(e->target), e->target, SLICE("\r\n"));
	if (r == 0)
		r = BUF_PUT(out, SLICE("Content-Type: text/plain; charset=utf-8\r\n"
				       "Content-Length: "));
	if (r == 0)
		r = buf_put_number(out, len, 10);
	if (r == 0)
		r = BUF_PUT(out, SLICE("\r\nCache-Control: no-store\r\n"
				       "Server: " ERROR_RESPONSE_SERVER "\r\n"));
	if (r == 0)
		r = put_proxy_status(e, out);
	if (r == 0)
		r = BUF_PUT(out, e->id_line, status_fields(e->status), SLICE("\r\n"));
	return r == 0 && !e->is_head_method ? buf_put_slices(out, content, parts) : r;
}

int error_response_health(bool is_head_method, struct slice id_line, struct buf *out)
{
	return BUF_PUT(out,
		       SLICE("HTTP/1.1 200 OK\r\n"
			     "Content-Type: text/plain; charset=utf-8\r\n"
			     "Content-Length: 2\r\n"
			     "Cache-Control: no-store\r\n"
			     "Server: " ERROR_RESPONSE_SERVER "\r\n"),
		       id_line, SLICE("Connection: close\r\n\r\n"),
		       is_head_method ? SLICE("") : SLICE("ok"));
}

int error_close_write(const struct error_close *e, struct buf *out)
{
	char reason[256], payload[FRAMES_CONTROL_MAX];
	unsigned code = 4000 + (e->status >= 300 ? e->status : 502);
	bool with_protocol = e->protocol.len > 0;
	size_t len;
	int n;
	int r = BUF_PUT(out,
			SLICE("HTTP/1.1 101 Switching Protocols\r\n"
			      "Upgrade: websocket\r\nConnection: Upgrade\r\n"
			      "Sec-WebSocket-Accept: "),
			slice_str(e->accept),
			with_protocol ? SLICE("\r\nSec-WebSocket-Protocol: ") : SLICE(""),
			e->protocol, SLICE("\r\n"), e->id_line, SLICE("\r\n"));

	n = snprintf(reason, sizeof(reason), "%s; log id %s", e->why, e->log_id);
	if (n > FRAMES_REASON_MAX)
		(void)snprintf(reason, sizeof(reason), "%s", e->why);
	len = frames_close(code, slice_str(reason), payload);
	return r < 0 ? r
		     : frames_put(FRAMES_CLOSE, (struct slice){ payload, len }, NULL,
				  out);
}
