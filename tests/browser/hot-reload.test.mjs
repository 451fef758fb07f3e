// `next dev` behind the gate: an edited page shows without a reload, and no terminal is cut by it.

import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after } from 'node:test';
import { copyDashboard, DEMO } from '../demo/world.mjs';
import { statusIs, step, suite } from './browser.mjs';

const dev = copyDashboard(mkdtempSync(join(DEMO, 'dev-')));
const it = suite('hot-reload', { dev });

after(() => rmSync(dev, { recursive: true }));

function edit(from, to) {
	const file = join(dev, 'app/dashboard/remote-cli/page.jsx');
	const text = readFileSync(file, 'utf8');

	assert.ok(text.includes(from));
	writeFileSync(file, text.replace(from, to));
}

step('an edit shows in the open page', async () => {
	const sockets = [];

	it.page.on('websocket', (socket) => sockets.push(new URL(socket.url()).pathname));
	await it.page.goto(it.world.page);
	await it.page.getByRole('button', { name: 'Connect', exact: true }).click();
	await statusIs(it.page, 'Connected');
	await it.page.evaluate(() => { window.sameDocument = true; });

	edit('<h1>{VM_NAME}</h1>', '<h1>Edited while it runs</h1>');
	await it.page.getByRole('heading', { name: 'Edited while it runs' }).waitFor();

	assert.equal(await it.page.evaluate(() => window.sameDocument), true);
	await statusIs(it.page, 'Connected');
	assert.ok(sockets.some((path) => /^\/_next\/.*hmr/.test(path)), sockets.join(' '));
	assert.deepEqual(it.closed, []);
	assert.deepEqual(it.errors, []);
});
