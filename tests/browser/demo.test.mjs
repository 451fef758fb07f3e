// `make demo` ends all that it starts: on Ctrl-C, when a part of it dies, even when it is killed.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { DEMO, listenOnce, signIn } from '../demo/world.mjs';
import { until } from './browser.mjs';

const script = fileURLToPath(new URL('../demo/demo.mjs', import.meta.url));

function startDemo(t, port) {
	const child = spawn(process.execPath, [script],
		{ env: { ...process.env, PORT: port }, stdio: ['ignore', 'pipe', 'pipe'] });
	const demo = { child, said: '', complained: '', ended: once(child, 'close') };

	child.stdout.on('data', (bytes) => { demo.said += bytes; });
	child.stderr.on('data', (bytes) => { demo.complained += bytes; });
	t.after(() => {
		child.kill('SIGKILL');
		rmSync(join(DEMO, String(port)), { recursive: true, force: true });
	});
	return demo;
}

// Every process below this one, by name, each behind its parent.
function descendants(pid, found = {}) {
	const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean);

	for (const child of children) {
		(found[readFileSync(`/proc/${child}/comm`, 'utf8').trim()] ??= []).push(Number(child));
		descendants(child, found);
	}
	return found;
}

// A demo with a terminal open in it.
async function runningDemo(t) {
	const port = await listenOnce(0, '127.0.0.1');
	const demo = startDemo(t, port);
	const host = `127.0.0.1:${port}`;	// a fresh machine may have no name for it

	await until(() => demo.said.includes(`http://localhost:${port}/dashboard/remote-cli\n`));
	const headers = { Cookie: await signIn(join(DEMO, String(port))) };
	const page = await fetch(`http://${host}/dashboard/remote-cli`, { headers });
	const text = await page.text();
	const [path] = text.match(/\/api\/auth\/session\/[\w-]+\/novnc/);
	const socket = new WebSocket(`ws://${host}${path}/websock`, { headers });
	const [first] = await Promise.race([once(socket, 'message'), once(socket, 'close')]);
	assert.equal(first.type, 'message', `${first.code}: ${first.reason}`);

	demo.parts = descendants(demo.child.pid);
	for (const name of ['Xtigervnc', 'xterm', 'bash', 'websockify', 'node', 'novnc-gate'])
		assert.ok(demo.parts[name], `${name} runs`);
	return Object.assign(demo, { host, path, text, headers });
}

async function nothingIsLeft({ parts }) {
	await until(() => Object.values(parts).flat().every((pid) => !existsSync(`/proc/${pid}`)));
}

// The status of the response to a WebSocket handshake, or the code of the Close that comes at once.
async function handshake(url, headers) {
	const request = http.get(url, { agent: false, headers: { Connection: 'Upgrade', Upgrade: 'websocket',
		'Sec-WebSocket-Version': '13', 'Sec-WebSocket-Key': 'AAAAAAAAAAAAAAAAAAAAAA==', ...headers } });
	const [response, socket, head] = await Promise.race([once(request, 'upgrade'), once(request, 'response')]);
	const first = socket && (head.length > 0 ? head : (await once(socket, 'data'))[0]);

	(socket ?? response).destroy();
	return first?.[0] === 0x88 ? first.readUInt16BE(2) : response.statusCode;
}

// A page of any site can name any port of this machine, and by a name of its own that leads here
// (DNS rebinding) seem to be of the same origin.
test('no page of another site gets at the shell', async (t) => {
	const { host, path, text, headers } = await runningDemo(t);
	const port = host.split(':')[1];
	const [vm] = text.match(/ws:\/\/127\.0\.0\.1:\d+\/websockify/);
	const [controller] = text.match(/http:\/\/127\.0\.0\.1:\d+/);
	const gate = `http://${host}${path}/websock`;

	for (const name of ['localhost', '127.0.0.1', '[::1]'])
		assert.equal(await handshake(gate,
			{ ...headers, Host: `${name}:${port}`, Origin: `http://${name}:${port}` }), 101, name);
	for (const name of ['evil.example', 'localhost.evil.example', '127.0.0.1.evil.example']) {
		const foreign = { ...headers, Host: `${name}:${port}`, Origin: `http://${name}:${port}` };

		assert.equal(await handshake(gate, foreign), 4403, name);
		assert.equal(await handshake(`${controller}${path}/websock`, foreign), 403, name);
		assert.equal(await handshake(`${controller}${path}/websock`, { Origin: foreign.Origin }), 403, name);
		assert.equal(await handshake(vm.replace('ws:', 'http:'), { Origin: foreign.Origin }), 403, name);
	}
	assert.equal(await handshake(vm.replace('ws:', 'http:'), {}), 403, 'no Origin');
});

for (const signal of ['SIGINT', 'SIGTERM']) {
	test(`${signal} ends all`, async (t) => {
		const demo = await runningDemo(t);

		demo.child.kill(signal);
		assert.deepEqual(await demo.ended, [0, null]);
		assert.equal(demo.complained, '');
		await nothingIsLeft(demo);
	});
}

test('killed, it leaves nothing behind', async (t) => {
	const demo = await runningDemo(t);

	demo.child.kill('SIGKILL');
	await nothingIsLeft(demo);
});

test('a part that dies is named, and ends all', async (t) => {
	const demo = await runningDemo(t);

	process.kill(demo.parts.websockify[0], 'SIGKILL');
	assert.deepEqual(await demo.ended, [1, null]);
	assert.match(demo.complained, /^make demo: websockify ended \(SIGKILL\)/);
	await nothingIsLeft(demo);
});

test('a taken port is named', async (t) => {
	const server = net.createServer().listen(0, '127.0.0.1');

	t.after(() => server.close());
	await once(server, 'listening');
	const demo = startDemo(t, server.address().port);
	assert.deepEqual(await demo.ended, [1, null]);
	assert.match(demo.complained, new RegExp(`port ${server.address().port} is in use`));
});
