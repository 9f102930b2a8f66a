'use strict';
// Which binary is run, what it is given, and what the host is told.

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { place, standIn, REPORT, TARGET, SKIP } = require('./place');

const GITHUB = { GITHUB_ACTIONS: 'true' };
const AZURE = { TF_BUILD: 'True' };
const PACKED = `bin/${TARGET}/slotway`;

test('the binary gets the environment as it is', { skip: SKIP }, async (t) => {
  const { write, list, run } = place(t);
  write(PACKED, REPORT, 0o755);
  list(REPORT);
  const env = {
    ...GITHUB,
    'INPUT_APP-NAME': 'contoso',
    INPUT_CLEAN: '',
    'INPUT_CLIENT-SECRET': ' with $pecial "characters"\nand a line ',
    ENDPOINT_AUTH_PARAMETER_a1b2_SERVICEPRINCIPALKEY: 'key',
    SECRET_THING: 'hidden',
    ACTIONS_ID_TOKEN_REQUEST_URL: 'https://example.test/?a=b',
  };
  const ended = await run(env);
  assert.equal(ended.code, 0);
  const given = standIn(ended);
  assert.deepEqual(given.arguments, ['run']);
  // macOS adds one variable of its own to every process.
  delete given.environment.__CF_USER_TEXT_ENCODING;
  assert.deepEqual(given.environment, env);
});

test('GitHub and a terminal get the exit code of the binary', { skip: SKIP }, async (t) => {
  const { write, list, run } = place(t);
  write(PACKED, REPORT, 0o755);
  list(REPORT);
  for (const host of [GITHUB, {}]) {
    for (const code of [0, 1, 2, 3, 4, 5]) {
      const ended = await run({ ...host, STAND_IN_EXIT: String(code) });
      assert.equal(ended.code, code);
      assert.ok(!ended.stdout.includes('task.complete'));
    }
  }
});

test('Azure Pipelines gets a result and always the exit code 0', { skip: SKIP }, async (t) => {
  const { write, list, run } = place(t);
  write(PACKED, REPORT, 0o755);
  list(REPORT);
  for (const code of [0, 1, 2, 3, 4, 5]) {
    const ended = await run({ ...AZURE, STAND_IN_EXIT: String(code) });
    assert.equal(ended.code, 0);
    const last = ended.stdout.trimEnd().split('\n').pop();
    assert.equal(last, `##vso[task.complete result=${code === 0 ? 'Succeeded' : 'Failed'};]`);
  }
});

test('a binary without its executable bit is given it', { skip: SKIP }, async (t) => {
  const { write, list, run } = place(t);
  write(PACKED, REPORT, 0o644);
  list(REPORT);
  assert.ok(standIn(await run(GITHUB)));
});

