// The same as cases.js for what a page imports from npm: plain modules, as they were published.
import * as all from '/npm/@tauri-apps/api/index.js'
import * as app from '/npm/@tauri-apps/api/app.js'
import { Channel, convertFileSrc, invoke, isTauri, Resource, SERIALIZE_TO_IPC_FN, transformCallback } from '/npm/@tauri-apps/api/core.js'
import { PhysicalSize } from '/npm/@tauri-apps/api/dpi.js'
import { emit, emitTo, listen, once, TauriEvent } from '/npm/@tauri-apps/api/event.js'
import { Image } from '/npm/@tauri-apps/api/image.js'
import { Menu } from '/npm/@tauri-apps/api/menu.js'
import { clearMocks, mockIPC } from '/npm/@tauri-apps/api/mocks.js'
import * as path from '/npm/@tauri-apps/api/path.js'
import { getCurrentWebview } from '/npm/@tauri-apps/api/webview.js'
import { getCurrentWebviewWindow, WebviewWindow } from '/npm/@tauri-apps/api/webviewWindow.js'
import { getAllWindows, getCurrentWindow, Window } from '/npm/@tauri-apps/api/window.js'

const caught = (promise) => promise.then((value) => ({ value }), (error) => ({ error: error instanceof Error ? String(error) : error }))
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
const filled = (len) => Uint8Array.from({ length: len }, (_, i) => (i * 31) & 255)
const sum = (buffer) => new Uint8Array(buffer).reduce((a, byte) => (a * 31 + byte) % 4294967291, buffer.byteLength)
// Collects until `count` have come.
const collect = (count) => {
  const got = []
  let done
  const full = new Promise((resolve) => (done = resolve))
  return { full: full.then(() => got), take: (x) => { got.push(x); if (got.length === count) done() } }
}
// What the kinds of listeners hear of what the kinds of senders emit.
const heardBy = async (listens, emits) => {
  const got = {}
  const stops = []
  for (const [name, start] of Object.entries(listens)) {
    got[name] = []
    stops.push(await start((e) => got[name].push(e.payload)))
  }
  for (const [name, send] of Object.entries(emits)) await send(name)
  await pause(300)
  for (const stop of stops) await stop()
  for (const send of Object.values(emits)) await send('after')
  await pause(100)
  for (const name in got) got[name].sort()
  return got
}

const window_ = getCurrentWindow()
const webview = getCurrentWebview()
const both = getCurrentWebviewWindow()

