// A terminal on which nothing happens for five minutes stands behind proxies that end a quiet connection after
// one: nginx with its defaults, HAProxy with `timeout tunnel 60s`.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { onFreePort } from '../demo/world.mjs';
import { openPage, statusIs, step, suite, type, until } from './browser.mjs';
import { nginxConfiguration, startProxy } from './proxies.mjs';

const QUIET_MS = 300_000;
const it = suite('quiet');
const pages = {};

const CONFIGURATIONS = {
	nginx: (dir, port, gate) => nginxConfiguration(dir, `
	map $http_upgrade $connection_upgrade { default upgrade; '' ''; }
	server {
		listen 127.0.0.1:${port};
		location / {
			proxy_http_version 1.1;
			proxy_set_header Host $http_host;
			proxy_set_header Upgrade $http_upgrade;
			proxy_set_header Connection $connection_upgrade;
			proxy_pass http://127.0.0.1:${gate};
		}
	}
`),
	haproxy: (dir, port, gate) => `
defaults
	mode http
	timeout connect 5s
	timeout client 60s
	timeout server 60s
	timeout tunnel 60s
listen front
	bind 127.0.0.1:${port}
	server gate 127.0.0.1:${gate}
`,
};

// Returns the URL at which that proxy passes everything on to the gate.
async function start(name) {
	const gate = new URL(it.world.url).port;
	const port = await onFreePort(async (own) => {
		await startProxy(it.world, name, name, CONFIGURATIONS[name](it.world.dir, own, gate),
			() => it.world.gateServes(`http://127.0.0.1:${own}`));
		return own;
	});

	return `http://localhost:${port}`;
}

for (const name of ['nginx', 'haproxy'])
	step(`a terminal opens behind ${name}`, async () => {
		const url = await start(name);

		pages[name] = { errors: [], closed: [] };
		await openPage(pages[name], it.browser, it.world.signedIn);
		await pages[name].page.goto(`${url}/dashboard/remote-cli`);
		await pages[name].page.getByRole('button', { name: 'Connect', exact: true }).click();
		await statusIs(pages[name].page, 'Connected');
	});

step('nothing happens for five minutes', () => pause(QUIET_MS));

for (const name of ['nginx', 'haproxy'])
	step(`the terminal behind ${name} still takes keys`, async () => {
		assert.deepEqual(pages[name].closed, []);
		await statusIs(pages[name].page, 'Connected');
		await pages[name].page.bringToFront();
		await type(pages[name].page, `echo ${name} > typed\n`);
		await until(() => readFileSync(join(it.world.home, 'typed'), 'utf8') === `${name}\n`);
	});
