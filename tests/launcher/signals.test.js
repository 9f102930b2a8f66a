'use strict';
// The signals of a cancelled step.

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { place, TARGET, SKIP } = require('./place');

const PACKED = `bin/${TARGET}/slotway`;

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
