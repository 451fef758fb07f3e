// The proxies in front of the gate: those of Debian, unpacked in build/bench/debian, or installed.

import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { BUILD } from '../demo/world.mjs';

const DEBIAN = join(BUILD, 'bench/debian');
const README = fileURLToPath(new URL('../../README.md', import.meta.url));

const ARGUMENTS = {
	nginx: (dir, conf) => ['-c', conf, '-p', dir, '-e', 'stderr'],
	haproxy: (dir, conf) => ['-db', '-q', '-f', conf],
	caddy: (dir, conf) => ['run', '--adapter', 'caddyfile', '--config', conf],
};

// The path of that program; undefined if it is not there: then `make deps` unpacks it.
export function program(name) {
	return [DEBIAN, '/'].flatMap((root) => ['usr/sbin', 'usr/bin'].map((dir) => join(root, dir, name)))
		.find(existsSync);
}

// Starts a proxy as a part of the world, which ends with it. ready: resolves once it serves.
export async function startProxy(world, part, name, text, ready) {
	const conf = join(world.dir, `${part}.conf`);
	const libraries = existsSync(DEBIAN)
		? readdirSync(join(DEBIAN, 'usr/lib')).map((each) => join(DEBIAN, 'usr/lib', each)) : [];

	writeFileSync(conf, text);
	await world.run(part, [program(name), ...ARGUMENTS[name](world.dir, conf)],
		{ ready, env: { LD_LIBRARY_PATH: libraries.join(':'), HOME: world.dir } });
}

// What nginx needs around its http { } contents here.
export function nginxConfiguration(dir, http) {
	return `
daemon off; ${process.getuid() === 0 ? 'user root;' : ''} pid ${dir}/pid; error_log stderr crit;
events { }
http {
	access_log off;
	client_body_temp_path ${dir}/body; proxy_temp_path ${dir}/proxy;
	fastcgi_temp_path ${dir}/f; uwsgi_temp_path ${dir}/u; scgi_temp_path ${dir}/s;
${http}
}
`;
}

// README.md's n-th block in that language, in which these texts are replaced; each must be there.
export function readmeBlock(language, n, replaced = {}) {
	const blocks = [...readFileSync(README, 'utf8').matchAll(/^```(\w+)\n([^]*?)^```$/gm)]
		.filter(([, name]) => name === language);
	let text = blocks[n]?.[2];

	if (text === undefined)
		throw new Error(`README.md has no block ${n} of ${language}`);
	for (const [from, to] of Object.entries(replaced)) {
		if (!text.includes(from))
			throw new Error(`README.md, block ${n} of ${language} has no ${from}`);
		text = text.replaceAll(from, to);
	}
	return text;
}
