'use strict';
// Packs the Azure Pipelines task as a release does, with a binary for each target, and looks at what came out:
// everything is in it, it is small enough, and the launcher in it starts its binary.
//
//   node tests/packaging/pack.js [a released binary for this system]
//
// Without a binary, stand-ins of the largest size that is allowed are packed. $TFX names tfx where npx is not to fetch it.

const assert = require('node:assert/strict');
const childProcess = require('child_process');
const crypto = require('crypto');
const fs = require('fs');
const os = require('os');
const path = require('path');
const zlib = require('zlib');
const { stamp, TARGETS } = require('../../dist/stamp');

const ROOT = path.join(__dirname, '..', '..');
const TFX = 'tfx-cli@0.23.1';
// Larger packages have been refused as malformed (tfs-cli issue 339).
const LARGEST = 19 * 1000 * 1000;
const STAND_IN = 9 * 1000 * 1000;
// A stripped binary deflates to about two fifths.
const RANDOM_SHARE = 0.4;
const SYSTEMS = { linux: 'linux', darwin: 'macos', win32: 'windows' };

/** Bytes that deflate about as a binary does. */
function standIn() {
  const block = 4096;
  const random = Math.round(block * RANDOM_SHARE);
  const blocks = Array.from({ length: STAND_IN / block }, () => Buffer.concat([crypto.randomBytes(random), Buffer.alloc(block - random)]));
  return Buffer.concat(blocks);
}

/** A copy of what is packed, stamped as a release. */
function prepare(folder, binary) {
  const names = JSON.parse(fs.readFileSync(path.join(ROOT, 'vss-extension.json'), 'utf8')).files.map((file) => file.path);
  const more = ['Cargo.toml', 'vss-extension.json', 'README.md', 'LICENSE', 'images'];
  for (const name of new Set([...names, ...more])) {
    fs.cpSync(path.join(ROOT, name), path.join(folder, name), { recursive: true });
  }
  const assets = path.join(folder, 'assets');
  fs.mkdirSync(assets);
  for (const asset of Object.values(TARGETS)) {
    fs.writeFileSync(path.join(assets, asset), binary ? fs.readFileSync(binary) : standIn());
  }
  const version = /^version = "(.*)"$/m.exec(fs.readFileSync(path.join(ROOT, 'Cargo.toml'), 'utf8'))[1];
  stamp(folder, version, 'https://example.test/slotway', assets);
  fs.rmSync(assets, { recursive: true });
}

/** Runs tfx; gives the package's path. */
function pack(folder) {
  const vsix = path.join(folder, 'slotway.vsix');
  const [command, first] = process.env.TFX ? [process.env.TFX, []] : ['npx', ['--yes', TFX]];
  const parameters = [...first, 'extension', 'create', '--no-prompt', '--manifest-globs', 'vss-extension.json', '--output-path', vsix];
  const ended = childProcess.spawnSync(command, parameters, { cwd: folder, encoding: 'utf8', shell: process.platform === 'win32' });
  assert.equal(ended.status, 0, `tfx: ${ended.error || ''}${ended.stdout}${ended.stderr}`);
  return vsix;
}

/** The files of a zip archive, by its central directory. */
function unpack(archive) {
  const files = new Map();
  let end = archive.length - 22;
  while (archive.readUInt32LE(end) !== 0x06054b50) end -= 1;
  let at = archive.readUInt32LE(end + 16);
  for (let left = archive.readUInt16LE(end + 10); left > 0; left -= 1) {
    const [method, size, nameLength] = [archive.readUInt16LE(at + 10), archive.readUInt32LE(at + 20), archive.readUInt16LE(at + 28)];
    const name = archive.toString('utf8', at + 46, at + 46 + nameLength);
    const header = archive.readUInt32LE(at + 42);
    const from = header + 30 + archive.readUInt16LE(header + 26) + archive.readUInt16LE(header + 28);
    const packed = archive.subarray(from, from + size);
    files.set(name, { packed: size, content: method === 0 ? packed : zlib.inflateRawSync(packed) });
    at += 46 + nameLength + archive.readUInt16LE(at + 30) + archive.readUInt16LE(at + 32);
  }
  return files;
}

/** The launcher of the package runs the binary of the package: without inputs that ends in an error of its own. */
function start(files, folder) {
  for (const [name, { content }] of files) {
    if (!name.startsWith('slotway/') || name.endsWith('/')) continue;
    fs.mkdirSync(path.dirname(path.join(folder, name)), { recursive: true });
    // Without the executable bit, which a zip archive forgets.
    fs.writeFileSync(path.join(folder, name), content, { mode: 0o644 });
  }
  const env = { PATH: process.env.PATH, TF_BUILD: 'True', INPUT_COMMAND: 'release' };
  const launcher = path.join(folder, 'slotway', 'launch.js');
  const ended = childProcess.spawnSync(process.execPath, [launcher], { cwd: folder, env, encoding: 'utf8' });
  assert.equal(ended.status, 0, ended.stdout + ended.stderr);
  assert.match(ended.stdout, /##vso\[task\.logissue type=error;\]slotway release: .*appName/);
  assert.match(ended.stdout, /##vso\[task\.complete result=Failed;\]/);
}

const binary = process.argv[2];
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'slotway-pack-'));
try {
  prepare(folder, binary);
  const archive = fs.readFileSync(pack(folder));
  const files = unpack(archive);
  for (const name of ['task.json', 'icon.png', 'launch.js', 'launcher/host.js', 'launcher/download.js', 'launcher/settle.js', 'dist/manifest.json']) {
    assert.ok(files.has(`slotway/${name}`), `${name} is packed`);
  }
  const manifest = JSON.parse(files.get('slotway/dist/manifest.json').content);
  for (const [target, { sha256 }] of Object.entries(manifest.binaries)) {
    const name = `slotway/bin/${target}/slotway${target.startsWith('windows') ? '.exe' : ''}`;
    const { content, packed } = files.get(name);
    assert.equal(crypto.createHash('sha256').update(content).digest('hex'), sha256, name);
    console.log(`${name}: ${content.length} bytes, packed ${packed}`);
  }
  console.log(`${archive.length} bytes in all, ${LARGEST} allowed`);
  assert.ok(archive.length < LARGEST, 'the package is small enough');
  const here = `${SYSTEMS[process.platform]}-${process.arch}`;
  if (binary && manifest.binaries[here]) start(files, path.join(folder, 'unpacked'));
} finally {
  fs.rmSync(folder, { recursive: true, force: true });
}
