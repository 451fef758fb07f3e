// The demo's world: what `make demo` and the browser tests start, and how it all ends again.
//
//   browser - novnc-gate - Next.js dashboard
//                        - controller.mjs - websockify - Xtigervnc with a terminal in it: the VM
//
// Everything listens on loopback only, for the terminal is a shell of the user who started it.

import { execFileSync, spawn } from 'node:child_process';
import { randomBytes, randomUUID } from 'node:crypto';
import { closeSync, cpSync, existsSync, mkdirSync, openSync, readdirSync, readFileSync, rmSync,
	statSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import net from 'node:net';
import { dirname, join, relative } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { startSession } from './dashboard/app/sessions.js';

const HERE = fileURLToPath(new URL('.', import.meta.url));
export const BUILD = fileURLToPath(new URL('../../build/', import.meta.url));
export const DEMO = join(BUILD, 'demo');
export const GATE = join(BUILD, 'novnc-gate');
// The project's own, for Debian 12's is too old for Next.js.  Not node_modules/.bin/node: an npm as
// old as that leaves the link out.
const NODE = join(DEMO, `node_modules/node-linux-${process.arch}/bin/node`);
const NEXT = join(DEMO, 'node_modules/next/dist/bin/next');
export const SCREEN = '1024x640';
export const BACKGROUND = '#10243f';
export const FOREGROUND = '#e8eef7';
// Whom the VM serves: no page has it, for no name in .invalid leads anywhere.
const VM_ORIGIN = 'http://master-controller.invalid';
const READY_MS = 90_000;
const STOP_MS = 5_000;

// Not even a runner that is killed leaves behind what it started.
const TIED = ['--pdeathsig', 'TERM', '--'];

// ---- what must be there before

function newestUnder(dir) {
	return Math.max(...readdirSync(dir, { withFileTypes: true }).map((entry) => entry.isDirectory()
		? newestUnder(join(dir, entry.name)) : statSync(join(dir, entry.name)).mtimeMs));
}

function builtAt(file) {
	return existsSync(file) ? statSync(file).mtimeMs : 0;
}

function run(argv, cwd) {
	execFileSync('setpriv', [...TIED, ...argv], {
		cwd,
		env: { ...process.env, NEXT_TELEMETRY_DISABLED: '1' },
		stdio: ['ignore', 'ignore', 'inherit'],
	});
}

const installedAt = (dir) => join(dir, 'node_modules/.installed');

// The packages that from/package-lock.json names, in the directory to.
export function installPackages(from, to, say) {
	const files = ['package.json', 'package-lock.json'];

	if (files.every((name) => builtAt(join(from, name)) < builtAt(installedAt(to))))
		return;
	say(`Installing Next.js from npm into build/${relative(BUILD, to)}`);
	mkdirSync(to, { recursive: true });
	for (const name of files)
		cpSync(join(from, name), join(to, name));
	run(['npm', 'ci', '--no-audit', '--no-fund', '--loglevel=error'], to);
	writeFileSync(installedAt(to), '');
}

// Those of the demo; node is one of them.
export function install(say) {
	installPackages(HERE, DEMO, say);
}

// A copy of the app in from, named dir.
function copyApp(from, dir) {
	rmSync(dir, { recursive: true, force: true });
	cpSync(from, dir, { recursive: true });
	return dir;
}

// A copy of the dashboard, named dir, beside node_modules.
export function copyDashboard(dir) {
	return copyApp(join(HERE, 'dashboard'), dir);
}

// Builds a copy of the app in from, named dir, with the Next.js in the node_modules beside it.
// change(dir): what is different in the copy.
export function buildApp(from, dir, say, change = () => {}) {
	const root = dirname(dir);
	const built = builtAt(join(dir, '.next/BUILD_ID'));

	if (built > newestUnder(from) && built > builtAt(installedAt(root)))
		return;
	say(`Building build/${relative(BUILD, dir)}`);
	change(copyApp(from, dir));
	run([NODE, join(root, 'node_modules/next/dist/bin/next'), 'build'], dir);
}

export function buildDashboard(say) {
	buildApp(join(HERE, 'dashboard'), join(DEMO, 'dashboard'), say);
}

// ---- one part of the world: a process in a group of its own, with a log

class Part {
	constructor(name, argv, log, { ready, env = {}, cwd, stdio = [] }) {
		const { PATH, HOME } = process.env;
		const out = openSync(log, 'a');

		this.name = name;
		this.log = log;
		this.logStart = statSync(log).size;
		this.child = spawn('setpriv', [...TIED, ...argv], {
			cwd,
			detached: true,
			env: { PATH, HOME, LANG: 'C.UTF-8', NEXT_TELEMETRY_DISABLED: '1', ...env },
			stdio: ['ignore', out, out, ...stdio],
		});
		closeSync(out);
		this.ended = new Promise((done) => {
			this.child.on('error', (error) => done(error.message));
			this.child.on('exit', (code, signal) => done(signal ?? `exit status ${code}`));
		});
		this.isReady = ready;
	}

	// Resolves once isReady() does; throws if the part ends first, or takes too long.
	async untilReady() {
		const end = this.ended.then((how) => this.fault(`ended (${how}) before it was ready`));
		const deadline = Date.now() + READY_MS;

		for (;;) {
			const asked = this.isReady(this.child).then(() => null, (error) => error);
			const wrong = await Promise.race([end, asked]);

			if (!wrong)
				return;
			if (wrong.part)
				throw wrong;
			if (Date.now() > deadline)
				throw this.fault(`is not ready after ${READY_MS / 1000} s: ${wrong.message}`);
			await pause(50);
		}
	}

	fault(what) {
		const said = readFileSync(this.log).subarray(this.logStart).toString().trimEnd();
		const tail = said.split('\n').slice(-8).map((line) => `    ${line}\n`).join('');
		const error = new Error(`${this.name} ${what}\n${tail}  (${this.log})`);

		return Object.assign(error, {
			part: this.name,
			portTaken: /EADDRINUSE|address already in use/i.test(said),
		});
	}

	signal(signal) {
		try {
			process.kill(-this.child.pid, signal);
			return true;
		} catch {
			return false;	// the whole group is gone
		}
	}

	async stop() {
		this.stopping = true;
		if (this.child.pid === undefined || !this.signal('SIGTERM'))
			return;
		for (const start = Date.now(); this.signal(0); await pause(20)) {
			if (Date.now() > start + 2 * STOP_MS)
				throw this.fault('does not end');
			if (Date.now() > start + STOP_MS)
				this.signal('SIGKILL');
		}
	}
}

// ---- ports and probes

// Takes the port (any free one if 0) and lets it go again; resolves to its number.
export function listenOnce(port, host) {
	return new Promise((done, failed) => {
		const server = net.createServer();
		server.on('error', failed);
		server.listen(port, host, () => {
			const got = server.address().port;
			server.close(() => done(got));
		});
	});
}

// The loopback addresses that this machine has, as systemd-socket-activate wants them.
async function loopback() {
	const six = await listenOnce(0, '::1').then(() => true, () => false);
	return six ? ['127.0.0.1', '[::1]'] : ['127.0.0.1'];
}

export async function onFreePort(start) {
	for (let tries = 1; ; tries++) {
		try {
			return await start(await listenOnce(0, '127.0.0.1'));
		} catch (error) {
			if (!error.portTaken || tries === 5)
				throw error;
		}
	}
}

function get(url, options) {
	return new Promise((done, failed) => {
		const request = (url.startsWith('https:') ? https : http).get(url, { timeout: 20_000, agent: false, ...options });
		request.on('timeout', () => request.destroy(new Error(`${url}: no answer`)));
		request.on('error', failed);
		request.on('response', (response) => {
			response.resume();
			if (response.statusCode >= 400)
				failed(new Error(`${url}: status ${response.statusCode}`));
			else
				done();
		});
		request.on('upgrade', (response, socket, head) => done({ socket, head }));
	});
}

// A VNC server greets with its version; through a WebSocket, in its first frame.
async function vncGreets(url, options) {
	const { socket, head } = await get(url, { ...options, headers: {
		Connection: 'Upgrade',
		Upgrade: 'websocket',
		'Sec-WebSocket-Version': '13',
		'Sec-WebSocket-Key': randomBytes(16).toString('base64'),
		...options?.headers,
	} }).then((upgraded) => upgraded ?? Promise.reject(new Error(`${url}: not upgraded`)));

	try {
		let seen = head.toString('latin1');
		socket.setTimeout(5_000, () => socket.destroy());
		for await (const bytes of seen.includes('RFB 00') ? [] : socket)
			if ((seen += bytes.toString('latin1')).includes('RFB 00'))
				break;
		if (!seen.includes('RFB 00'))
			throw new Error(`${url}: no VNC server behind it`);
	} finally {
		socket.destroy();
	}
}

function hasLine(stream) {
	return new Promise((done, failed) => {
		stream.once('data', (bytes) => done(bytes.toString().trim()));
		stream.once('end', () => failed(new Error('no line')));
	});
}

// ---- the world

const sessionsIn = (dir) => join(dir, 'sessions');

// Signs a user in, in the world in that directory; resolves to the cookie.
export async function signIn(dir, user = 'demo') {
	process.env.SESSIONS = sessionsIn(dir);
	return `session=${await startSession(user)}`;
}

export class World {
	parts = [];

	// port: the gate's, any free one if 0.  dir: for the configuration, the logs and the VM's files.
	// dev: a copy of the dashboard, served by `next dev`; else the built one by `next start`.
	// tls: the gate speaks TLS, with a certificate of the world's own authority, this.ca.
	// noVnc: the directory of noVNC's files, Debian's unless another one is given.
	// installed: a gate that runs already at this url, reads this config anew for each connection, and
	// has a certificate of the authority in the file ca.
	constructor({ port = 0, dir, dev = null, tls = false, installed = null, noVnc = '/usr/share/novnc' }) {
		Object.assign(this, { port, dir, dev, tls, installed, noVnc, session: randomUUID() });
		this.home = join(dir, 'vm');
		this.died = new Promise((done) => { this.tellDeath = done; });
		for (const part of ['log', 'vm', 'sessions']) {
			rmSync(join(dir, part), { recursive: true, force: true });
			mkdirSync(join(dir, part), { recursive: true });
		}
	}

	log(name) {
		return join(this.dir, 'log', `${name}.log`);
	}

	async run(name, argv, options) {
		if (this.stopping)
			throw new Error('stopped');

		const part = new Part(name, argv, this.log(name), options);

		this.parts.push(part);
		try {
			await part.untilReady();
		} catch (error) {
			await this.stopPart(part);
			throw error;
		}
		part.ended.then((how) => part.stopping ||
			this.tellDeath(part.fault(`ended (${how})`)));
		return part;
	}

	async stopPart(part) {
		await part.stop();
		this.parts = this.parts.filter((other) => other !== part);
	}

	isUp(name) {
		return this.parts.some((part) => part.name === name && part.signal(0));
	}

	async startVm() {
		let display;

		const vncPort = await onFreePort(async (port) => {
			// Not the first free display: locks of another PID namespace look like those of the dead.
			await this.run('vnc', ['Xtigervnc', `:${port % 32768}`, '-displayfd', '3', '-rfbport', port,
				'-localhost=1', '-SecurityTypes=None', '-UseBlacklist=0', '-desktop=vm',
				'-geometry', SCREEN, '-depth', '24', '-nolisten', 'tcp'],
			{ stdio: ['pipe'], ready: async (child) => { display = await hasLine(child.stdio[3]); } });
			return port;
		});

		const ready = join(this.dir, 'vm-ready');
		rmSync(ready, { force: true });
		await this.run('terminal', ['xterm', '-ut', '-maximized', '-bw', '0',
			'-fa', 'Monospace', '-fs', '13', '-bg', BACKGROUND, '-fg', FOREGROUND,
			'-e', 'sh', '-c', 'while :; do bash --noprofile --rcfile "$1" -i; done', 'sh',
			join(HERE, 'vm.bashrc')],
		{
			cwd: this.home,
			env: { DISPLAY: `:${display}`, HOME: this.home, VM_READY: ready },
			ready: async () => void statSync(ready),
		});

		this.vmUrl = await onFreePort(async (port) => {
			const url = `http://127.0.0.1:${port}/websockify`;
			await this.run('websockify', ['websockify', '--auth-plugin=ExpectOrigin',
				`--auth-source=${VM_ORIGIN}`, `127.0.0.1:${port}`, `127.0.0.1:${vncPort}`],
			{ ready: () => vncGreets(url, { headers: { Origin: VM_ORIGIN } }) });
			return url.replace('http:', 'ws:');
		});
	}

	// As if its machine had lost power.
	async killVm() {
		for (const name of ['websockify', 'terminal', 'vnc']) {
			const part = this.parts.find((one) => one.name === name);

			part.stopping = true;
			part.signal('SIGKILL');
			await this.stopPart(part);
		}
	}

	get path() {
		return `/api/auth/session/${this.session}/novnc`;
	}

	async startController(port = new URL(this.controllerUrl).port) {
		const url = `http://127.0.0.1:${port}`;

		this.controller = await this.run('controller',
			[NODE, join(HERE, 'controller.mjs'), port, this.session, this.vmUrl, VM_ORIGIN, this.noVnc],
			{ ready: () => vncGreets(`${url}${this.path}/websock`) });
		this.controllerUrl = url;
	}

	async stopController() {
		await this.stopPart(this.controller);
	}

	async startNext(port = new URL(this.nextUrl).port) {
		const url = `http://127.0.0.1:${port}`;
		const settings = {
			SESSIONS: sessionsIn(this.dir),
			VM_NAME: 'vm-1',
			VM_SCREEN: SCREEN,
			VM_SESSION: this.session,
			VM_URL: this.vmUrl,
			CONTROLLER_URL: this.controllerUrl,
		};

		this.next = await this.run('next',
			[NODE, NEXT, this.dev ? 'dev' : 'start', '-H', '127.0.0.1', '-p', port],
			{ cwd: this.dev ?? join(DEMO, 'dashboard'), env: settings,
				ready: () => get(`${url}/dashboard/remote-cli`, { headers: this.signedIn }) });
		this.nextUrl = url;
	}

	async stopNext() {
		await this.stopPart(this.next);
	}

	// A certificate for localhost, its authority, and a key for tickets; what the gate is told of them.
	issueCertificate() {
		const file = (name) => join(this.dir, name);
		const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
		const openssl = (...argv) => execFileSync('openssl', argv, { stdio: 'ignore' });

		this.ca = file('ca.pem');
		openssl('req', '-x509', ...key, '-keyout', file('ca.key'), '-out', this.ca, '-days', '7',
			'-subj', '/CN=novnc-gate test', '-addext', 'keyUsage=critical,keyCertSign');
		openssl('req', ...key, '-keyout', file('tls.key'), '-out', file('csr'),
			'-subj', '/CN=localhost');
		writeFileSync(file('ext'), 'subjectAltName=DNS:localhost\nextendedKeyUsage=serverAuth\n');
		openssl('x509', '-req', '-in', file('csr'), '-CA', this.ca, '-CAkey', file('ca.key'),
			'-set_serial', '1', '-days', '7', '-extfile', file('ext'), '-out', file('tls.crt'));
		writeFileSync(file('tls.ticket'), randomBytes(80));
		this.certificate = `
[Tls]
Certificate=${file('tls.crt')}
Key=${file('tls.key')}
TicketKey=${file('tls.ticket')}
`;
		return this.certificate;
	}

	configure(file, more = '') {
		writeFileSync(file, `[NextJs]
Url=${this.nextUrl}

[MasterController]
Url=${this.controllerUrl}

[Authorization]
Path=/api/novnc/authorization
RecheckSec=10s

[Routes]
ControllerPath=/api/auth/session/*/novnc /api/auth/session/*/novnc/**
UpgradeErrors=close
${more}`);
	}

	// Resolves once a page and the terminal come from there.
	async gateServes(url) {
		const options = { ca: this.ca && readFileSync(this.ca), servername: 'localhost', headers: this.signedIn };

		await get(`${url}/dashboard/remote-cli`, options);
		await vncGreets(`${url}${this.path}/websock`, options);
	}

	get config() {
		return join(this.dir, 'novnc-gate.conf');
	}

	async startGate(port) {
		const config = this.config;
		const addresses = (await loopback()).map((address) => `${address}:${port}`);
		const scheme = this.tls ? 'https' : 'http';

		this.configure(config, this.tls ? this.issueCertificate() : '');
		await this.run('gate', ['systemd-socket-activate', '--inetd', '-a',
			...addresses.flatMap((address) => ['-l', address]), GATE, `--config=${config}`,
			...this.tls ? ['--tls'] : []],
		{
			env: { SYSTEMD_LOG_LEVEL: 'notice' },
			ready: () => Promise.all(addresses.map((address) => this.gateServes(`${scheme}://${address}`))),
		});
		this.url = `${scheme}://localhost:${port}`;
	}

	async useInstalledGate() {
		const { url, config, ca } = this.installed;

		Object.assign(this, { url, ca });
		this.configure(config);
		await this.gateServes(url);
	}

	async start() {
		this.signedIn = { Cookie: await signIn(this.dir) };
		await this.startVm();
		await onFreePort((port) => this.startController(port));
		await onFreePort((port) => this.startNext(port));
		await (this.installed ? this.useInstalledGate() : this.port ? this.startGate(this.port)
			: onFreePort((port) => this.startGate(port)));
	}

	get page() {
		return `${this.url}/dashboard/remote-cli`;
	}

	async stop() {
		this.stopping = true;
		await Promise.all(this.parts.map((part) => part.stop()));
		this.parts = [];
	}
}
