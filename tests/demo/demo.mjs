// `make demo`: the whole world on this machine, until Ctrl-C.  PORT= is the gate's port.
// With --prepare it only installs and builds what the world needs in build/demo.

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { buildDashboard, DEMO, GATE, install, listenOnce, World } from './world.mjs';

const say = (text) => console.log(text);

function fail(text) {
	console.error(`make demo: ${text}`);
	process.exit(1);
}

async function mustBeFree(port) {
	for (const address of ['127.0.0.1', '::1']) {
		const wrong = await listenOnce(port, address).then(() => null, (error) => error.code);

		if (wrong === 'EADDRINUSE')
			fail(`port ${port} is in use ('ss -ltnp sport = :${port}' shows by which program). ` +
				`To use another one: make demo PORT=${port + 100}`);
		if (wrong === 'EACCES')
			fail(`port ${port} is for root only. To use another one: make demo PORT=${port + 100}`);
	}
}

// Enter stops the master-controller, and starts it again.
function offerController(world) {
	let up = true;
	let last = Promise.resolve();

	say('Press Enter to stop the master-controller, and again to start it: the page shows what happens.');
	createInterface({ input: process.stdin }).on('line', () => {
		last = last.then(async () => {
			await (up ? world.stopController() : world.startController());
			up = !up;
			say(`The master-controller is ${up ? 'back' : 'stopped'}.`);
		}).catch((error) => fail(error.message));
	});
}

function prepare() {
	try {
		install(say);
		buildDashboard(say);
	} catch (error) {
		fail(error.message);
	}
}

if (process.argv[2] === '--prepare') {
	prepare();
	process.exit();
}

const port = Number(process.env.PORT || 3000);

if (!Number.isInteger(port) || port < 1 || port > 65535)
	fail(`PORT=${process.env.PORT} is not a port.`);
if (!existsSync(GATE))
	fail('build/novnc-gate is not built yet: run make');
await mustBeFree(port);
prepare();

const world = new World({ port, dir: join(DEMO, String(port)) });
const signalled = new Promise((done) => ['SIGINT', 'SIGTERM', 'SIGHUP'].forEach((signal) =>
	process.on(signal, () => done(null))));

async function untilEnd() {
	say('Starting the VM, the master-controller, Next.js and the gate');
	await world.start();
	say(`
    ${world.page}

Open it in a browser on this machine, sign in with any name, click "Connect", then click into the terminal and
type. Sign out in another tab: the terminal ends within ten seconds.
The VM is only simulated: its terminal is a shell of your own on this machine. It has no password, so other
users of this machine can use it too.
Logs: ${world.dir}/log/`);
	if (process.stdin.isTTY)
		offerController(world);
	say('Press Ctrl-C to stop everything.');
	return world.died;
}

const error = await Promise.race([signalled, untilEnd().catch((wrong) => wrong)]);

if (error)
	console.error(`make demo: ${error.message}`);
say('Stopping');
await world.stop().catch((wrong) => fail(wrong.message));
process.exit(error ? 1 : 0);
