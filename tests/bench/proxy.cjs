// SPDX-License-Identifier: MIT
// What novnc-gate replaces: a Node server with http-proxy.  proxy.cjs PORT PAGES CONTROLLER
const http = require('node:http');
const { createProxyServer } = require('http-proxy');

const [port, pages, controller] = process.argv.slice(2);
const noVnc = /^\/api\/auth\/session\/[^/]+\/novnc\/(websock|websockify)$/;

const toPages = createProxyServer({
  target: `http://127.0.0.1:${pages}`,
  agent: new http.Agent({ keepAlive: true }),
  xfwd: true,
});
const toController = createProxyServer({
  target: `http://127.0.0.1:${controller}`,
  ws: true,
  changeOrigin: true,
  xfwd: true,
});
toPages.on('error', (error, request, response) => response.destroy());
toController.on('error', (error, request, socket) => socket.destroy());

const server = http.createServer((request, response) => toPages.web(request, response));
server.on('upgrade', (request, socket, head) => {
  if (noVnc.test(request.url.split('?')[0])) toController.ws(request, socket, head);
  else socket.destroy();
});
server.listen(Number(port), '127.0.0.1', 4096);
