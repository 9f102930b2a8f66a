'use strict';
// Downloads one file over https: redirects only to https, never more bytes than announced,
// through the proxy that the host names. What was downloaded is for the caller to verify.

const http = require('http');
const https = require('https');
const tls = require('tls');

const REDIRECTS = 5;
const TRIES = 3;
const PAUSE = 2 * 1000;
const IDLE = 30 * 1000;
const TOTAL = 5 * 60 * 1000;
// What another try may mend; anything else, a bad certificate above all, it would only repeat.
const PASSING = ['ECONNRESET', 'ECONNREFUSED', 'ETIMEDOUT', 'EPIPE', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH'];

/** The file at `url`, which must have `size` bytes; tries again where that may help. */
async function download(url, size, env) {
  const deadline = Date.now() + TOTAL;
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await read(await open(url, env, REDIRECTS), size, deadline);
    } catch (error) {
      if (!PASSING.includes(error.code) || attempt === TRIES || Date.now() > deadline) {
        throw new Error(`Could not download ${url}: ${error.message}. Set SLOTWAY_BINARY if this machine cannot reach it.`);
      }
      await new Promise((resolve) => setTimeout(resolve, PAUSE * attempt));
    }
  }
}

/** An error that another try may mend. */
function passing(message) {
  return Object.assign(new Error(message), { code: 'ETIMEDOUT' });
}

/** The response with the file's content. */
async function open(url, env, redirects) {
  const target = new URL(url);
  if (target.protocol !== 'https:') throw new Error(`${target.protocol}//${target.host} is not https`);
  const proxy = proxyFor(target.hostname, env);
  const response = await get(target, proxy && await tunnel(target, proxy));
  const status = response.statusCode;
  if (status === 200) return response;
  response.resume();
  if (status >= 300 && status < 400 && response.headers.location) {
    if (redirects === 0) throw new Error('too many redirects');
    return open(new URL(response.headers.location, target).href, env, redirects - 1);
  }
  const message = `the server answered ${status}`;
  throw status === 429 || status >= 500 ? passing(message) : new Error(message);
}

/** The answer; its connection ends with it, or it would keep this process alive after the binary. */
async function get(target, socket) {
  const options = { headers: { 'User-Agent': 'slotway-launcher' }, agent: false };
  if (socket) options.createConnection = () => tls.connect({ socket, servername: target.hostname });
  const response = await awaitEvent(https.get(target, options), 'response');
  if (socket) response.on('close', () => socket.destroy());
  return response;
}

/** The response's content, no byte more than its size. */
async function read(response, size, deadline) {
  const chunks = [];
  let received = 0;
  const timer = setTimeout(() => response.destroy(new Error('it took too long')), Math.max(0, deadline - Date.now()));
  try {
    for await (const chunk of response) {
      received += chunk.length;
      if (received > size) throw new Error(`it is longer than the ${size} bytes that dist/manifest.json names`);
      chunks.push(chunk);
    }
  } finally {
    clearTimeout(timer);
  }
  if (received < size) throw passing(`${received} of ${size} bytes arrived`);
  return Buffer.concat(chunks);
}

/** The proxy for a host, or null. Names: curl's, and the agent's (task-lib getHttpProxyConfiguration). */
function proxyFor(host, env) {
  const standard = env.https_proxy || env.HTTPS_PROXY;
  if (standard) {
    const names = (env.no_proxy || env.NO_PROXY || '').split(',').map((name) => name.trim()).filter(Boolean);
    const direct = names.some((name) => name === '*' || `.${host}`.endsWith(`.${name.replace(/^\*?\./, '')}`));
    return direct ? null : new URL(standard.includes('://') ? standard : `http://${standard}`);
  }
  if (!env.AGENT_PROXYURL) return null;
  const patterns = JSON.parse(env.AGENT_PROXYBYPASSLIST || '[]');
  if (patterns.some((pattern) => new RegExp(pattern, 'i').test(`https://${host}/`))) return null;
  const proxy = new URL(env.AGENT_PROXYURL);
  proxy.username = encodeURIComponent(env.AGENT_PROXYUSERNAME || '');
  proxy.password = encodeURIComponent(env.AGENT_PROXYPASSWORD || env.SECRET_AGENT_PROXYPASSWORD || '');
  return proxy;
}

/** A connection to the target through an http proxy. */
async function tunnel(target, proxy) {
  if (proxy.protocol !== 'http:') throw new Error(`the proxy ${proxy.protocol}//${proxy.host} is not an http proxy`);
  const authority = `${target.hostname}:${target.port || 443}`;
  const headers = { Host: authority };
  if (proxy.username) {
    const credentials = `${decodeURIComponent(proxy.username)}:${decodeURIComponent(proxy.password)}`;
    headers['Proxy-Authorization'] = `Basic ${Buffer.from(credentials).toString('base64')}`;
  }
  const request = http.request({
    host: proxy.hostname, port: proxy.port || 80, method: 'CONNECT', path: authority, headers, agent: false,
  });
  request.end();
  const response = await awaitEvent(request, 'connect');
  if (response.statusCode !== 200) {
    response.socket.destroy();
    throw new Error(`the proxy ${proxy.host} answered ${response.statusCode}`);
  }
  return response.socket;
}

/** The first answer to a request, or why there is none. */
function awaitEvent(request, event) {
  return new Promise((resolve, reject) => {
    request.setTimeout(IDLE, () => request.destroy(passing(`nothing came for ${IDLE / 1000} seconds`)));
    request.on('error', reject);
    request.on(event, resolve);
  });
}

module.exports = { download, proxyFor };
