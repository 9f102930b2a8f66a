'use strict';
// Release time only: writes what a version's binaries are into dist/manifest.json, their
// checksums beside them, and its number into task.json and vss-extension.json.
//
//   node dist/stamp.js 1.2.3 https://github.com/slotway/slotway folder-with-binaries
//
// The folder holds one file for each target, named as in TARGETS. The version must be Cargo.toml's.

const crypto = require('crypto');
const fs = require('fs');
const path = require('path');

const ROOT = path.join(__dirname, '..');
const TARGETS = {
  'linux-x64': 'slotway-linux-x64',
  'linux-arm64': 'slotway-linux-arm64',
  'macos-x64': 'slotway-macos-x64',
  'macos-arm64': 'slotway-macos-arm64',
  'windows-x64': 'slotway-windows-x64.exe',
};
// A task package with all five must stay under 19 MB (azure-pipelines §9), and stripped binaries pack to about 40 %.
const LARGEST = 10 * 1000 * 1000;

/** The manifest's entry for each target; every binary must be there. */
function describe(folder) {
  const binaries = {};
  for (const [target, asset] of Object.entries(TARGETS)) {
    const content = fs.readFileSync(path.join(folder, asset));
    if (content.length === 0 || content.length > LARGEST) {
      throw new Error(`${asset} has ${content.length} bytes; the limit is ${LARGEST}`);
    }
    binaries[target] = { asset, sha256: crypto.createHash('sha256').update(content).digest('hex'), size: content.length };
  }
  return binaries;
}

/** Writes everything below `root`; gives the manifest. */
function stamp(root, version, repository, folder) {
  const parts = /^(\d+)\.(\d+)\.(\d+)$/.exec(version);
  if (!parts) throw new Error(`${version} is not a version like 1.2.3`);
  const cargo = /^version = "(.*)"$/m.exec(fs.readFileSync(path.join(root, 'Cargo.toml'), 'utf8'));
  if (!cargo || cargo[1] !== version) throw new Error(`Cargo.toml says ${cargo && cargo[1]}, not ${version}`);
  const binaries = describe(folder);
  const manifest = { version, release: `${repository}/releases/download/v${version}`, binaries };
  write(root, 'dist/manifest.json', () => manifest);
  write(root, 'task.json', (task) => {
    const [Major, Minor, Patch] = parts.slice(1).map(Number);
    return { ...task, version: { Major, Minor, Patch } };
  });
  write(root, 'vss-extension.json', (extension) => ({ ...extension, version }));
  const sums = Object.values(binaries).map(({ asset, sha256 }) => `${sha256}  ${asset}\n`);
  fs.writeFileSync(path.join(folder, 'SHA256SUMS'), sums.join(''));
  for (const [target, { asset }] of Object.entries(binaries)) {
    const packed = path.join(root, 'bin', target, asset.endsWith('.exe') ? 'slotway.exe' : 'slotway');
    fs.mkdirSync(path.dirname(packed), { recursive: true });
    fs.copyFileSync(path.join(folder, asset), packed);
    fs.chmodSync(packed, 0o755);
  }
  return manifest;
}

function write(root, name, change) {
  const file = path.join(root, name);
  const content = change(JSON.parse(fs.readFileSync(file, 'utf8')));
  fs.writeFileSync(file, `${JSON.stringify(content, null, 2)}\n`);
}

module.exports = { stamp, TARGETS };
if (require.main === module) stamp(ROOT, ...process.argv.slice(2, 5));
