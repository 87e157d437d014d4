// A page as a unit test has it: without a core, with the mocks of @tauri-apps/api. It lives in a frame.
import { invoke, Channel } from '/npm/@tauri-apps/api/core.js'
import { emit, listen } from '/npm/@tauri-apps/api/event.js'
import { clearMocks, mockIPC, mockWindows } from '/npm/@tauri-apps/api/mocks.js'
import { getCurrentWindow } from '/npm/@tauri-apps/api/window.js'

const caught = (promise) => promise.then((value) => ({ value }), (error) => ({ error: String(error) }))

const found = { 'internals before': '__TAURI_INTERNALS__' in window }
try {
  const calls = []
  mockWindows('pretended')
  mockIPC((command, args) => {
    calls.push([command, Object.keys(args ?? {})])
    if (command === 'add') return args.a + args.b
    if (command === 'refuse') throw new Error('no')
    if (command === 'stream') for (let i = 0; i < 3; i++) window.__TAURI_INTERNALS__.runCallback(args.channel.id, { index: i, message: i })
  }, { shouldMockEvents: true })
  found.label = getCurrentWindow().label
  found.value = await invoke('add', { a: 1, b: 2 })
  found.error = await caught(invoke('refuse'))
  const heard = []
  const stop = await listen('mocked', (e) => heard.push(e.payload))
  await emit('mocked', 'x')
  await stop()
  await emit('mocked', 'y')
  found.heard = heard
  const messages = []
  await invoke('stream', { channel: new Channel((m) => messages.push(m)) })
  found.messages = messages
  found.calls = calls
  clearMocks()
  found['after they are cleared'] = await caught(Promise.resolve().then(() => invoke('add', { a: 1, b: 2 }))).then((x) => Object.keys(x))
} catch (e) {
  found.threw = String(e)
}
parent.postMessage({ mocked: found }, location.origin)
