'use strict';
// What the launcher says to the host: an error, how the step ended, and a word for its post hook.
// Everything else that a host is told comes from the binary.

const fs = require('fs');

/** What runs us. A GitHub job never has TF_BUILD. */
function detect(env) {
  if (env.TF_BUILD) return 'azure-pipelines';
  return env.GITHUB_ACTIONS === 'true' ? 'github' : 'terminal';
}

/**
 * One line in which no host finds a command, by the rules of src/text.rs: control and hidden characters go,
 * a space parts what would begin a command (`##[`, `##v`, `::`), and nothing beyond ASCII stands right behind
 * a `#` or `:`, for the hosts pass over what has no weight. tests/it/launcher.rs holds it to the hosts' rules.
 */
function plain(text) {
  return String(text)
    .replace(/[\t\n\r]/g, ' ')
    .replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Default_Ignorable_Code_Point}\u2028\u2029]/gu, '')
    .replace(/##(?=[[vV])|:(?=:)|[#:](?=[^\x00-\x7f])/g, '$& ');
}

/** Says one line. */
function say(text) {
  console.log(plain(text));
}

/** Says an error in the host's own form (encodings: runner ActionCommand.cs, task-lib taskcommand.ts). */
function sayError(kind, message) {
  const text = plain(message);
  if (kind === 'github') console.log(`::error title=Slotway did not start::${text.replace(/%/g, '%25')}`);
  else if (kind === 'azure-pipelines') console.log(`##vso[task.logissue type=error;]${text.replace(/%/g, '%AZP25')}`);
  else console.error(`error: ${text}`);
}

/** Tells the host how the step ended. The agent takes every exit code but 0 for a broken agent. */
function conclude(kind, code) {
  if (kind !== 'azure-pipelines') {
    process.exitCode = code;
    return;
  }
  // The agent keeps the worst of several results, so the binary may say SucceededWithIssues before
  // (azure-pipelines-agent TaskCommandExtension.cs, MergeTaskResults).
  console.log(`##vso[task.complete result=${code === 0 ? 'Succeeded' : 'Failed'};]`);
  process.exitCode = 0;
}

/**
 * Keeps a word for the post hook of this same step, the last one counts
 * (runner FileCommandManager.cs SaveStateFileCommand; agent TaskCommandExtension.cs TaskSetTaskVariableCommand).
 */
function remember(kind, word, env) {
  if (kind === 'github' && env.GITHUB_STATE) fs.appendFileSync(env.GITHUB_STATE, `slotway=${word}\n`);
  else if (kind === 'azure-pipelines') console.log(`##vso[task.settaskvariable variable=slotway;]${word}`);
}

/** The word that the step kept; nothing if it did not begin. */
function remembered(kind, env) {
  return kind === 'github' ? env.STATE_slotway : env.VSTS_TASKVARIABLE_SLOTWAY;
}

module.exports = { detect, plain, say, sayError, conclude, remember, remembered };
