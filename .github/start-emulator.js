'use strict';
// Starts `slotway emulator` so that it outlives this step, and hands its endpoints on as outputs.

const childProcess = require('child_process');
const fs = require('fs');
const path = require('path');

const READY = path.join(process.env.RUNNER_TEMP, 'emulator-ready.json');
const LOG = path.join(process.env.RUNNER_TEMP, 'emulator.log');
const DEADLINE = Date.now() + 60 * 1000;

const log = fs.openSync(LOG, 'w');
const child = childProcess.spawn(process.env.SLOTWAY_BINARY, ['emulator', '--ready-file', READY], {
  detached: true, stdio: ['ignore', log, log],
});
child.unref();
child.on('exit', (code) => fail(`the emulator ended with ${code}`));
// The file is renamed into place, so once it is there it is whole.
const watcher = setInterval(() => {
  if (fs.existsSync(READY)) {
    clearInterval(watcher);
    handOn(JSON.parse(fs.readFileSync(READY, 'utf8')));
  } else if (Date.now() > DEADLINE) {
    fail('the emulator was not ready within 60 seconds');
  }
}, 100);

function handOn(ready) {
  console.log(`::add-mask::${ready.client_secret}`);
  const lines = Object.entries(ready).filter(([, value]) => typeof value === 'string').map(([name, value]) => `${name}=${value}\n`);
  fs.appendFileSync(process.env.GITHUB_OUTPUT, lines.join(''));
}

function fail(message) {
  console.log(`::error title=Emulator::${message}`);
  console.log(fs.readFileSync(LOG, 'utf8'));
  process.exit(1);
}
