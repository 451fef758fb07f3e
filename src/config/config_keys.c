/* SPDX-License-Identifier: MIT */
/*
 * The table of keys. A new key is a row here and a member of struct config; tests/test_config.c
 * then asks for its default in units/novnc-gate.conf.in and for its entry in novnc-gate.conf(5).
 */
#include "config/config_keys.h"

#include <stdio.h>
#include <string.h>

static const char *const no_words[] = { NULL };
static const char *const novnc_words[] = { "/api/auth/session/*/novnc/websock",
					   "/api/auth/session/*/novnc/websockify", NULL };
static const char *const hmr_words[] = { "/_next/*hmr*", NULL };

#define AT(member)                offsetof(struct config, member)
#define VALUE(kind, member, text) &config_kind_##kind, AT(member), text, NULL, 0, 0
#define LIST(kind, member, words) &config_kind_##kind, AT(member), NULL, words, 0, 0
#define NUMBER(kind, member, text, min, max) \
	&config_kind_##kind, AT(member), text, NULL, min, max
#define SPAN(member, text, min)         NUMBER(span, member, text, min, CONFIG_SPAN_MAX)
/* May be `infinity`: only a tunnel may wait without a limit. */
#define ENDLESS_SPAN(member, text, min) NUMBER(span, member, text, min, CLOCK_INFINITY)
#define FILE_NAME(member)               VALUE(file, member, "")

const struct config_key config_keys[] = {
	{ "NextJs", "Url", VALUE(url, backend[CONFIG_NEXTJS], "http://127.0.0.1:3001") },
	{ "NextJs", "VerifyTls",
	  VALUE(bool, backend[CONFIG_NEXTJS].trust.verify, "yes") },
	{ "NextJs", "CaFile", FILE_NAME(backend[CONFIG_NEXTJS].trust.ca_file) },
	{ "NextJs", "ClientCertificate",
	  FILE_NAME(backend[CONFIG_NEXTJS].trust.certificate) },
	{ "NextJs", "ClientKey", FILE_NAME(backend[CONFIG_NEXTJS].trust.key) },
	{ "MasterController", "Url",
	  VALUE(url, backend[CONFIG_CONTROLLER], "http://127.0.0.1:4000") },
	{ "MasterController", "RewriteOrigin", VALUE(bool, rewrite_origin, "no") },
	{ "MasterController", "VerifyTls",
	  VALUE(bool, backend[CONFIG_CONTROLLER].trust.verify, "yes") },
	{ "MasterController", "CaFile",
	  FILE_NAME(backend[CONFIG_CONTROLLER].trust.ca_file) },
	{ "MasterController", "ClientCertificate",
	  FILE_NAME(backend[CONFIG_CONTROLLER].trust.certificate) },
	{ "MasterController", "ClientKey",
	  FILE_NAME(backend[CONFIG_CONTROLLER].trust.key) },
	{ "Routes", "NoVncPath", LIST(globs, novnc_path, novnc_words) },
	{ "Routes", "ControllerPath", LIST(globs, controller_path, no_words) },
	{ "Routes", "NextJsUpgradePath", LIST(globs, nextjs_upgrade_path, hmr_words) },
	{ "Routes", "AllowedOrigins", LIST(origins, allowed_origins, no_words) },
	{ "Routes", "UpgradeErrors", VALUE(upgrade_errors, upgrade_errors, "http") },
	{ "Routes", "HealthPath", LIST(globs, health_path, no_words) },
	{ "Client", "TrustedProxies", LIST(networks, trusted_proxies, no_words) },
	{ "Client", "ProxyProtocol", VALUE(bool, proxy_protocol, "no") },
	{ "Authorization", "Path", VALUE(target, authorize_path, "") },
	{ "Authorization", "TimeoutSec", SPAN(authorize_ms, "5s", 1) },
	{ "Authorization", "RecheckSec", ENDLESS_SPAN(recheck_ms, "5min", 1) },
	{ "Tls", "Certificate", VALUE(credential, tls.certificate, "tls.crt") },
	{ "Tls", "Key", VALUE(credential, tls.key, "tls.key") },
	{ "Tls", "TicketKey", VALUE(credential, tls.ticket_key, "tls.ticket") },
	{ "Tls", "ClientCaFile", FILE_NAME(tls.client_ca_file) },
	{ "Limits", "HeadMaxBytes",
	  NUMBER(bytes, head_max, "32K", CONFIG_HEAD_MIN, CONFIG_HEAD_MAX) },
	{ "Limits", "HeadTimeoutSec", SPAN(head_ms, "10s", 1) },
	{ "Limits", "KeepAliveTimeoutSec", SPAN(keep_alive_ms, "15s", 0) },
	{ "Limits", "ConnectTimeoutSec", SPAN(connect_ms, "5s", 1) },
	{ "Limits", "UpgradeTimeoutSec", SPAN(upgrade_ms, "10s", 1) },
	{ "Limits", "ResponseTimeoutSec", SPAN(response_ms, "5min", 1) },
	{ "Limits", "BodyTimeoutSec", SPAN(body_ms, "60s", 1) },
	{ "Limits", "LingerTimeoutSec", ENDLESS_SPAN(linger_ms, "30s", 0) },
	{ "Limits", "IdleTimeoutSec", ENDLESS_SPAN(idle_ms, "infinity", 1) },
	{ "Limits", "SessionTimeoutSec", ENDLESS_SPAN(session_ms, "infinity", 1) },
	{ "Limits", "HeartbeatSec", SPAN(heartbeat_ms, "30s", 0) },
	{ "Log", "Level", VALUE(level, log_level, "notice") },
	{ 0 },
};

const struct config_key *config_key_find(const char *section, const char *name)
{
	for (const struct config_key *k = config_keys; k->section; k++)
		if (strcmp(k->section, section) == 0 && strcmp(k->name, name) == 0)
			return k;
	return NULL;
}

/* ---- printing */

static void print_value(const struct config_key *k, const void *value)
{
	char text[CONFIG_VALUE_TEXT];
	const char *gap = "";

	if (!k->kind->check_word) {
		k->kind->format(value, text);
		printf("%s", text);
		return;
	}
	for (config_list word = *(const config_list *)value; *word; word++, gap = " ")
		printf("%s%s", gap, *word);
}

void config_print(const struct config *c)
{
	const char *section = "";

	for (const struct config_key *k = config_keys; k->section; k++) {
		if (strcmp(k->section, section) != 0)
			printf("%s[%s]\n", section[0] != '\0' ? "\n" : "", k->section);
		section = k->section;
		printf("%s=", k->name);
		print_value(k, (const char *)c + k->offset);
		printf("\n");
	}
}