const cases = {
  'modules': () => Object.keys(all).sort(),
  'isTauri': () => isTauri(),
  'invoke: a value': () => invoke('echo', { value: { text: 'größer\u0000😀', list: [1, null, true] } }),
  'invoke: nothing': () => invoke('nothing').then((v) => [v]),
  'invoke: async': () => invoke('echo_later', { value: 7 }),
  'invoke: a text as error': () => caught(invoke('fail', { how: 'text' })),
  'invoke: an object as error': () => caught(invoke('fail', { how: 'object' })),
  'invoke: an async error': () => caught(invoke('fail_later')),
  'invoke: a missing command': () => caught(invoke('nobody')),
  'invoke: a missing plugin': () => caught(invoke('plugin:nobody|nothing')),
  'invoke: a missing command of a plugin': () => caught(invoke('plugin:window|nobody')),
  'invoke: a missing argument': () => caught(invoke('echo')),
  'invoke: refused by the capabilities': () => caught(window_.setTitle('another')),
  'invoke: refused, with a window of its own': () => new Promise((resolve) => {
    const other = new WebviewWindow('third', { url: 'index.html' })
    other.once('tauri://error', (e) => resolve(e.payload))
    other.once('tauri://created', () => resolve('created'))
  }),
  'invoke: an own conversion': () => invoke('echo', { value: { [SERIALIZE_TO_IPC_FN]: () => ['converted'] } }),
  'invoke: a size': () => invoke('echo', { value: new PhysicalSize(3, 4) }),
  'invoke: many at once': async () => {
    const got = await Promise.all(Array.from({ length: 300 }, (_, i) => invoke(i % 2 ? 'echo' : 'echo_later', { value: i })))
    return got.every((x, i) => x === i) && got.length
  },
  'headers: an object': () => invoke('headers', {}, { headers: { 'X-One': '1', 'x-two': 'zwei' } }),
  'headers: of the web': () => invoke('headers', {}, { headers: new Headers([['x-a', 'b'], ['x-a', 'c']]) }),
  'headers: with bytes': () => invoke('headers', filled(3), { headers: { 'x-len': '3' } }),
  'raw: put': async () => {
    const got = []
    for (const len of [0, 1, 5000, 70000, 2 << 20]) got.push(await invoke('raw_put', filled(len)))
    return got
  },
  'raw: put a buffer': () => invoke('raw_put', filled(999).buffer),
  'raw: get': async () => {
    const got = []
    for (const len of [0, 1, 5000, 70000, 2 << 20]) {
      const bytes = await invoke('raw_get', { len })
      got.push([bytes instanceof ArrayBuffer, sum(bytes)])
    }
    return got
  },
  'raw: there and back': async () => sum(await invoke('raw_echo', filled(123456))),
  'channel: JSON, in order': async () => {
    const { full, take } = collect(400)
    await invoke('stream', { channel: new Channel(take), count: 400, len: 30 })
    const got = await full
    return [got.every((m, i) => m.index === i), got.at(-1)]
  },
  'channel: a handler set later': async () => {
    const { full, take } = collect(5)
    const channel = new Channel()
    channel.onmessage = take
    await invoke('stream', { channel, count: 5, len: 3 })
    return full
  },
  'channel: bytes': async () => {
    const { full, take } = collect(12)
    const channel = new Channel((m) => take([m instanceof ArrayBuffer, sum(m)]))
    await invoke('stream_raw', { channel, lens: [0, 5, 5000, 200000].flatMap((x) => [x, x, x]) })
    return full
  },
  'channel: two at once': async () => {
    const one = collect(50)
    const two = collect(50)
    await Promise.all([one, two].map(({ take }) => invoke('stream', { channel: new Channel((m) => take(m.index)), count: 50, len: 1 })))
    return [(await one.full).join(), (await two.full).join()]
  },
  'channel: as text': () => /^__CHANNEL__:\d+$/.test(JSON.parse(JSON.stringify(new Channel()))),
  'listen: from the core': async () => {
    const { full, take } = collect(3)
    const stop = await listen('api-core', take)
    await invoke('emit_some', { name: 'api-core', count: 3 })
    const got = (await full).map((e) => [Object.keys(e).sort(), e.event, e.payload])
    await stop()
    return got
  },
  'listen: in order': async () => {
    const { full, take } = collect(1000)
    const stop = await listen('api-order', (e) => take(e.payload.index))
    await invoke('emit_some', { name: 'api-order', count: 1000 })
    const got = await full
    await stop()
    return got.every((x, i) => x === i)
  },
  'once': async () => {
    const got = []
    await once('api-once', (e) => got.push(e.payload.index))
    await invoke('emit_some', { name: 'api-once', count: 3 })
    await pause(200)
    await invoke('emit_some', { name: 'api-once', count: 3 })
    await pause(200)
    return got
  },
  'unlisten': async () => {
    const got = []
    const stop = await listen('api-stop', (e) => got.push(e.payload))
    await emit('api-stop', 1)
    await pause(100)
    await stop()
    await emit('api-stop', 2)
    await pause(100)
    return got
  },
  'emit: payloads': async () => {
    const { full, take } = collect(5)
    const stop = await listen('api-own', (e) => take(e.payload))
    for (const payload of [{ a: 'é' }, [1], 'text', null, undefined]) await emit('api-own', payload)
    const got = await full
    await stop()
    return got.map((x) => (x === undefined ? 'undefined' : x))
  },
  'emit: to the core': async () => {
    const before = await invoke('heard')
    await emit('to-core', 'x')
    return (await invoke('heard')) - before
  },
  'emitTo: every target': () => {
    const label = 'main'
    const targets = {
      any: { kind: 'Any' }, app: { kind: 'App' }, label, window: { kind: 'Window', label }, webview: { kind: 'Webview', label },
      both: { kind: 'WebviewWindow', label }, anyLabel: { kind: 'AnyLabel', label }, absent: { kind: 'Webview', label: 'absent' }
    }
    const listens = Object.fromEntries(Object.entries(targets).map(([name, target]) => [name, (take) => listen('api-to', take, { target })]))
    listens.default = (take) => listen('api-to', take)
    const emits = Object.fromEntries(Object.entries(targets).map(([name, target]) => [name, (text) => emitTo(target, 'api-to', text)]))
    emits.all = (text) => emit('api-to', text)
    return heardBy(listens, emits)
  },
  'emitTo: by objects': () => heardBy(
    { window: (take) => window_.listen('api-of', take), webview: (take) => webview.listen('api-of', take), both: (take) => both.listen('api-of', take) },
    {
      window: (text) => window_.emitTo('main', 'api-of', text), webview: (text) => webview.emitTo({ kind: 'Webview', label: 'main' }, 'api-of', text),
      both: (text) => both.emitTo({ kind: 'Window', label: 'main' }, 'api-of', text), all: (text) => both.emit('api-of', text)
    }
  ),
  'once: of the window': async () => {
    const { full, take } = collect(1)
    await window_.once('api-once-window', (e) => take([e.event, e.payload]))
    await window_.emit('api-once-window', 'first')
    return full
  },
  'listen: a bad name': () => caught(listen('no spaces', () => {})),
  'TauriEvent: names': () => TauriEvent,
  'TauriEvent: a window comes and goes': async () => {
    const created = collect(1)
    const destroyed = collect(1)
    const stops = [
      await listen(TauriEvent.WINDOW_CREATED, (e) => created.take(e.payload)),
      await listen(TauriEvent.WINDOW_DESTROYED, (e) => destroyed.take([e.event, e.payload]))
    ]
    await invoke('open_second')
    const got = [await Promise.race([created.full, pause(3000)])]
    const second = await Window.getByLabel('second')
    got.push(second && second.label, (await getAllWindows()).map((w) => w.label).sort())
    await invoke('close_second')
    got.push(await Promise.race([destroyed.full, pause(3000)]))
    for (const stop of stops) await stop()
    return got
  },
  'window: questions': async () => ({
    label: window_.label, title: await window_.title(), scale: await window_.scaleFactor(), size: await window_.innerSize(),
    visible: await window_.isVisible(), fullscreen: await window_.isFullscreen(), decorated: await window_.isDecorated(),
    resizable: await window_.isResizable(), theme: await window_.theme()
  }),
  'window: a type comes back': async () => (await window_.innerSize()) instanceof PhysicalSize,
  'webview: questions': async () => [webview.label, webview.window.label, both.label, await webview.size().then((s) => s.width > 0)],
  'app: questions': async () => [await app.getName(), await app.getVersion(), await app.getTauriVersion(), await app.getIdentifier()],
  'path': async () => [
    await path.join('a', '..', 'b', 'c.txt'), await path.resolve('/x', 'y', '../z'), await path.normalize('/a//b/./c'), await path.dirname('/a/b.c'),
    await path.basename('/a/b.c', '.c'), await path.extname('/a/b.c'), await path.isAbsolute('b'), await path.appConfigDir(), await path.appDataDir(),
    await caught(path.extname('/a')), path.sep(), path.delimiter(), path.BaseDirectory.Home
  ],
  'image: a resource': async () => {
    const image = await Image.new(filled(16), 2, 2)
    const got = [image instanceof Resource, await image.size(), Array.from(await image.rgba())]
    await image.close()
    return [...got, 'error' in (await caught(image.size()))]
  },
  'menu: a resource with a channel': async () => {
    const menu = await Menu.new({ items: [{ id: 'one', text: 'One', action: () => {} }] })
    const items = await menu.items()
    const got = items.map((item) => [item.id, item.kind])
    const text = await items[0].text()
    await menu.close()
    return [got, text]
  },
  'convertFileSrc': () => convertFileSrc('/a b/c.png'),
  'transformCallback': async () => {
    const id = transformCallback(() => {}, true)
    const known = window.__TAURI_INTERNALS__.callbacks.has(id)
    window.__TAURI_INTERNALS__.unregisterCallback(id)
    return [typeof id, known, window.__TAURI_INTERNALS__.callbacks.has(id)]
  },
  'no callback is left behind': async () => {
    await pause(200)
    const before = window.__TAURI_INTERNALS__.callbacks.size
    for (let i = 0; i < 50; i++) await invoke('echo', { value: i })
    const stop = await listen('api-gone', () => {})
    await stop()
    return window.__TAURI_INTERNALS__.callbacks.size - before
  },
  'mocks: a page without a core': () => new Promise((resolve) => {
    addEventListener('message', (e) => e.data.mocked && resolve(e.data.mocked))
    const frame = document.createElement('iframe')
    frame.src = 'mocked.html'
    document.body.append(frame)
  }),
  // Tauri's own functions cannot be written over, so this fails, and it has to fail the same way.
  'mocks: where there is a core': async () => {
    const look = (name) => {
      const found = Object.getOwnPropertyDescriptor(window.__TAURI_INTERNALS__, name)
      return found && [found.writable, found.configurable, found.enumerable, typeof found.value]
    }
    const shapes = Object.fromEntries(Object.getOwnPropertyNames(window.__TAURI_INTERNALS__).sort().map((name) => [name, look(name)]))
    const attempt = (run) => { try { run(); return 'done' } catch (e) { return e.constructor.name } }
    return [shapes, attempt(() => mockIPC(() => 'mocked')), await caught(invoke('echo', { value: 1 })), attempt(() => clearMocks()), await caught(invoke('echo', { value: 2 }))]
  }
}

const results = {}
for (const [name, run] of Object.entries(cases)) {
  const limit = pause(20000).then(() => 'no answer in time')
  try {
    results[name] = await Promise.race([run(), limit])
  } catch (e) {
    results[name] = { threw: String(e) }
  }
}
// Not through the modules, whose functions the last case may have taken away.
const report = window.__TAURI_INTERNALS__.invoke
await report('report', { text: JSON.stringify({ up: await report('on_ring'), results }) })
