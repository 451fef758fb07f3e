// Next.js says who may open a terminal, and is asked again while it is open: signed out, signed in, signed out in
// another tab, and Next.js stopped meanwhile.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { signInAs, statusIs, step, suite, type, until } from './browser.mjs';

const it = suite('authorization');
const RECHECK_MS = 1000;
const TIMEOUT_MS = 5000;	// TimeoutSec=
const logOf = (name) => readFileSync(it.world.log(name), 'utf8');

function configure(more = '') {
	it.world.configure(it.world.config, `[Authorization]\nRecheckSec=${RECHECK_MS}ms\n${more}`);
}

async function terminalOpensFor(name) {
	await it.page.getByRole('button', { name: 'Connect', exact: true }).click();
	await statusIs(it.page, 'Connected');
	await type(it.page, `echo by ${name} > ${name}\n`);
	await until(() => readFileSync(join(it.world.home, name), 'utf8') === `by ${name}\n`);
	assert.ok(logOf('controller').includes(`UPGRADE ${it.world.path}/websock ${name}\n`));
}

// Code and reason of the Close of a WebSocket that the page opens.
function closeOfTerminal() {
	return it.page.evaluate((path) => new Promise((done) => {
		const socket = new WebSocket(path);
		socket.onclose = ({ code, reason }) => done({ code, reason });
	}), `${it.world.path}/websock`);
}

step('signed out, the dashboard leads to the sign-in', async () => {
	configure();
	await it.page.context().clearCookies();
	await it.page.goto(it.world.page);
	await it.page.getByRole('heading', { name: 'Sign in' }).waitFor();
	assert.equal(it.page.url(), `${it.world.url}/sign-in`);
});

step('signed out, a page of the terminal is a 401 with its sentence', async () => {
	assert.deepEqual(await it.page.evaluate(async (url) => {
		const response = await fetch(url);

		return [response.status, await response.text()];
	}, `${it.world.path}/core/rfb.js`), [401, 'Sign in to open this terminal.\n']);
});

step('signed out, the terminal is a 401, or a Close with its sentence', async () => {
	const before = logOf('controller');
	const { code, reason } = await closeOfTerminal();

	assert.equal(code, 4401);
	assert.match(reason, /^Next\.js does not authorize this session \(401\); log id /);

	configure('[Routes]\nUpgradeErrors=http\n');
	assert.equal((await closeOfTerminal()).code, 1006);
	// This is how Chromium says 401; any other status is there as a number.
	await until(() => it.errors.some((text) => text.includes('HTTP Authentication failed')));
	assert.equal(logOf('controller'), before, 'the master-controller is not contacted');
	configure();
});

step('signed in, the terminal opens, and the master-controller knows for whom', async () => {
	await signInAs(it, 'alice');
	await terminalOpensFor('alice');
});

// In place of Next.js, counts the connections and ends each of them.
async function untilAskedInVain(times) {
	let connections = 0;
	const server = net.createServer((socket) => {
		connections++;
		socket.destroy();
	}).listen(new URL(it.world.nextUrl).port, '127.0.0.1');

	await until(() => connections >= times);
	await new Promise((done) => server.close(done));
}

step('while Next.js is stopped the terminal goes on, and the log says so once', async () => {
	const failures = () => logOf('gate').split('Session cannot be authorized again: ').length - 1;

	await it.world.stopNext();
	await untilAskedInVain(3);
	await type(it.page, 'echo on > on\n');
	await until(() => readFileSync(join(it.world.home, 'on'), 'utf8') === 'on\n');
	await it.world.startNext();
	await statusIs(it.page, 'Connected');
	assert.equal(failures(), 1);
	assert.deepEqual(it.closed.filter(({ url }) => url.startsWith(it.world.url)), []);
});

step('signing out in another tab ends the terminal', async () => {
	const tab = await it.page.context().newPage();

	await tab.goto(it.world.page);
	await tab.getByRole('button', { name: 'Sign out' }).click();
	await tab.getByRole('heading', { name: 'Sign in' }).waitFor();
	const signedOutAt = Date.now();

	await statusIs(it.page, 'Disconnected');
	assert.ok(Date.now() - signedOutAt < RECHECK_MS + TIMEOUT_MS);
	await it.page.getByRole('alert').filter({ hasText: /1008: no longer authorized; log id / }).waitFor();
	assert.equal(it.closed.at(-1).code, 1008);
	assert.match(it.closed.at(-1).reason, /^no longer authorized; log id /);
	await tab.close();
});

step('then the page leads to the sign-in', async () => {
	await it.page.getByRole('button', { name: 'Reconnect' }).click();
	await it.page.getByRole('alert').filter({ hasText: '4401: Next.js does not authorize this session (401); log id ' })
		.getByRole('link', { name: 'Sign in' }).waitFor();
});

step('another user signs in and opens the terminal', async () => {
	await it.page.getByRole('link', { name: 'Sign in' }).click();
	await signInAs(it, 'bob');
	await terminalOpensFor('bob');
});
