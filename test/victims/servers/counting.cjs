// node counting.cjs PORT: /NAME counts what was asked for NAME.
const http = require('node:http');

const counts = new Map();
const server = http.createServer({ keepAlive: true }, ({ url }, answer) => {
  const count = (counts.get(url) ?? 0) + 1;
  counts.set(url, count);
  const body = String(count);
  answer.writeHead(200, { 'Content-Length': body.length }).end(body);
});
server.keepAliveTimeout = 60_000;
server.listen(Number(process.argv[2]), () => console.log('ready'));
