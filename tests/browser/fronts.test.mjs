// Real servers with TLS in front of the gate, with the configuration that README.md has: nginx, Caddy, and HAProxy
// in HTTP mode and in TCP mode. The browser connects to them over IPv6, and they to the gate over IPv4, so
// that their addresses differ. The last one is the gate itself with TLS, nobody in front.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import { join } from 'node:path';
import { GATE, onFreePort } from '../demo/world.mjs';
import { openPage, signInAs, statusIs, step, suite, until } from './browser.mjs';
import { nginxConfiguration, program, readmeBlock, startProxy } from './proxies.mjs';

const BROWSER = '::1';
const PROXY = '127.0.0.1';
const it = suite('fronts', { tls: true });
// The ports of the gates behind the proxies, and their parts of the world, which name their logs.
const gates = {};

// Between the gates and Next.js: it notes the fields of each request.
const noted = [];
const recorder = http.createServer((request, response) => {
	const onward = http.request(it.world.nextUrl + request.url,
		{ method: request.method, headers: request.rawHeaders, agent: false }, (answer) => {
			response.writeHead(answer.statusCode, answer.rawHeaders);
			answer.pipe(response);
		});

	noted.push(request.headers);
	onward.on('error', () => response.destroy());
	request.pipe(onward);
}).listen(0, PROXY).unref();

// The fields with which a client would pass for another, or for another site.
const FORGED = {
	'Forwarded': 'for=192.0.2.9;host=evil.example;proto=http',
	'X-Forwarded-For': '192.0.2.9',
	'X-Forwarded-Host': 'evil.example',
	'X-Forwarded-Port': '99',
	'X-Forwarded-Proto': 'http',
	'X-Real-IP': '192.0.2.9',
	'X-Request-Id': 'forged',
};

async function connects(port, host) {
	const socket = net.connect(port, host);

	await once(socket, 'connect');
	socket.destroy();
}

function configure(config, more) {
	it.world.configure(config, `${more}\n[NextJs]\nUrl=http://${PROXY}:${recorder.address().port}\n`);
}

// A gate with README.md's n-th lines for a gate behind a proxy.
async function startGate(part, n, more, options) {
	const config = join(it.world.dir, `${part}.conf`);

	configure(config, readmeBlock('ini', n) + more);
	gates[part] = await onFreePort(async (port) => {
		await it.world.run(part, ['systemd-socket-activate', '--inetd', '-a', '-l', `${PROXY}:${port}`,
			GATE, `--config=${config}`, ...options],
		{ env: { SYSTEMD_LOG_LEVEL: 'notice' }, ready: () => connects(port, PROXY) });
		return port;
	});
}

// What the certificate of the world is for Caddy: its own authority issues one.
const caddyGlobals = (dir, port) => `{
	admin off
	auto_https disable_redirects
	default_bind [${BROWSER}]
	https_port ${port}
	skip_install_trust
	storage file_system ${dir}/caddy
	servers {
		protocols h1 h2
	}
	pki {
		ca local {
			root {
				cert ${dir}/ca.pem
				key ${dir}/ca.key
			}
		}
	}
}
`;

const CONFIGURATIONS = {
	nginx: (dir, port) => nginxConfiguration(dir, readmeBlock('nginx', 0, {
		'127.0.0.1:3000': `${PROXY}:${gates.plain}`,
		'listen 443': `listen ${PROXY}:${port}`,
		'[::]:443': `[${BROWSER}]:${port}`,
		'dashboard.example': 'localhost',
		'/etc/nginx/dashboard.crt': join(dir, 'tls.crt'),
		'/etc/nginx/dashboard.key': join(dir, 'tls.key'),
	})),
	caddy: (dir, port) => caddyGlobals(dir, port) + readmeBlock('caddyfile', 0, {
		'127.0.0.1:3000': `${PROXY}:${gates.plain}`,
		'dashboard.example': `localhost:${port}`,
	}),
	'haproxy-http': (dir, port) => readmeBlock('haproxy', 0, {
		'127.0.0.1:3000': `${PROXY}:${gates.plain}`,
		':::443 v4v6': `[${BROWSER}]:${port}`,
		'/etc/haproxy/dashboard.pem': join(dir, 'tls.pem'),
	}),
	'haproxy-tcp': (dir, port) => readmeBlock('haproxy', 1, {
		'127.0.0.1:3443': `${PROXY}:${gates.proxied}`,
		':::443 v4v6': `[${BROWSER}]:${port}`,
	}),
};

