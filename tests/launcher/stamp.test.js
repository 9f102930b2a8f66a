'use strict';
// What a release writes is what the launcher accepts.

const assert = require('node:assert/strict');
const childProcess = require('child_process');
const fs = require('fs');
const path = require('path');
const { test } = require('node:test');
const { stamp, TARGETS } = require('../../dist/stamp');
const { place, standIn, sha256, REPORT, TARGET, SKIP } = require('./place');

const ROOT = path.join(__dirname, '..', '..');
const VERSION = JSON.parse(fs.readFileSync(path.join(ROOT, 'vss-extension.json'), 'utf8')).version;

/** A copy of what a release rewrites, and a folder with a binary for each target. */
function release(t) {
  const here = place(t);
  for (const name of ['Cargo.toml', 'task.json', 'vss-extension.json']) fs.copyFileSync(path.join(ROOT, name), here.at(name));
  for (const asset of Object.values(TARGETS)) here.write(`binaries/${asset}`, asset === TARGETS[TARGET] ? REPORT : asset);
  return here;
}

test('a stamped version runs its packed binary', { skip: SKIP }, async (t) => {
  const { at, run } = release(t);
  const manifest = stamp(at(), VERSION, 'https://example.test/slotway', at('binaries'));
  assert.equal(manifest.release, `https://example.test/slotway/releases/download/v${VERSION}`);
  assert.deepEqual(JSON.parse(fs.readFileSync(at('dist/manifest.json'), 'utf8')), manifest);
  assert.deepEqual(manifest.binaries[TARGET], { asset: TARGETS[TARGET], sha256: sha256(REPORT), size: REPORT.length });
  assert.deepEqual(standIn(await run({})).arguments, ['run']);
});

test('the checksums are in the form that sha256sum checks', { skip: SKIP || process.platform === 'darwin' }, (t) => {
  const { at } = release(t);
  stamp(at(), VERSION, 'https://example.test/slotway', at('binaries'));
  const checked = childProcess.spawnSync('sha256sum', ['--check', 'SHA256SUMS'], { cwd: at('binaries') });
  assert.equal(checked.status, 0, String(checked.stdout));
  assert.equal(String(checked.stdout).trim().split('\n').length, Object.keys(TARGETS).length);
});

test('stamping the version that stands changes nothing but the manifest', (t) => {
  const { at } = release(t);
  stamp(at(), VERSION, 'https://example.test/slotway', at('binaries'));
  for (const name of ['task.json', 'vss-extension.json']) {
    assert.equal(fs.readFileSync(at(name), 'utf8'), fs.readFileSync(path.join(ROOT, name), 'utf8'));
  }
});

test('another version, a missing and an empty binary are refused', (t) => {
  const { at, write } = release(t);
  const stamping = (version) => () => stamp(at(), version, 'https://example.test/slotway', at('binaries'));
  assert.throws(stamping('9.9.9'), /Cargo\.toml says .*, not 9\.9\.9/);
  assert.throws(stamping('v1'), /not a version like 1\.2\.3/);
  write('binaries/slotway-linux-arm64', '');
  assert.throws(stamping(VERSION), /slotway-linux-arm64 has 0 bytes/);
  fs.rmSync(at('binaries/slotway-linux-arm64'));
  assert.throws(stamping(VERSION), /ENOENT.*slotway-linux-arm64/);
  assert.deepEqual(JSON.parse(fs.readFileSync(at('dist/manifest.json'), 'utf8')).binaries, {});
});
