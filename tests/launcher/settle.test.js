'use strict';
// The post hook, and the signals of a cancelled step.

const assert = require('node:assert/strict');
const fs = require('fs');
const { test } = require('node:test');
const { place, standIn, REPORT, TARGET, SKIP } = require('./place');

const SETTLE = 'launcher/settle.js';
const PACKED = `bin/${TARGET}/slotway`;

test('on GitHub the post hook settles what the main hook of this step started', { skip: SKIP }, async (t) => {
  const { at, write, list, run } = place(t);
  write(PACKED, REPORT, 0o755);
  list(REPORT);
  const env = { GITHUB_ACTIONS: 'true' };
  await run({ ...env, GITHUB_STATE: at('state'), STAND_IN_EXIT: '3' });
  // The runner hands each line of the state file to the post hook as STATE_name.
  assert.equal(fs.readFileSync(at('state'), 'utf8'), 'slotway-started=true\n');
  const settled = await run({ ...env, 'STATE_slotway-started': 'true', STAND_IN_EXIT: '5' }, SETTLE);
  assert.deepEqual(standIn(settled).arguments, ['settle']);
  assert.equal(settled.code, 5);
  const silent = await run(env, SETTLE);
  assert.deepEqual(silent, { stdout: '', stderr: '', code: 0 });
});

test('on Azure Pipelines a task variable says whether there is anything to settle', { skip: SKIP }, async (t) => {
  const { write, list, run } = place(t);
  write(PACKED, REPORT, 0o755);
  list(REPORT);
  const env = { TF_BUILD: 'True' };
  const main = await run(env);
  const lines = main.stdout.split('\n');
  const word = lines.indexOf('##vso[task.settaskvariable variable=slotwayStarted;]true');
  assert.ok(word >= 0 && word < lines.findIndex((line) => line.startsWith('stand-in ')), 'said before the binary runs');
  // The agent hands it on in upper case.
  const settled = await run({ ...env, VSTS_TASKVARIABLE_SLOTWAYSTARTED: 'true', STAND_IN_EXIT: '1' }, SETTLE);
  assert.deepEqual(standIn(settled).arguments, ['settle']);
  assert.equal(settled.code, 0);
  assert.ok(settled.stdout.endsWith('##vso[task.complete result=Failed;]\n'));
  assert.ok(!settled.stdout.includes('settaskvariable'));
  const silent = await run(env, SETTLE);
  assert.deepEqual(silent, { stdout: '', stderr: '', code: 0 });
});

// Says each signal it gets; ends only at SIGTERM, so that the launcher has to wait for it.
const PATIENT = `#!${process.execPath}
process.on('SIGINT', () => console.log('got SIGINT'));
process.on('SIGTERM', () => { console.log('got SIGTERM'); process.exit(3); });
setInterval(() => {}, 1000);
console.log('ready');
`;

test('signals reach the binary, and the launcher waits for its end', { skip: SKIP }, async (t) => {
  const { write, list, start } = place(t);
  write(PACKED, PATIENT, 0o755);
  list(PATIENT);
  for (const [env, code] of [[{ GITHUB_ACTIONS: 'true' }, 3], [{ TF_BUILD: 'True' }, 0]]) {
    const { child, end } = start(env);
    child.stdout.on('data', (chunk) => {
      const text = String(chunk);
      if (text.includes('ready')) child.kill('SIGINT');
      if (text.includes('got SIGINT')) child.kill('SIGTERM');
    });
    const ended = await end;
    assert.match(ended.stdout, /ready\ngot SIGINT\ngot SIGTERM\n/);
    assert.equal(ended.code, code);
    assert.equal(ended.stdout.includes('##vso[task.complete result=Failed;]'), env.TF_BUILD !== undefined);
  }
});

test('a binary that a signal killed counts as failed', { skip: SKIP }, async (t) => {
  const { write, list, run } = place(t);
  const dying = `#!${process.execPath}\nprocess.kill(process.pid, 'SIGKILL');\nsetInterval(() => {}, 1000);\n`;
  write(PACKED, dying, 0o755);
  list(dying);
  assert.equal((await run({ GITHUB_ACTIONS: 'true' })).code, 128 + 9);
  assert.ok((await run({ TF_BUILD: 'True' })).stdout.endsWith('##vso[task.complete result=Failed;]\n'));
});
