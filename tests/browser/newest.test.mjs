// The newest noVNC, in place of Debian's.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DEMO } from '../demo/world.mjs';
import { statusIs, step, suite, type, until } from './browser.mjs';

const it = suite('newest', { noVnc: join(DEMO, 'node_modules/@novnc/novnc') });

step('the newest noVNC opens a terminal and takes keys', async () => {
	await it.page.goto(it.world.page);
	await it.page.getByRole('button', { name: 'Connect', exact: true }).click();
	await statusIs(it.page, 'Connected');
	await type(it.page, 'echo newest > typed\n');
	await until(() => readFileSync(join(it.world.home, 'typed'), 'utf8') === 'newest\n');
});

step('the page learns why it ends', async () => {
	await it.world.stopController();
	await statusIs(it.page, 'Disconnected');
	await it.page.getByRole('alert').filter({ hasText: /1014: master-controller (closed|reset) the connection; log id / }).waitFor();
	assert.deepEqual(it.closed.map(({ code }) => code), [1014]);
});
