// Helpers for the tests: a world, a browser that collects its errors, the VM's screen.

import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { BUILD, DEMO, World } from '../demo/world.mjs';

const { chromium } = createRequire(join(DEMO, 'package.json'))('playwright-core');
const ARTIFACTS = process.env.ARTIFACTS || join(BUILD, 'artifacts');
const PATIENCE_MS = 30_000;

// Resolves once check() returns or resolves to a true value; in the end fails with its last error.
export async function until(check) {
	for (const deadline = Date.now() + PATIENCE_MS; ; await pause(50)) {
		let wrong = new Error(`never so: ${check}`);
		const got = await Promise.resolve().then(check).catch((error) => { wrong = error; });

		if (got)
			return got;
		if (Date.now() > deadline)
			throw wrong;
	}
}

export function launch(env = process.env, ...more) {
	return chromium.launch({
		env,
		executablePath: '/usr/bin/chromium',
		chromiumSandbox: process.getuid() !== 0,
		args: ['--disable-gpu', '--disable-quic', '--no-first-run', '--disable-sync',
			'--disable-background-networking', '--disable-component-update', ...more],
	});
}

// An empty directory for what a test file leaves behind.
export function artifactsOf(name) {
	const artifacts = join(ARTIFACTS, name);

	rmSync(artifacts, { recursive: true, force: true });
	mkdirSync(artifacts, { recursive: true });
	return artifacts;
}

// For one test file: a world and a browser that is signed in, there before its first test and gone after the last.
// After each test a screenshot, named by it, and in the end the logs go to the artefacts.
export function suite(name, options) {
	const dir = mkdtempSync(join(DEMO, 'test-'));
	const artifacts = artifactsOf(name);
	const it = { world: new World({ dir, ...options }) };

	before(async () => {
		await it.world.start();
		it.netLog = join(dir, 'net-log.json');
		it.browser = await (it.world.ca
			? launch({ ...process.env, HOME: homeThatTrusts(it.world.ca, dir) }, `--log-net-log=${it.netLog}`)
			: launch());
		await openPage(it, it.browser, it.world.signedIn);
	});
	afterEach(async (test) => {
		await it.page?.screenshot({ path: join(artifacts, `${test.name.replaceAll(' ', '-')}.png`) });
	});
	after(async () => {
		await it.browser?.close();
		await it.world.stop();
		cpSync(join(dir, 'log'), join(artifacts, 'log'), { recursive: true });
		rmSync(dir, { recursive: true });
	});
	return it;
}

// A home directory whose Chromium trusts that authority, as one would install it.
function homeThatTrusts(ca, dir) {
	const home = join(dir, 'home');
	const database = `sql:${join(home, '.pki/nssdb')}`;

	mkdirSync(join(home, '.pki/nssdb'), { recursive: true });
	execFileSync('certutil', ['-d', database, '-N', '--empty-password']);
	execFileSync('certutil', ['-d', database, '-A', '-t', 'C,,', '-n', 'test', '-i', ca]);
	return home;
}

// it.errors: the errors of the console and the page.  it.closed: code and reason of each WebSocket that has
// closed, the terminal's and Next.js' own alike.  signedIn: that of the world.
export async function openPage(it, browser, signedIn) {
	const [name, value] = signedIn.Cookie.split('=');
	const context = await browser.newContext({ viewport: { width: 1440, height: 900 } });

	Object.assign(it, { errors: [], closed: [] });
	await context.addCookies([{ name, value, domain: 'localhost', path: '/' }]);
	it.page = await context.newPage();
	it.page.setDefaultTimeout(PATIENCE_MS);
	it.page.on('console', (message) => message.type() === 'error' && it.errors.push(message.text()));
	it.page.on('pageerror', (error) => it.errors.push(String(error)));
	await it.page.exposeFunction('webSocketClosed', (url, code, reason) => it.closed.push({ url, code, reason }));
	await it.page.addInitScript(() => {
		window.WebSocket = new Proxy(WebSocket, {
			construct(target, args) {
				const socket = new target(...args);
				socket.addEventListener('close', ({ code, reason }) => window.webSocketClosed(socket.url, code, reason));
				return socket;
			},
		});
	});
}

// A test that continues the one before it, so it is skipped once one has failed.
let failed = false;

export function step(name, todo) {
	test(name, async (t) => {
		if (failed)
			return t.skip('an earlier step failed');
		failed = true;
		await todo(t);
		failed = false;
	});
}

// From the page with the sign-in to that with the terminal.
export async function signInAs({ page, world }, name) {
	await page.getByLabel('Name').fill(name);
	await page.getByRole('button', { name: 'Sign in' }).click();
	await page.waitForURL(world.page);
	await page.getByRole('banner').filter({ hasText: name }).waitFor();
}

export async function statusIs(page, words) {
	await page.getByRole('status').filter({ hasText: new RegExp(`^${words}$`) }).waitFor();
}

// The share of the VM's screen, as noVNC has drawn it, that has each of these colours ('#rrggbb') or
// nearly so: VNC sends areas that are not flat as JPEG.
export async function shares(page, colours) {
	const canvas = page.locator('.vm canvas');

	return canvas.evaluate((element, wanted) => {
		const { width, height } = element;
		const { data } = element.getContext('2d').getImageData(0, 0, width, height);

		function share(colour) {
			const rgb = [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
			let count = 0;

			for (let i = 0; i < data.length; i += 4)
				count += rgb.every((value, c) => Math.abs(data[i + c] - value) < 16);
			return count / (width * height);
		}
		return [`${width}x${height}`, ...wanted.map(share)];
	}, colours);
}

// Types into the VM as a person would: a click into its screen, then keys.
export async function type(page, text) {
	await page.locator('.vm canvas').click();
	await page.keyboard.type(text);
}
