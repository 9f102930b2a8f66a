// @azure/arm-appservice and @azure/identity: one line of JSON for each check. node_sdk.py starts it in a folder where
// client.mjs holds the lines of --print-env and ready.json says where everything is.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";

import { ClientSecretCredential } from "@azure/identity";

import { client, manager } from "./client.mjs";

const ready = JSON.parse(readFileSync("ready.json", "utf8"));
const group = ready.resource_group;
const app = ready.app_name;
const web = client.webApps;
const toProduction = { targetSlot: "production", preserveVnet: true };

async function check(name, body) {
  const begun = performance.now();
  let problem = null;
  try {
    await body();
  } catch (error) {
    problem = error.stack ?? String(error);
  }
  console.log(JSON.stringify({ name, seconds: (performance.now() - begun) / 1000, problem }));
}

async function world() {
  const answer = await fetch(`${ready.control}world`);
  return answer.json();
}

async function slot(name) {
  return (await world()).sites[app].slots[name];
}

async function contents() {
  const { slots } = (await world()).sites[app];
  return [slots.production.content, slots.staging.content];
}

async function all(pages) {
  const found = [];
  for await (const one of pages) found.push(one);
  return found;
}

async function fails(promise, statusCode, code) {
  await assert.rejects(promise, (error) => {
    assert.equal(error.name, "RestError");
    assert.deepEqual([error.statusCode, error.code], [statusCode, code]);
    return true;
  });
}

await check("node.print-env", async () => {
  assert.equal(manager, ready.resource_manager);
  assert.deepEqual((await all(web.list())).map((site) => site.name), [app]);
});

await check("node.get-list", async () => {
  const site = await web.get(group, app);
  assert.deepEqual([site.name, site.state], [app, "Running"]);
  assert.equal(`https://${site.defaultHostName}`, ready.slots.production.url);
  assert.deepEqual((await all(web.listByResourceGroup(group))).map((one) => one.name), [app]);
  assert.deepEqual((await all(web.listSlots(group, app))).map((one) => one.name), [`${app}/staging`]);
});

await check("node.slot-life-cycle", async () => {
  const { location, serverFarmId } = await web.get(group, app);
  const wanted = { location, serverFarmId, siteConfig: { alwaysOn: true } };
  const made = await web.createOrUpdateSlot(group, app, "canary", wanted);
  assert.equal(made.name, `${app}/canary`);
  assert.equal((await web.getConfigurationSlot(group, app, "canary")).alwaysOn, true);
  await web.stopSlot(group, app, "canary");
  assert.equal((await slot("canary")).state, "stopped");
  await web.startSlot(group, app, "canary");
  await web.restartSlot(group, app, "canary");
  await web.deleteSlot(group, app, "canary");
  await fails(web.getSlot(group, app, "canary"), 404, "ResourceNotFound");
});

await check("node.settings", async () => {
  const listed = await web.listApplicationSettingsSlot(group, app, "staging");
  listed.properties.NEW = "1";
  const written = await web.updateApplicationSettingsSlot(group, app, "staging", listed);
  assert.deepEqual(written.properties, { NEW: "1", ROLE: "staging" });
  assert.equal((await slot("staging")).app_settings.NEW, "1");
  const names = await web.updateSlotConfigurationNames(group, app, { appSettingNames: ["ROLE"] });
  assert.deepEqual(names.appSettingNames, ["ROLE"]);
  const strings = { properties: { DB: { value: "Server=x", type: "SQLAzure" } } };
  await web.updateConnectionStringsSlot(group, app, "staging", strings);
  assert.deepEqual((await web.listConnectionStringsSlot(group, app, "staging")).properties, strings.properties);
});

await check("node.differences", async () => {
  const found = await all(web.listSlotDifferencesSlot(group, app, "staging", toProduction));
  const names = found.map((one) => one.settingName);
  assert.ok(names.includes("COLOUR") && names.includes("NEW"), names.join());
});

await check("node.swap", async () => {
  const before = await contents();
  await web.swapSlot(group, app, "staging", toProduction);
  assert.deepEqual(await contents(), before.toReversed());
  const { slotSwapStatus } = await web.get(group, app);
  assert.deepEqual([slotSwapStatus.sourceSlotName, slotSwapStatus.destinationSlotName], ["staging", "Production"]);
  assert.ok(slotSwapStatus.timestampUtc instanceof Date && !Number.isNaN(slotSwapStatus.timestampUtc.getTime()));
  assert.equal((await slot("production")).app_settings.ROLE, "production");
});

await check("node.swap-with-production", async () => {
  const before = await contents();
  await web.swapSlotWithProduction(group, app, { targetSlot: "staging", preserveVnet: true });
  assert.deepEqual(await contents(), before.toReversed());
});

await check("node.preview-reset", async () => {
  await web.applySlotConfigurationSlot(group, app, "staging", toProduction);
  assert.equal((await web.get(group, app)).targetSwapSlot, "staging");
  await web.resetSlotConfigurationSlot(group, app, "staging");
  assert.ok(!(await web.get(group, app)).targetSwapSlot);
});

await check("node.deployments-instances", async () => {
  const records = await all(web.listDeployments(group, app));
  assert.deepEqual(records.filter((one) => one.active).map((one) => one.status), [4]);
  assert.equal((await all(web.listInstanceIdentifiersSlot(group, app, "staging"))).length, 2);
  const user = await web.listPublishingCredentialsSlot(group, app, "staging");
  assert.equal(user.publishingUserName, "REDACTED");
});

await check("node.error-types", async () => {
  await fails(web.get(group, "nobody"), 404, "ResourceNotFound");
  await fails(web.swapSlot(group, app, "nobody", toProduction), 404, "ResourceNotFound");
  await web.applySlotConfigurationSlot(group, app, "staging", toProduction);
  const write = web.updateApplicationSettingsSlot(group, app, "staging", { properties: {} });
  await fails(write, 409, undefined);
  await web.resetSlotConfigurationSlot(group, app, "staging");
});

await check("node.error-wrong-secret", async () => {
  const credential = new ClientSecretCredential(ready.tenant_id, ready.client_id, "wrong", {
    authorityHost: ready.authority,
    disableInstanceDiscovery: true,
  });
  await assert.rejects(credential.getToken(`${manager}.default`), /AADSTS7000215/);
});
