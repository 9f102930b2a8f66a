'use strict';
// A copy of the launcher in a folder of its own, with a stand-in for the binary, run as a host runs it.

const childProcess = require('child_process');
const crypto = require('crypto');
const fs = require('fs');
const os = require('os');
const path = require('path');

const ROOT = path.join(__dirname, '..', '..');
const SYSTEMS = { linux: 'linux', darwin: 'macos', win32: 'windows' };
const TARGET = `${SYSTEMS[process.platform]}-${process.arch}`;
// The stand-in is a script, which Windows cannot start as if it were a program.
const SKIP = process.platform === 'win32' ? 'the stand-in for the binary is a script' : false;

/** Prints what it was given as JSON and exits with $STAND_IN_EXIT. */
const REPORT = `#!${process.execPath}
console.log('stand-in ' + JSON.stringify({ arguments: process.argv.slice(2), environment: process.env }));
process.exitCode = Number(process.env.STAND_IN_EXIT || 0);
`;

function sha256(content) {
  return crypto.createHash('sha256').update(content).digest('hex');
}

/** A folder with the launcher; gone when the test ends. */
function place(test) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'slotway-launcher-'));
  test.after(() => fs.rmSync(folder, { recursive: true, force: true }));
  const at = (...names) => path.join(folder, ...names);
  const write = (name, content, mode) => {
    fs.mkdirSync(path.dirname(at(name)), { recursive: true });
    fs.writeFileSync(at(name), content, mode ? { mode } : {});
    return at(name);
  };
  for (const name of ['launch.js', 'launcher', 'dist']) fs.cpSync(path.join(ROOT, name), at(name), { recursive: true });
  /** Lists a binary of this content for this system (or another) in the manifest. */
  const list = (content, target = TARGET, release = 'https://localhost:1/release') => write('dist/manifest.json', JSON.stringify({
    version: '1.2.3',
    release,
    binaries: { [target]: { asset: `slotway-${target}`, sha256: sha256(content), size: Buffer.byteLength(content) } },
  }));
  /** Starts a hook with nothing in its environment but what is given. */
  const start = (env, hook = 'launch.js', nodeArguments = []) => {
    const child = childProcess.spawn(process.execPath, [...nodeArguments, at(hook)], {
      cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'],
    });
    const ended = { stdout: '', stderr: '' };
    child.stdout.on('data', (chunk) => { ended.stdout += chunk; });
    child.stderr.on('data', (chunk) => { ended.stderr += chunk; });
    const end = new Promise((resolve) => child.on('close', (code) => resolve({ ...ended, code })));
    return { child, end };
  };
  const run = (env, hook, nodeArguments) => start(env, hook, nodeArguments).end;
  return { at, write, list, start, run };
}

/** What the stand-in says it was given, or null if it did not run. */
function standIn(ended) {
  const line = ended.stdout.split('\n').find((text) => text.startsWith('stand-in '));
  return line ? JSON.parse(line.slice('stand-in '.length)) : null;
}

module.exports = { place, standIn, sha256, REPORT, TARGET, SKIP };