// Resolves to the URL of a front, its gate, and whether only the client's address is in X-Forwarded-For.
async function start(name) {
	if (name === 'nobody')
		return { url: it.world.url, gate: 'gate', alone: true };
	const port = await onFreePort(async (own) => {
		await startProxy(it.world, name, name.split('-')[0], CONFIGURATIONS[name](it.world.dir, own),
			() => connects(own, BROWSER));
		return own;
	});

	return { url: `https://localhost:${port}`, gate: name === 'haproxy-tcp' ? 'proxied' : 'plain',
		alone: name === 'haproxy-tcp' };
}

step('two gates start', async () => {
	const file = (name) => join(it.world.dir, name);

	writeFileSync(file('tls.pem'), readFileSync(file('tls.crt'), 'utf8') + readFileSync(file('tls.key'), 'utf8'));
	configure(it.world.config, it.world.certificate);
	await startGate('plain', 0, '', []);
	await startGate('proxied', 1, it.world.certificate, ['--tls']);
});

// Each request to Next.js says who asked, whatever a script of the page says.
async function whoAsked(page, { url, alone }) {
	noted.length = 0;
	await page.goto(`${url}/sign-in`);
	assert.equal(await page.evaluate(() => performance.getEntriesByType('navigation')[0].nextHopProtocol),
		alone ? 'http/1.1' : 'h2');
	assert.equal(await page.evaluate((headers) =>
		fetch('/sign-in?forged', { headers }).then(({ status }) => status), FORGED), 200);
}

function allSaid({ url, alone }) {
	const { host, port } = new URL(url);
	const expected = { 'host': host, 'x-forwarded-host': host, 'x-forwarded-port': port,
		'x-forwarded-proto': 'https', 'x-forwarded-for': alone ? BROWSER : `${BROWSER}, ${PROXY}` };

	assert.ok(noted.length > 5);
	for (const fields of noted) {
		for (const [name, value] of Object.entries(expected))
			assert.equal(fields[name], value, name);
		assert.ok(fields['x-request-id'] && fields['x-request-id'] !== FORGED['X-Request-Id']);
		assert.ok(!('forwarded' in fields) && !('x-real-ip' in fields));
	}
}

// A server action, for which Next.js compares Origin with X-Forwarded-Host, and its Secure cookie.
async function signIn(shown, { url }) {
	const cookies = () => shown.page.context().cookies(url);

	assert.deepEqual(await cookies(), []);
	await shown.page.goto(`${url}/dashboard/remote-cli`);
	await shown.page.waitForURL(`${url}/sign-in`);
	await signInAs({ page: shown.page, world: { page: `${url}/dashboard/remote-cli` } }, 'alice');
	const [{ name, secure }] = await cookies();

	assert.deepEqual({ name, secure }, { name: 'session', secure: true });
	await shown.page.reload();
	await shown.page.getByRole('banner').filter({ hasText: 'alice' }).waitFor();
}

// Which Next.js allows, since the cookie comes back.
async function openTerminal({ page }) {
	await page.getByRole('button', { name: 'Connect', exact: true }).click();
	await statusIs(page, 'Connected');
	await page.getByRole('button', { name: 'Disconnect' }).click();
	await statusIs(page, 'Disconnected');
}

// The entries of the session, from the first to that of its end, name the browser.
async function entriesNameTheBrowser({ gate, alone }, from) {
	const log = () => readFileSync(it.world.log(gate), 'utf8').slice(from);
	const expected = alone ? `[${BROWSER}]:` : BROWSER;

	await until(() => /noVNC session closed: /.test(log()));
	const clients = [...log().matchAll(/client (\S+)\)$/gm)].map(([, client]) => client);

	assert.ok(clients.length >= 3, log());
	assert.deepEqual(clients.filter((client) => !client.startsWith(expected)), [], log());
}

for (const name of ['nginx', 'caddy', 'haproxy-http', 'haproxy-tcp', 'nobody'])
	step(`a browser behind ${name}`, async (t) => {
		const [needed] = name.split('-');

		if (needed !== 'nobody' && !program(needed) && process.env.CI !== 'true')
			return t.skip(`there is no ${needed}: \`make deps\` unpacks it`);
		const front = await start(name);
		const from = readFileSync(it.world.log(front.gate)).length;
		const shown = {};

		await openPage(shown, it.browser, it.world.signedIn);
		await shown.page.context().clearCookies();
		await whoAsked(shown.page, front);
		await signIn(shown, front);
		await openTerminal(shown);
		allSaid(front);
		await entriesNameTheBrowser(front, from);
		assert.deepEqual(shown.errors, []);
		await shown.page.context().close();
	});
