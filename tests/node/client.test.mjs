// `vscode-jsonrpc`, unmodified, against `tramline serve-json --stdio` as a child process.
//
// `cargo xtask node` installs what package-lock.json names, under target/, and runs this file there.
// TRAMLINE is the program, FOLDER the folder that it serves.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import test from 'node:test';
import rpc from 'vscode-jsonrpc/node';

const PROGRAM = process.env.TRAMLINE;
const FOLDER = process.env.FOLDER;
/** Far longer than anything here takes: it turns a hang into a failure. */
const PATIENCE = { timeout: 60_000 };

/** A test with a connection to a server of its own, which has to end well. */
function check(name, use) {
  test(name, PATIENCE, (t) => connected(t.signal, use));
}

async function connected(aborted, use) {
  const child = spawn(PROGRAM, ['serve-json', '--stdio', FOLDER], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  // Also when `use` waits for ever.
  aborted.addEventListener('abort', () => child.kill());
  const exited = once(child, 'exit');
  const faults = [];
  const connection = rpc.createMessageConnection(
    new rpc.StreamMessageReader(child.stdout),
    new rpc.StreamMessageWriter(child.stdin),
  );
  connection.onError(([error]) => faults.push(error));
  try {
    await use(connection);
    connection.end();
    child.stdin.end();
    assert.deepEqual(await exited, [0, null]);
    assert.deepEqual(faults, []);
  } finally {
    connection.dispose();
    child.kill();
  }
}

/** The next notification of this name. */
function next(connection, name) {
  return new Promise((resolve) => {
    const listener = connection.onNotification(name, (...params) => {
      listener.dispose();
      resolve(params);
    });
  });
}

check('calls by name and by position give the same result', async (connection) => {
  connection.listen();
  const named = await connection.sendRequest('digest', { path: 'README.md' });
  const positional = await connection.sendRequest('digest', 'README.md');
  assert.match(named.blake3, /^[0-9a-f]{64}$/);
  assert.deepEqual(named, positional);
  const byPosition = rpc.ParameterStructures.byPosition;
  const echo = await connection.sendRequest('echo', byPosition, 7, [0, 128, 255]);
  assert.deepEqual(echo, { id: 7, data: [0, 128, 255] });
  const typed = new rpc.RequestType('digest');
  assert.deepEqual(await connection.sendRequest(typed, { path: 'README.md' }), named);
});

check('many calls at once are all answered', async (connection) => {
  connection.listen();
  const calls = Array.from({ length: 500 }, (_, id) =>
    connection.sendRequest('echo', { id, data: [id % 256] }),
  );
  const answers = await Promise.all(calls);
  assert.deepEqual(answers.map((answer) => answer.id), answers.map((_, id) => id));
  assert.equal(connection.hasPendingResponse(), false);
});

check('raw bytes arrive as numbers', async (connection) => {
  connection.listen();
  const bytes = await connection.sendRequest('read_file', { path: 'README.md' });
  assert.equal(String.fromCharCode(...bytes.slice(0, 10)), '# tramline');
});

check('errors have their number, their fixed code and their value', async (connection) => {
  connection.listen();
  const refused = async (method, ...params) => {
    const error = await connection.sendRequest(method, ...params).then(assert.fail, (e) => e);
    assert.ok(error instanceof rpc.ResponseError, String(error));
    return error;
  };
  const denied = await refused('format_disk');
  assert.deepEqual([denied.code, denied.data.code], [-32010, 'capability-denied']);
  const unknown = await refused('$/nothing');
  assert.equal(unknown.code, rpc.ErrorCodes.MethodNotFound);
  const missing = await refused('digest');
  assert.deepEqual([missing.code, missing.data.path], [rpc.ErrorCodes.InvalidParams, 'path']);
  const failed = await refused('digest', { path: '../outside' });
  assert.deepEqual([failed.code, failed.data.value.code], [-32000, 'outside']);
});

check('events arrive as notifications, in order', async (connection) => {
  const numbers = [];
  connection.onNotification('tick', ({ number }) => numbers.push(number));
  connection.listen();
  const done = next(connection, 'ticks-done');
  const emitted = await connection.sendRequest('emit_ticks', { count: 1000, maxMs: 60_000 });
  assert.deepEqual(await done, [1000]);
  assert.equal(emitted, 1000);
  assert.deepEqual(numbers, numbers.map((_, number) => number));
  assert.equal(numbers.length, 1000);
});

check('a client that chose its events is told of no others', async (connection) => {
  const others = [];
  connection.onUnhandledNotification((message) => others.push(message.method));
  connection.listen();
  await connection.sendNotification('$/listen', { event: 'ticks-done' });
  const done = next(connection, 'ticks-done');
  await connection.sendRequest('emit_ticks', { count: 10, maxMs: 60_000 });
  assert.deepEqual(await done, [10]);
  assert.deepEqual(others, []);
});

check('a notification of a command runs it without an answer', async (connection) => {
  connection.listen();
  const done = next(connection, 'ticks-done');
  await connection.sendNotification('emit_ticks', { count: 3, maxMs: 60_000 });
  assert.deepEqual(await done, [3]);
  await connection.sendNotification('no-such-event', 1, 2);
  assert.equal((await connection.sendRequest('echo', { id: 1, data: [] })).id, 1);
});

check('a cancelled request is rejected, and the connection goes on', async (connection) => {
  const ticking = new Promise((resolve) => connection.onNotification('tick', resolve));
  connection.listen();
  const cancel = new rpc.CancellationTokenSource();
  const args = { count: Number.MAX_SAFE_INTEGER, maxMs: 500 };
  const call = connection.sendRequest('emit_ticks', args, cancel.token);
  await ticking;
  cancel.cancel();
  const error = await call.then(assert.fail, (e) => e);
  assert.deepEqual([error.code, error.data.code], [-32800, 'request-cancelled']);
  assert.equal((await connection.sendRequest('echo', { id: 2, data: [] })).id, 2);
});

check('progress and trace do no harm, and the server tells what it does', async (connection) => {
  const told = [];
  connection.listen();
  const tracer = { log: (message) => told.push(message) };
  await connection.trace(rpc.Trace.Verbose, tracer, { sendNotification: true });
  const progress = new rpc.ProgressType();
  await connection.sendProgress(progress, 'token', { percentage: 50 });
  await connection.sendProgress(progress, 7, [1, 2]);
  await connection.sendRequest('echo', { id: 3, data: [] });
  assert.ok(told.some((message) => message.startsWith('Received request echo')), told.join('\n'));
});