test('a wrong checksum stops the step before anything runs', { skip: SKIP }, async (t) => {
  const { write, list, run } = place(t);
  write(PACKED, REPORT, 0o755);
  list(`${REPORT}// as it was released\n`);
  const github = await run(GITHUB);
  assert.equal(github.code, 1);
  assert.match(github.stdout, /^::error title=Slotway did not start::The checksum of .*slotway is wrong, so it was not run\. /);
  const azure = await run(AZURE);
  assert.equal(azure.code, 0);
  assert.match(azure.stdout, /^##vso\[task\.logissue type=error;\]The checksum of .*\n##vso\[task\.complete result=Failed;\]\n$/);
  const terminal = await run({});
  assert.equal(terminal.code, 1);
  assert.match(terminal.stderr, /^error: The checksum of /);
  assert.equal(terminal.stdout, '');
  for (const ended of [github, azure, terminal]) assert.equal(standIn(ended), null);
});

test('an unknown system is named, with those that are known', async (t) => {
  const { write, list, run } = place(t);
  const preload = write('other-system.js', "Object.defineProperty(process, 'platform', { value: 'plan9' });");
  list(REPORT, 'linux-x64');
  const ended = await run(GITHUB, 'launch.js', ['--require', preload]);
  assert.equal(ended.code, 1);
  assert.match(ended.stdout, new RegExp(`There is no binary for plan9-${process.arch}, only for linux-x64\\. Build slotway`));
});

test('a development version says that it has no binaries', async (t) => {
  const { run } = place(t);
  const ended = await run(GITHUB);
  assert.equal(ended.code, 1);
  assert.match(ended.stdout, /^::error title=Slotway did not start::This is a development version without released binaries/);
});

test('a binary that is neither packed nor to be cached is an error', async (t) => {
  const { list, run } = place(t);
  list(REPORT);
  const ended = await run(AZURE);
  assert.equal(ended.code, 0);
  assert.match(ended.stdout, /not packed with this step, and there is no tool cache .*\n##vso\[task\.complete result=Failed;\]\n$/);
});

test('SLOTWAY_BINARY is run before any other, and said to be unverified', { skip: SKIP }, async (t) => {
  const { write, list, run } = place(t);
  write(PACKED, 'not this one', 0o755);
  list(REPORT);
  const own = write('own/slotway', REPORT, 0o755);
  const ended = await run({ ...GITHUB, SLOTWAY_BINARY: own });
  assert.equal(ended.code, 0);
  assert.match(ended.stdout, /^Running .*own\/slotway as SLOTWAY_BINARY says; its checksum is not verified\.\n/);
  assert.deepEqual(standIn(ended).arguments, ['run']);
});

test('a SLOTWAY_BINARY that is missing or cannot start is an error, without commands from its name', { skip: SKIP }, async (t) => {
  const { write, run } = place(t);
  const missing = await run({ ...AZURE, SLOTWAY_BINARY: '/nowhere/##vso[task.complete result=Succeeded;]' });
  assert.match(missing.stdout, /^##vso\[task\.logissue type=error;\]SLOTWAY_BINARY names \/nowhere\/## vso\[.* no such file\.\n/);
  assert.ok(missing.stdout.endsWith('##vso[task.complete result=Failed;]\n'));
  const text = write('notes.txt', 'not a program', 0o644);
  const broken = await run({ ...GITHUB, SLOTWAY_BINARY: text });
  assert.equal(broken.code, 1);
  assert.match(broken.stdout, /::error title=Slotway did not start::.*notes\.txt could not be started: spawn .* EACCES/);
});

test('the tool cache is used when its marker stands, and its content verified', { skip: SKIP }, async (t) => {
  const { at, write, list, run } = place(t);
  list(REPORT);
  write(`cache/slotway/1.2.3/${process.arch}/slotway`, REPORT, 0o755);
  write(`cache/slotway/1.2.3/${process.arch}.complete`, '');
  for (const name of ['RUNNER_TOOL_CACHE', 'AGENT_TOOLSDIRECTORY']) {
    const ended = await run({ [name]: at('cache') });
    assert.equal(ended.code, 0, ended.stderr);
    assert.ok(standIn(ended));
  }
  write(`cache/slotway/1.2.3/${process.arch}/slotway`, `${REPORT}// changed\n`);
  const ended = await run({ ...GITHUB, RUNNER_TOOL_CACHE: at('cache') });
  assert.match(ended.stdout, /^::error .*The checksum of .* is wrong/);
  assert.equal(standIn(ended), null);
});

test('the post hook settles what a step left open, and only that', { skip: SKIP }, async (t) => {
  const { at, write, list, run } = place(t);
  write(PACKED, REPORT, 0o755);
  list(REPORT);
  const hook = 'launcher/settle.js';
  for (const [open, closed] of [
    [{ ...GITHUB, STATE_slotway: 'open' }, { ...GITHUB, STATE_slotway: 'closed' }],
    [{ ...AZURE, VSTS_TASKVARIABLE_SLOTWAY: 'open' }, { ...AZURE, VSTS_TASKVARIABLE_SLOTWAY: 'closed' }],
  ]) {
    assert.deepEqual(standIn(await run(open, hook)).arguments, ['run', '--settle']);
    assert.deepEqual(await run(closed, hook), { stdout: '', stderr: '', code: 0 });
  }
  // A step that never began leaves no word.
  assert.equal(standIn(await run(GITHUB, hook)), null);
  assert.equal(standIn(await run(AZURE, hook)), null);

  const state = write('state', '');
  await run({ ...GITHUB, GITHUB_STATE: state });
  assert.equal(require('fs').readFileSync(at('state'), 'utf8'), 'slotway=open\nslotway=closed\n');
  const said = (await run(AZURE)).stdout;
  assert.match(said, /##vso\[task\.settaskvariable variable=slotway;\]open\n[^]*\]closed\n/);
});

test('a step whose binary was killed stays open', { skip: SKIP }, async (t) => {
  const { at, write, list, run } = place(t);
  const dying = `#!${process.execPath}\nprocess.kill(process.pid, 'SIGKILL');\nsetInterval(() => {}, 1000);\n`;
  write(PACKED, dying, 0o755);
  list(dying);
  await run({ ...GITHUB, GITHUB_STATE: write('state', '') });
  assert.equal(require('fs').readFileSync(at('state'), 'utf8'), 'slotway=open\n');
});
