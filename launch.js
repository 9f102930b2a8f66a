'use strict';
// Starts the slotway binary for a pipeline step: picks the one for this system, compares its
// SHA-256 with dist/manifest.json, runs it with the environment as it is, and tells the host.
//
// Plain node (ES2019) on purpose. The agent's task library would move the inputs and the
// connection's credentials out of the environment, and the binary would not see them
// (azure-pipelines-task-lib node/internal.ts, _loadData).

const childProcess = require('child_process');
const crypto = require('crypto');
const fs = require('fs');
const os = require('os');
const path = require('path');
const host = require('./launcher/host');

const SYSTEMS = { linux: 'linux', darwin: 'macos', win32: 'windows' };
// The binary goes on printing while it ends, so a signal is passed on and its end awaited.
const SIGNALS = ['SIGINT', 'SIGTERM', ...(process.platform === 'win32' ? ['SIGBREAK'] : [])];

/** The binary to run, verified. */
async function findBinary(env) {
  if (env.SLOTWAY_BINARY) {
    const binary = path.resolve(env.SLOTWAY_BINARY);
    if (!isFile(binary)) throw new Error(`SLOTWAY_BINARY names ${binary}, and there is no such file.`);
    host.say(`Running ${binary} as SLOTWAY_BINARY says; its checksum is not verified.`);
    return binary;
  }
  const manifest = JSON.parse(fs.readFileSync(path.join(__dirname, 'dist', 'manifest.json'), 'utf8'));
  const target = `${SYSTEMS[process.platform] || process.platform}-${process.arch}`;
  const entry = Object.prototype.hasOwnProperty.call(manifest.binaries, target) && manifest.binaries[target];
  if (!entry) throw new Error(explainMissing(manifest, target));
  const name = process.platform === 'win32' ? 'slotway.exe' : 'slotway';
  const packed = path.join(__dirname, 'bin', target, name);
  return verify(isFile(packed) ? packed : await fromToolCache(manifest, entry, name, env), entry.sha256);
}

function explainMissing(manifest, target) {
  const remedy = 'Build slotway and set SLOTWAY_BINARY to the path of the binary.';
  if (Object.keys(manifest.binaries).length === 0) {
    return `This is a development version without released binaries (dist/manifest.json says ${manifest.version}). `
      + `Use a released version, or: ${remedy}`;
  }
  return `There is no binary for ${target}, only for ${Object.keys(manifest.binaries).join(', ')}. ${remedy}`;
}

/** The binary in the host's tool cache, laid out as other tools do; downloaded if it is not there. */
async function fromToolCache(manifest, entry, name, env) {
  const cache = env.RUNNER_TOOL_CACHE || env.AGENT_TOOLSDIRECTORY;
  if (!cache) {
    throw new Error('The binary is not packed with this step, and there is no tool cache to download it to '
      + '(RUNNER_TOOL_CACHE, AGENT_TOOLSDIRECTORY). Set SLOTWAY_BINARY to the path of the binary.');
  }
  const folder = path.join(cache, 'slotway', manifest.version, process.arch);
  const binary = path.join(folder, name);
  const complete = `${folder}.complete`;
  if (isFile(binary) && isFile(complete)) return binary;
  const url = `${manifest.release}/${entry.asset}`;
  host.say(`Downloading ${url}`);
  const content = await require('./launcher/download').download(url, entry.size, env);
  check(url, content, entry.sha256);
  fs.mkdirSync(folder, { recursive: true });
  // Under a name of its own first: another job may be filling the same cache.
  const part = `${binary}.${crypto.randomBytes(8).toString('hex')}.part`;
  fs.writeFileSync(part, content, { mode: 0o755 });
  try {
    if (!isFile(binary) || !fs.readFileSync(binary).equals(content)) fs.renameSync(part, binary);
  } finally {
    fs.rmSync(part, { force: true });
  }
  fs.writeFileSync(complete, '');
  return binary;
}

/** The file, if its digest is right; made executable, since a zip archive forgets that. */
function verify(binary, sha256) {
  check(binary, fs.readFileSync(binary), sha256);
  // Asked before changed, because the folder may be read-only and the bit be there already.
  try { fs.accessSync(binary, fs.constants.X_OK); } catch (error) { fs.chmodSync(binary, 0o755); }
  return binary;
}

function check(name, content, sha256) {
  const actual = crypto.createHash('sha256').update(content).digest('hex');
  if (actual === sha256) return;
  throw new Error(`The checksum of ${name} is wrong, so it was not run. SHA-256 is ${actual}, `
    + `dist/manifest.json says ${sha256}. Remove it and take the released version again; if it stays wrong, report that.`);
}

function isFile(file) {
  try { return fs.statSync(file).isFile(); } catch (error) { return false; }
}

/** Runs the binary to its end, whatever signals come; gives its exit code, and whether it was let finish. */
function run(binary, parameters) {
  return new Promise((resolve, reject) => {
    let child;
    let interrupted = false;
    const forward = (signal) => {
      interrupted = true;
      // On Windows the child shares our console and has the Ctrl event already; kill() there would end it at once.
      if (process.platform !== 'win32' && child) child.kill(signal);
    };
    SIGNALS.forEach((signal) => process.on(signal, forward));
    child = childProcess.spawn(binary, parameters, { stdio: 'inherit' });
    child.on('error', (error) => reject(new Error(`${binary} could not be started: ${error.message}`)));
    child.on('exit', (code, signal) => resolve({
      code: code === null ? 128 + os.constants.signals[signal] : code,
      finished: code !== null && !interrupted,
    }));
  });
}

/** Runs the step, and remembers whether it came to its own end. */
async function start() {
  const kind = host.detect(process.env);
  try {
    const binary = await findBinary(process.env);
    host.remember(kind, 'open', process.env);
    const { code, finished } = await run(binary, ['run']);
    if (finished) host.remember(kind, 'closed', process.env);
    host.conclude(kind, code);
  } catch (error) {
    host.sayError(kind, error.message);
    host.conclude(kind, 1);
  }
}

/** Finishes, after the job's last step, what a step that was cancelled or killed left in Azure. */
async function settle() {
  const kind = host.detect(process.env);
  if (host.remembered(kind, process.env) !== 'open') return;
  try {
    const binary = await findBinary(process.env);
    host.conclude(kind, (await run(binary, ['run', '--settle'])).code);
  } catch (error) {
    host.sayError(kind, error.message);
    host.conclude(kind, 1);
  }
}

module.exports = { settle };

if (require.main === module) start();
