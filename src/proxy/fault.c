/* SPDX-License-Identifier: MIT */
#include "proxy/fault.h"

#include <stdarg.h>
#include <stdio.h>

/* The type if nothing more is known. */
static const char *general_type(enum fault_blame blame, unsigned status)
{
	switch (blame) {
	case FAULT_BACKEND:
		return status == 504 ? "http_response_timeout" : "http_protocol_error";
	case FAULT_CONFIG: return "proxy_configuration_error";
	case FAULT_GATE: return "proxy_internal_error";
	case FAULT_CLIENT:
	case FAULT_NOBODY: break;
	}
	return NULL;
}

void fault_clear(struct fault *f)
{
	f->blame = FAULT_NOBODY;
	f->status = 0;
	f->type = NULL;
	f->reason[0] = f->shown[0] = '\0'; /* cheaper than zeroing all */
}

void fault_set(struct fault *f, enum fault_blame blame, unsigned status,
	       const char *format, ...)
{
	va_list ap;

	f->blame = blame;
	f->status = status;
	f->type = general_type(blame, status);
	f->shown[0] = '\0';
	if (blame == FAULT_GATE)
		fault_show(f, "the gate had an internal error");
	if (blame == FAULT_CONFIG)
		fault_show(f, "the gate's configuration cannot be used");
	va_start(ap, format);
	(void)vsnprintf(f->reason, sizeof(f->reason), format, ap);
	va_end(ap);
}

void fault_set_type(struct fault *f, const char *type)
{
	f->type = type;
}

const char *fault_type_of(int error)
{
	switch (error) {
	case -ECONNREFUSED: return "connection_refused";
	case -EHOSTUNREACH:
	case -ENETUNREACH: return "destination_ip_unroutable";
	case -ETIMEDOUT: return "connection_read_timeout";
	case -EKEYREJECTED: return "tls_certificate_error";
	case -EREMOTEIO: return "tls_alert_received";
	case -EPROTO: return "tls_protocol_error";
	default: return "connection_terminated";
	}
}

void fault_append(struct fault *f, const char *format, ...)
{
	size_t len = strlen(f->reason);
	va_list ap;

	va_start(ap, format);
	(void)vsnprintf(f->reason + len, sizeof(f->reason) - len, format, ap);
	va_end(ap);
}

void fault_show(struct fault *f, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	(void)vsnprintf(f->shown, sizeof(f->shown), format, ap);
	va_end(ap);
}

void fault_set_broken(struct fault *f, enum fault_blame blame, const char *name,
		      const struct stream *s, int error)
{
	bool local = stream_error_is_local(error);
	unsigned status = local ? 500 : error == -ETIMEDOUT ? 504 : 502;

	fault_set(f, local ? FAULT_GATE : blame, status,
		  "the connection to %s failed: %s", name, stream_strerror(s, error));
	if (f->blame == FAULT_BACKEND)
		fault_set_type(f, fault_type_of(error));
}

/* For Proxy-Status. */
static const char *dial_type(enum dial_result result, int error)
{
	switch (result) {
	case DIAL_TIMED_OUT: return "connection_timeout";
	case DIAL_UNRESOLVED: return "dns_error";
	case DIAL_UNREACHABLE:
		if (error != -EHOSTUNREACH && error != -ENETUNREACH)
			return "destination_unavailable";
		break;
	default: break;
	}
	return fault_type_of(error);
}

void fault_set_dial(struct fault *f, const char *name, enum dial_result result,
		    const struct dial *d)
{
	static const char *const shown[] = {
		[DIAL_TIMED_OUT] = "timed out connecting to %s",
		[DIAL_REFUSED] = "%s refused the connection",
		[DIAL_UNREACHABLE] = "%s cannot be reached",
		[DIAL_UNRESOLVED] = "cannot resolve the host name of %s",
		[DIAL_TLS_FAILED] = "TLS handshake with %s failed",
	};

	fault_set(f, FAULT_BACKEND, result == DIAL_TIMED_OUT ? 504 : 502, "%s", d->why);
	fault_set_type(f, dial_type(result, d->error));
	fault_show(f, shown[result], name);
}
