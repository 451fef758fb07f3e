// prepare.mjs VERSION... -- builds tests/next/site with these versions of Next.js: 14 and 15 in
// build/next, 16, which is the demo's, in build/demo.

import { renameSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { BUILD, buildApp, DEMO, install, installPackages } from '../demo/world.mjs';

const HERE = fileURLToPath(new URL('.', import.meta.url));
const say = (text) => console.log(text);

// Next.js 16 has another name for it.
function nameProxy(dir) {
	renameSync(join(dir, 'middleware.js'), join(dir, 'proxy.js'));
}

install(say);	// node builds all of them
for (const version of process.argv.slice(2)) {
	const root = version === '16' ? DEMO : join(BUILD, 'next', version);

	if (root !== DEMO)
		installPackages(join(HERE, version), root, say);
	buildApp(join(HERE, 'site'), join(root, 'site'), say, version === '16' ? nameProxy : undefined);
}
