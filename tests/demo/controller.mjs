// The demo's master-controller: `controller.mjs PORT SESSION VM_URL VM_ORIGIN NOVNC`.  It serves browsers on this
// machine only, and is the only one whom the VM serves, since that knows its Origin.  It logs who asks, as the
// gate says in X-Forwarded-User.
//
//   /api/auth/session/SESSION/novnc              redirects to noVNC's page, told where its WebSocket is
//   /api/auth/session/SESSION/novnc/FILE         noVNC's own files, those in the directory NOVNC
//   /api/auth/session/SESSION/novnc/websock      (or /websockify) a tunnel to VM_URL

import { createReadStream } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import { extname, join } from 'node:path';
import { pipeline } from 'node:stream';

const [port, session, vmUrl, vmOrigin, novnc] = process.argv.slice(2);
const base = `/api/auth/session/${session}/novnc`;
const vm = new URL(vmUrl);

const TYPES = {
	'.css': 'text/css',
	'.html': 'text/html; charset=utf-8',
	'.js': 'text/javascript',
	'.json': 'application/json',
	'.mp3': 'audio/mpeg',
	'.oga': 'audio/ogg',
	'.png': 'image/png',
	'.svg': 'image/svg+xml',
	'.ttf': 'font/ttf',
	'.woff': 'font/woff',
};

// noVNC asks for these, Debian's package leaves them out.
const ABSENT = {
	'/package.json': '{"version": "as packaged by Debian"}',
	'/defaults.json': '{}',
	'/mandatory.json': '{}',
};

// noVNC 1.3 takes `path` from the root, 1.6 from its page. Climbing first is right for both.
const up = '../'.repeat(base.split('/').length - 1);
const page = `${base}/vnc.html?${new URLSearchParams({
	autoconnect: 'true',
	resize: 'scale',
	path: `${up}${base.slice(1)}/websock`,
})}`;

// A page of any site can reach this machine's ports by a name of its own (DNS rebinding), but then it is
// that name which the browser sends.
const LOCAL = /^(https?:\/\/)?(localhost|127\.0\.0\.1|\[::1\])(:\d+)?$/;

function isLocal({ headers }) {
	return [headers.host, headers['x-forwarded-host'], headers.origin]
		.every((name) => name === undefined || LOCAL.test(name));
}

function user({ headers }) {
	return headers['x-forwarded-user'] ?? '-';
}

function answer(res, status, type, body) {
	res.writeHead(status, { 'Content-Type': type });
	res.end(body);
}

function serveFile(name, res) {
	const file = createReadStream(join(novnc, name));

	file.on('open', () => {
		res.writeHead(200, { 'Content-Type': TYPES[extname(name)] ?? 'application/octet-stream' });
		pipeline(file, res, () => {});
	});
	file.on('error', () => res.headersSent || (name in ABSENT
		? answer(res, 200, TYPES['.json'], ABSENT[name])
		: answer(res, 404, 'text/plain', 'noVNC has no such file.\n')));
}

// The path below the session, if it is this session's and has no dot segments; else null.
function below(url) {
	const path = url.split('?')[0];

	if (!path.startsWith(base))
		return null;
	return /^(\/\w[\w.-]*)*$/.test(path.slice(base.length)) ? path.slice(base.length) : null;
}

const server = http.createServer((req, res) => {
	const name = below(req.url);

	console.log(req.method, req.url, user(req));
	if (!isLocal(req))
		answer(res, 403, 'text/plain', 'The master-controller serves this machine only.\n');
	else if (name === null)
		answer(res, 404, 'text/plain', 'The master-controller knows no such session.\n');
	else if (name === '')
		res.writeHead(302, { Location: page }).end();
	else
		serveFile(name, res);
});

function headFor(req) {
	let head = `GET ${vm.pathname} HTTP/1.1\r\nHost: ${vm.host}\r\nOrigin: ${vmOrigin}\r\n`;

	for (let i = 0; i < req.rawHeaders.length; i += 2)
		if (!['host', 'origin'].includes(req.rawHeaders[i].toLowerCase()))
			head += `${req.rawHeaders[i]}: ${req.rawHeaders[i + 1]}\r\n`;
	return `${head}\r\n`;
}

function refuse(client, status) {
	client.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
}

server.on('upgrade', (req, client, head) => {
	console.log('UPGRADE', req.url, user(req));
	client.on('error', () => {});
	if (!isLocal(req))
		return refuse(client, '403 Forbidden');
	if (!['/websock', '/websockify'].includes(below(req.url)))
		return refuse(client, '404 Not Found');

	const vmSocket = net.connect(vm.port, vm.hostname);
	const unreachable = () => refuse(client, '502 Bad Gateway');

	vmSocket.on('error', unreachable);
	vmSocket.on('connect', () => {
		vmSocket.off('error', unreachable);
		vmSocket.write(headFor(req));
		vmSocket.write(head);
		pipeline(client, vmSocket, () => {});
		pipeline(vmSocket, client, () => {});
	});
});

server.listen(port, '127.0.0.1');
