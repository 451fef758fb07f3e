// A terminal on which nothing happens for five minutes stands behind proxies that end a quiet connection after
// one: nginx with its defaults, HAProxy with `timeout tunnel 60s`. The proxies are those of build/bench/debian.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { BUILD, listenOnce } from '../demo/world.mjs';
import { openPage, statusIs, step, suite, type, until } from './browser.mjs';

const DEBIAN = join(BUILD, 'bench/debian');
const QUIET_MS = 300_000;
const it = suite('quiet');
const proxies = [];
const pages = {};

const CONFIGURATIONS = {
	nginx: (dir, port, gate) => `
daemon off; ${process.getuid() === 0 ? 'user root;' : ''} pid ${dir}/pid; error_log stderr crit;
events { }
http {
	access_log off;
	client_body_temp_path ${dir}/body; proxy_temp_path ${dir}/proxy;
	fastcgi_temp_path ${dir}/f; uwsgi_temp_path ${dir}/u; scgi_temp_path ${dir}/s;
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
}
`,
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
const ARGUMENTS = {
	nginx: (dir, conf) => ['-c', conf, '-p', dir, '-e', 'stderr'],
	haproxy: (dir, conf) => ['-db', '-q', '-f', conf],
};

// Returns the URL at which that proxy passes everything on to the gate.
async function startProxy(name) {
	const dir = it.world.dir;
	const conf = join(dir, `${name}.conf`);
	const port = await listenOnce(0, '127.0.0.1');
	const libraries = readdirSync(join(DEBIAN, 'usr/lib')).map((each) => join(DEBIAN, 'usr/lib', each));

	writeFileSync(conf, CONFIGURATIONS[name](dir, port, new URL(it.world.url).port));
	proxies.push(spawn('setpriv', ['--pdeathsig', 'TERM', '--', join(DEBIAN, 'usr/sbin', name), ...ARGUMENTS[name](dir, conf)],
		{ stdio: ['ignore', 'ignore', 'inherit'], env: { LD_LIBRARY_PATH: libraries.join(':') } }));
	await until(() => fetch(`http://127.0.0.1:${port}/dashboard/remote-cli`));
	return `http://localhost:${port}`;
}

after(() => proxies.forEach((proxy) => proxy.kill()));

for (const name of ['nginx', 'haproxy'])
	step(`a terminal opens behind ${name}`, async () => {
		const url = await startProxy(name);

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
		await type(pages[name].page, `echo ${name} > typed\n`);
		await until(() => readFileSync(join(it.world.home, 'typed'), 'utf8') === `${name}\n`);
	});
