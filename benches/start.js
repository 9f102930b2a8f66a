'use strict';
// How long a step takes from its start to its first request, the launcher apart: the binary is started as the launcher
// does it, against a server of this script, and the clock stops when the server has the request. What starting any
// process takes here is measured beside it. A measurement for people, no test: it depends on the machine.
//
//   cargo build --profile dist && node benches/start.js [target/dist/slotway] [how often]

const childProcess = require('child_process');
const fs = require('fs');
const https = require('https');
const os = require('os');
const path = require('path');

const BINARY = process.argv[2] || path.join(__dirname, '..', 'target', 'dist', 'slotway');
const TIMES = Number(process.argv[3] || 50);
const ID = '00000000-0000-0000-0000-000000000001';

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'slotway-start-'));
const [key, certificate] = ['key.pem', 'certificate.pem'].map((name) => path.join(folder, name));
const made = childProcess.spawnSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes',
  '-days', '2', '-addext', 'basicConstraints=critical,CA:FALSE', '-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', key, '-out', certificate]);
if (made.status !== 0) throw new Error(`openssl: ${made.error || made.stderr}`);

const server = https.createServer({ key: fs.readFileSync(key), cert: fs.readFileSync(certificate) });

/** Milliseconds from the start of the process to its connection, and to its first request. */
function once(port) {
  return new Promise((resolve, reject) => {
    const env = {
      PATH: process.env.PATH,
      GITHUB_ACTIONS: 'true',
      INPUT_COMMAND: 'status',
      'INPUT_APP-NAME': 'contoso-web',
      'INPUT_RESOURCE-GROUP-NAME': 'contoso',
      'INPUT_SUBSCRIPTION-ID': ID,
      'INPUT_TENANT-ID': ID,
      'INPUT_CLIENT-ID': ID,
      'INPUT_CLIENT-SECRET': 'not-a-real-one',
      INPUT_ENVIRONMENT: 'AzureStack',
      'INPUT_RESOURCE-MANAGER-URL': `https://127.0.0.1:${port}/`,
      'INPUT_CA-FILE': certificate,
    };
    let connected;
    let output = '';
    server.once('connection', () => { connected = process.hrtime.bigint(); });
    server.once('request', (request, response) => {
      const asked = process.hrtime.bigint();
      child.removeAllListeners('exit');
      child.once('exit', () => {
        response.destroy();
        resolve([connected, asked].map((at) => Number(at - begun) / 1e6));
      });
      child.kill('SIGKILL');
    });
    const begun = process.hrtime.bigint();
    const child = childProcess.spawn(BINARY, ['run'], { env, stdio: ['ignore', 'pipe', 'pipe'] });
    child.once('error', reject);
    child.once('exit', (code) => reject(new Error(`it ended with ${code} before its first request: ${output}`)));
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => { output += chunk; });
  });
}

/** Milliseconds that a process takes which does nothing but say its version. */
function nothing() {
  const begun = process.hrtime.bigint();
  const ended = childProcess.spawnSync(BINARY, ['--version'], { stdio: 'ignore' });
  if (ended.status !== 0) throw new Error(`${BINARY} does not start: ${ended.error || ended.status}`);
  return Number(process.hrtime.bigint() - begun) / 1e6;
}

function show(what, values) {
  values.sort((one, other) => one - other);
  const at = (share) => values[Math.min(values.length - 1, Math.floor(values.length * share))].toFixed(1);
  console.log(`${what.padEnd(28)} best ${at(0)} ms, median ${at(0.5)} ms, 95 of 100 below ${at(0.95)} ms`);
}

async function measure() {
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address();
  await once(port); // The first one pays for the disk.
  const runs = [];
  for (let run = 0; run < TIMES; run += 1) runs.push(await once(port));
  show('process that does nothing', runs.map(() => nothing()));
  show('start to connection', runs.map(([connected]) => connected));
  show('start to first request', runs.map(([, asked]) => asked));
  server.close();
  server.closeAllConnections();
  fs.rmSync(folder, { recursive: true, force: true });
}

measure().catch((error) => { console.error(error); process.exit(1); });
