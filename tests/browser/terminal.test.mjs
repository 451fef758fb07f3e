// A person opens the dashboard, connects, types, disconnects; then the master-controller goes away
// and comes back.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { BACKGROUND, FOREGROUND, SCREEN } from '../demo/world.mjs';
import { shares, statusIs, step, suite, type, until } from './browser.mjs';

const it = suite('terminal');
const gateLog = () => readFileSync(it.world.log('gate'), 'utf8');

// The terminal's background all over, and on it some writing.
async function terminalIsShown() {
	const [size, background, writing] = await shares(it.page, [BACKGROUND, FOREGROUND]);

	assert.equal(size, SCREEN);
	assert.ok(background > 0.9, `background on ${background} of the screen`);
	assert.ok(writing > 0.001, `writing on ${writing} of the screen`);
	return true;
}

async function nothingLiesOverTheTerminal() {
	assert.equal(await it.page.locator('.cover').count(), 0);
}

// Below the cover is the last screen.
async function coverIsOpaque() {
	const colour = await it.page.locator('.cover').evaluate((cover) => getComputedStyle(cover).backgroundColor);

	assert.match(colour, /^rgb\(/, 'no alpha channel');
}

step('the dashboard loads, and names all who pass the terminal on', async () => {
	await it.page.goto(it.world.page);
	await statusIs(it.page, 'Not connected');
	assert.equal(await it.page.locator('.vm canvas').count(), 0);
	assert.match(await it.page.locator('aside ol').innerText(),
		/^novnc-gate[^]*\nmaster-controller[^]*\nthe VM/);
});

step('connect shows the screen of the VM', async () => {
	await it.page.getByRole('button', { name: 'Connect', exact: true }).click();
	await statusIs(it.page, 'Connected');
	await nothingLiesOverTheTerminal();
	await until(terminalIsShown);
	assert.match(gateLog(), new RegExp(`Handling noVNC connection: ${it.world.path}/websock`));
	assert.match(gateLog(), new RegExp(`Proxying: ${it.world.path}/websock`));
});

step('typed keys change the VM', async () => {
	await type(it.page, 'echo "Typed by hand: $((6*7))" > typed\n');
	await until(() => readFileSync(join(it.world.home, 'typed'), 'utf8') === 'Typed by hand: 42\n');
});

step('what changes in the VM is seen', async () => {
	const colour = '#7a1f4b';

	await type(it.page, `printf '\\e]11;${colour}\\a'\n`);
	await until(async () => (await shares(it.page, [colour]))[1] > 0.9);
	await type(it.page, `printf '\\e]111\\a'\n`);
	await until(terminalIsShown);
});

step('so far nothing has closed and nothing is complained of', () => {
	assert.deepEqual(it.closed, []);
	assert.deepEqual(it.errors, []);
});

// noVNC 1.3 puts another slash in front of it.
step('noVNC connects with a path that begins with a slash', async () => {
	const page = await it.page.context().newPage();
	const asked = [];

	page.on('websocket', (socket) => asked.push(new URL(socket.url()).pathname));
	await page.goto(`${it.world.url}${it.world.path}/vnc.html?${new URLSearchParams({
		autoconnect: 'true', path: `${it.world.path}/websock`,
	})}`);
	await page.locator('html.noVNC_connected').waitFor();
	assert.match(asked.join(), new RegExp(`^/?${it.world.path}/websock$`));
	assert.doesNotMatch(gateLog(), /connection: \/\//);
	await page.close();
});

step('a closing handshake goes through', async () => {
	const code = await it.page.evaluate((path) => new Promise((done) => {
		const socket = new WebSocket(path);
		socket.onmessage = () => socket.close(1000);
		socket.onclose = (event) => done(event.code);
	}), `${it.world.path}/websock`);

	assert.equal(code, 1000);
});

// The close code is not checked: noVNC sends none, websockify 0.10 (Debian 12) responds with 1005, and
// browsers do not accept that, with or without the gate.
step('disconnect, and connect again', async () => {
	await it.page.getByRole('button', { name: 'Disconnect' }).click();
	await statusIs(it.page, 'Disconnected');
	await coverIsOpaque();
	await it.page.getByRole('button', { name: 'Reconnect' }).click();
	await statusIs(it.page, 'Connected');
	await nothingLiesOverTheTerminal();
	await until(terminalIsShown);
});

// The code and reason of the last Close, which the page shows.
async function closedWith(code, sentence) {
	await statusIs(it.page, 'Disconnected');
	const said = new RegExp(`${sentence}; log id `);

	await it.page.getByRole('alert').filter({ hasText: new RegExp(`${code}: ${said.source}`) }).waitFor();
	const { code: got, reason } = it.closed.at(-1);

	assert.equal(got, code);
	assert.match(reason, said);
}

step('with the master-controller stopped the page says so', async () => {
	await it.world.stopController();
	await closedWith(1014, 'master-controller (closed|reset) the connection');
	await it.page.getByRole('button', { name: 'Reconnect' }).click();
	await closedWith(4502, 'master-controller refused the connection');
	assert.match(gateLog(), /WebSocket proxy error: .*refused/i);
	assert.ok(it.world.isUp('gate') && it.world.isUp('next'));
});

step('with the master-controller back a reconnect works', async () => {
	await it.world.startController();
	await it.page.getByRole('button', { name: 'Reconnect' }).click();
	await statusIs(it.page, 'Connected');
	await type(it.page, 'touch again\n');
	await until(() => readFileSync(join(it.world.home, 'again')).length === 0);
});

// The gate reads its configuration for each connection.
async function reconnectWith(more) {
	it.world.configure(it.world.config, more);
	await it.page.getByRole('button', { name: /onnect$/ }).click();
}

for (const [key, sentence] of [
	['IdleTimeoutSec', 'no data for IdleTimeoutSec='],
	['SessionTimeoutSec', 'the session has lasted for SessionTimeoutSec='],
])
	step(`${key} ends the terminal with its sentence`, async () => {
		if (await it.page.getByRole('button', { name: 'Disconnect' }).isVisible())
			await it.page.getByRole('button', { name: 'Disconnect' }).click();
		await statusIs(it.page, 'Disconnected');
		await reconnectWith(`[Limits]\n${key}=1500ms\n`);
		await closedWith(1008, sentence);
	});

for (const [whose, more, code, sentence] of [
	['that the user may not open', '', 4403, 'Next.js does not authorize this session \\(403\\)'],
	['that the master-controller does not know', '[Authorization]\nPath=\n', 4404,
		'master-controller responded with 404 instead of 101'],
])
	step(`a session ${whose}`, async () => {
		it.world.configure(it.world.config, more);
		const [got, reason] = await it.page.evaluate(() => new Promise((done) => {
			const socket = new WebSocket('/api/auth/session/unknown/novnc/websock');
			socket.onclose = (event) => done([event.code, event.reason]);
		}));

		assert.equal(got, code);
		assert.match(reason, new RegExp(`^${sentence}; log id `));
	});

step('with the VM gone the page says so', async () => {
	await reconnectWith('');
	await statusIs(it.page, 'Connected');
	await it.world.killVm();
	await closedWith(1014, 'master-controller (closed|reset) the connection');
	await it.page.getByRole('button', { name: 'Reconnect' }).click();
	await closedWith(4502, 'master-controller responded with 502 instead of 101');
});

step('no WebSocket of all these has closed with 1006', () => {
	assert.deepEqual(it.closed.filter(({ code }) => code === 1006), []);
});

step('with all of it stopped the page says what to do', async () => {
	const alert = it.page.locator('.cover').getByRole('alert');

	await it.world.stop();
	await it.page.getByRole('button', { name: 'Reconnect' }).click();
	await alert.filter({ hasText: `Nothing answers at ${it.world.url}` }).waitFor();
	assert.match(await alert.innerText(), /Is "make demo" still running\?/);
	assert.doesNotMatch(await alert.innerText(), /Error|fetch/);
	await coverIsOpaque();
});
