// The same dashboard over https://, with nothing but the gate in front: the browser verifies the
// certificate, opens the terminal over wss://, and resumes its TLS session.  INSTALLED_GATE, World's
// `installed` as JSON, names one that systemd has started from its units (tests/systemd), and `stop`, the
// command that stops its sessions.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { BACKGROUND } from '../demo/world.mjs';
import { shares, signInAs, statusIs, step, suite, type, until } from './browser.mjs';

const installed = JSON.parse(process.env.INSTALLED_GATE ?? 'null');
const it = suite(installed ? 'https-installed' : 'https', installed ? { installed } : { tls: true });
const CERTIFICATE = 11;		// a handshake message, RFC 8446 4

step('the dashboard loads and is a secure context', async () => {
	await it.page.context().clearCookies();
	const response = await it.page.goto(it.world.page);
	const details = await response.securityDetails();

	assert.equal(details.protocol, 'TLS 1.3');
	assert.equal(details.issuer, installed?.issuer ?? 'novnc-gate test');
	assert.equal(await it.page.evaluate(() => window.isSecureContext && location.protocol), 'https:');
});

step('the cookie of the sign-in is a secure one', async () => {
	await signInAs(it, 'alice');
	const [{ name, secure, httpOnly, sameSite }] = await it.page.context().cookies();

	assert.deepEqual({ name, secure, httpOnly, sameSite },
		{ name: 'session', secure: true, httpOnly: true, sameSite: 'Lax' });
	await statusIs(it.page, 'Not connected');
});

step('the terminal connects over wss:// and takes keys', async () => {
	await it.page.getByRole('button', { name: 'Connect', exact: true }).click();
	await statusIs(it.page, 'Connected');
	await until(async () => (await shares(it.page, [BACKGROUND]))[1] > 0.9);
	await type(it.page, 'echo secure > typed\n');
	await until(() => readFileSync(join(it.world.home, 'typed'), 'utf8') === 'secure\n');
});

step('so far nothing has closed and nothing is complained of', () => {
	assert.deepEqual(it.closed, []);
	assert.deepEqual(it.errors, []);
});

step('a closing handshake goes through', async () => {
	const code = await it.page.evaluate((path) => new Promise((done) => {
		const socket = new WebSocket(path.replace(/^http/, 'ws'));
		socket.onmessage = () => socket.close(1000);
		socket.onclose = (event) => done(event.code);
	}), `${it.world.url}${it.world.path}/websock`);

	assert.equal(code, 1000);
});

if (installed)
	step('an administrator stops the session, and the page says so', async () => {
		execFileSync(installed.stop[0], installed.stop.slice(1));
		await statusIs(it.page, 'Disconnected');
		await it.page.getByRole('alert').filter({ hasText: '1001: the session was ended by the server; log id ' }).waitFor();
		assert.equal(it.closed.at(-1).code, 1001);
	});

// Each connection is another process of the gate, so what resumes is a ticket.
step('connections after the first were resumed', async () => {
	await it.browser.close();	// which completes its log
	it.page = null;
	const log = JSON.parse(readFileSync(it.netLog, 'utf8'));
	const received = log.constants.logEventTypes.SSL_HANDSHAKE_MESSAGE_RECEIVED;
	const handshakes = new Map();

	for (const { type: event, source, params } of log.events)
		if (event === received)
			handshakes.set(source.id, [...handshakes.get(source.id) ?? [], params.type]);
	const resumed = [...handshakes.values()].map((types) => !types.includes(CERTIFICATE));
	assert.ok(resumed.length > 1, 'several connections');
	assert.equal(resumed[0], false);
	assert.ok(resumed.includes(true), JSON.stringify([...handshakes.values()]));
});
