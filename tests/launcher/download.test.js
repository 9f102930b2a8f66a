'use strict';
// Downloading to the tool cache, from a TLS server of this test and through a proxy of it.

const assert = require('node:assert/strict');
const childProcess = require('child_process');
const fs = require('fs');
const http = require('http');
const https = require('https');
const net = require('net');
const os = require('os');
const path = require('path');
const { after, before, test } = require('node:test');
const { proxyFor } = require('../../launcher/download');
const { place, standIn, REPORT, SKIP } = require('./place');

let server;
let base;
let certificate;
let requests = [];
let answers = {};
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'slotway-tls-'));
const openssl = childProcess.spawnSync('openssl', ['version']).status === 0;
const skip = SKIP || (openssl ? false : 'there is no openssl to make a certificate with');

before(async () => {
  if (skip) return;
  const key = path.join(folder, 'key.pem');
  certificate = path.join(folder, 'certificate.pem');
  const made = childProcess.spawnSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1',
    '-nodes', '-days', '2', '-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost', '-keyout', key, '-out', certificate]);
  assert.equal(made.status, 0, String(made.stderr));
  server = https.createServer({ key: fs.readFileSync(key), cert: fs.readFileSync(certificate) }, (request, response) => {
    requests.push(request.url);
    const answer = answers[request.url] || [404, {}, ''];
    response.writeHead(answer[0], answer[1]);
    response.end(answer[2]);
  });
  await new Promise((resolve) => server.listen(0, 'localhost', resolve));
  base = `https://localhost:${server.address().port}`;
});

after(() => {
  if (server) server.close();
  fs.rmSync(folder, { recursive: true, force: true });
});

/** A launcher whose manifest names this server, and what it is run with. */
function downloading(t, serve) {
  const here = place(t);
  here.list(REPORT, undefined, `${base}/v1.2.3`);
  const asset = `/v1.2.3/${Object.values(JSON.parse(fs.readFileSync(here.at('dist/manifest.json'))).binaries)[0].asset}`;
  requests = [];
  answers = serve(asset);
  const env = { GITHUB_ACTIONS: 'true', RUNNER_TOOL_CACHE: here.at('cache'), NODE_EXTRA_CA_CERTS: certificate };
  const cached = () => {
    const cache = here.at('cache');
    return fs.existsSync(cache) ? fs.readdirSync(here.at('cache/slotway/1.2.3', process.arch)) : [];
  };
  return { ...here, env, asset, cached };
}

test('a missing binary is downloaded once, along redirects', { skip }, async (t) => {
  const { run, env, asset, at, cached } = downloading(t, (name) => ({
    [name]: [302, { Location: '/store/1' }, ''],
    '/store/1': [301, { Location: `${base}/store/2` }, ''],
    '/store/2': [200, {}, REPORT],
  }));
  const first = await run(env);
  assert.equal(first.code, 0, first.stdout);
  assert.ok(first.stdout.startsWith(`Downloading ${base}${asset}\n`));
  assert.ok(standIn(first));
  assert.deepEqual(requests, [asset, '/store/1', '/store/2']);
  assert.deepEqual(cached(), ['slotway']);
  assert.ok(fs.existsSync(at('cache/slotway/1.2.3', `${process.arch}.complete`)));
  requests = [];
  assert.ok(standIn(await run(env)));
  assert.deepEqual(requests, []);
});

test('a redirect away from https is refused', { skip }, async (t) => {
  const { run, env } = downloading(t, (name) => ({ [name]: [302, { Location: 'http://localhost:1/plain' }, ''] }));
  const ended = await run(env);
  assert.equal(ended.code, 1);
  assert.match(ended.stdout, /::error .*Could not download .*: http:\/\/localhost:1 is not https\./);
});

test('other bytes, more bytes, no file and endless redirects run nothing and leave nothing', { skip }, async (t) => {
  const cases = [
    [[200, {}, REPORT.replace('stand-in', 'STAND-IN')], /The checksum of .* is wrong, so it was not run/],
    [[200, {}, `${REPORT} `], /it is longer than the \d+ bytes that dist\/manifest\.json names/],
    [[404, {}, 'Not Found'], /the server answered 404/],
    [[302, { Location: '#again' }, ''], /too many redirects/],
  ];
  for (const [answer, message] of cases) {
    const { run, env, cached, at } = downloading(t, (name) => ({ [name]: answer }));
    const ended = await run(env);
    assert.equal(ended.code, 1);
    assert.match(ended.stdout, message);
    assert.equal(standIn(ended), null);
    assert.deepEqual(cached(), []);
    assert.ok(!fs.existsSync(at('cache/slotway/1.2.3', `${process.arch}.complete`)));
  }
});

test('a server that is not trusted is not downloaded from', { skip }, async (t) => {
  const { run, env, at } = downloading(t, (name) => ({ [name]: [200, {}, REPORT] }));
  delete env.NODE_EXTRA_CA_CERTS;
  const ended = await run(env);
  assert.equal(ended.code, 1);
  assert.match(ended.stdout, /Could not download .*self-signed certificate/);
  assert.deepEqual(requests, []);
  assert.ok(!fs.existsSync(at('cache/slotway/1.2.3', `${process.arch}.complete`)));
});

test('a download goes through the proxy that the environment names', { skip }, async (t) => {
  const { run, env } = downloading(t, (name) => ({ [name]: [200, {}, REPORT] }));
  const seen = [];
  const proxy = http.createServer();
  proxy.on('connect', (request, socket) => {
    seen.push([request.url, request.headers['proxy-authorization']]);
    const upstream = net.connect(server.address().port, 'localhost', () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      upstream.pipe(socket).pipe(upstream);
    });
    upstream.on('error', () => socket.destroy());
    socket.on('error', () => upstream.destroy());
  });
  await new Promise((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  t.after(() => proxy.close());
  const ended = await run({ ...env, https_proxy: `http://me:p%40ss@127.0.0.1:${proxy.address().port}` });
  assert.equal(ended.code, 0, ended.stdout);
  assert.deepEqual(seen, [[base.slice('https://'.length), `Basic ${Buffer.from('me:p@ss').toString('base64')}`]]);
});

test('which hosts go through which proxy', () => {
  const through = (host, env) => { const proxy = proxyFor(host, env); return proxy && proxy.href; };
  assert.equal(through('example.test', {}), null);
  assert.equal(through('example.test', { HTTPS_PROXY: 'proxy:3128' }), 'http://proxy:3128/');
  assert.equal(through('a.example.test', { https_proxy: 'http://proxy', no_proxy: 'other, .example.test' }), null);
  assert.equal(through('notexample.test', { https_proxy: 'http://proxy', no_proxy: 'example.test' }), 'http://proxy/');
  assert.equal(through('example.test', { https_proxy: 'http://proxy', no_proxy: '*' }), null);
  const agent = { AGENT_PROXYURL: 'http://proxy:8080', AGENT_PROXYUSERNAME: 'me', AGENT_PROXYPASSWORD: 'p@ss' };
  assert.equal(through('example.test', agent), 'http://me:p%40ss@proxy:8080/');
  assert.equal(through('in.example.test', { ...agent, AGENT_PROXYBYPASSLIST: '["\\\\.example\\\\.test"]' }), null);
});
