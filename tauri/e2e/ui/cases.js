// Each case gives something that must come out the same, stock and accelerated.
;(function () {
  const { invoke, Channel } = window.__TAURI__.core
  const { listen, once, emit, emitTo } = window.__TAURI__.event

  const sum = (buffer) => {
    const bytes = new Uint8Array(buffer)
    let a = 1
    let b = 0
    for (let i = 0; i < bytes.length; i++) {
      a = (a + bytes[i]) % 65521
      b = (b + a) % 65521
    }
    return `${bytes.length}:${a}:${b}`
  }
  const caught = (promise) => promise.then((value) => ({ value }), (error) => ({ error: error instanceof Error ? String(error) : error }))
  const filled = (len) => {
    const bytes = new Uint8Array(len)
    for (let i = 0; i < len; i++) bytes[i] = (i * 31) & 255
    return bytes
  }
  const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
  // Collects until `count` have come.
  const collect = (count) => {
    const got = []
    let done
    const all = new Promise((resolve) => (done = resolve))
    return { all: all.then(() => got), take: (x) => { got.push(x); if (got.length === count) done() } }
  }

  const cases = {
    'a call without arguments': () => invoke('nothing'),
    'text of every kind': () => invoke('echo', { value: 'a"\\\n\u0000\u2028é日本😀' }),
    'a lone surrogate': () => invoke('echo', { value: '\ud800x' }),
    'numbers': () => invoke('echo', { value: [0, -1, 1.5, 1e300, 9007199254740993, -0] }),
    'nested values': () => invoke('echo', { value: { a: [{ b: null }, true, { c: {} }], '': 1 } }),
    'a key that is a prototype': () => invoke('echo', { value: JSON.parse('{"__proto__":{"x":1},"y":2}') }).then((v) => Object.keys(v)),
    'no value': () => caught(invoke('echo', { value: undefined })),
    'values with conversions': () =>
      invoke('echo', { value: { map: new Map([['k', new Uint8Array([1, 2])]]), date: new Date(0), buffer: new Uint8Array([9]).buffer, own: { __TAURI_TO_IPC_KEY__: () => 'converted' } } }),
    'a list of objects': () => invoke('echo', { value: Array.from({ length: 300 }, (_, i) => ({ id: i, name: 'n' + i })) }),
    'text of a mebibyte': () => invoke('echo', { value: 'é'.repeat(1 << 19) }).then((v) => v.length + v.slice(-3)),
    'text larger than the ring': () => invoke('echo', { value: 'x'.repeat(20 << 20) }).then((v) => v.length),
    'an async command': () => invoke('echo_later', { value: 'later' }),
    'an error of text': () => caught(invoke('fail', { how: 'text' })),
    'an error of a struct': () => caught(invoke('fail', { how: 'struct' })),
    'an async error': () => caught(invoke('fail_later')),
    'missing arguments': () => caught(invoke('echo')),
    'wrong arguments': () => caught(invoke('raw_get', { len: 'many' })),
    'an unknown command': () => caught(invoke('nobody')),
    'an unknown plugin': () => caught(invoke('plugin:nobody|nothing')),
    'a command of a plugin': () => invoke('plugin:window|title', { label: 'main' }),
    'a command that is refused': () => caught(invoke('plugin:webview|create_webview_window', { options: {} })),
    'headers': () => invoke('headers', {}, { headers: { 'X-One': '1', 'x-two': 'zwei' } }),
    'a bad header': () => caught(invoke('headers', {}, { headers: { 'bad header': '1' } })),
    'raw bodies down': async () => {
      const got = []
      for (const len of [0, 1, 1000, 1 << 16, (1 << 20) + 1, 3 << 20, 40 << 20]) got.push(sum(await invoke('raw_get', { len })))
      return got
    },
    'raw bodies up': async () => {
      const got = []
      for (const len of [0, 1, 1000, 1 << 16, (1 << 20) + 1, 3 << 20, 40 << 20]) got.push(await invoke('raw_put', filled(len)))
      return got
    },
    'views and buffers up': async () => {
      const bytes = filled(4096)
      return [
        await invoke('raw_put', bytes.buffer),
        await invoke('raw_put', bytes.subarray(100, 200)),
        await invoke('raw_put', new DataView(bytes.buffer, 8, 16)),
        await invoke('raw_put', new Uint16Array(bytes.buffer, 2, 5)),
        await invoke('raw_put', [1, 2, 300])
      ]
    },
    'raw bytes both ways': async () => sum(await invoke('raw_echo', filled(300000))),
    'buffers stay transferable': async () => {
      const down = await invoke('raw_get', { len: 5000 })
      const up = filled(5000)
      await invoke('raw_put', up)
      const moved = structuredClone([down, up], { transfer: [down, up.buffer] })
      return [moved[0].byteLength, moved[1].byteLength, down.byteLength, up.byteLength]
    },
    'bytes changed after the call': async () => {
      const bytes = filled(100)
      const put = invoke('raw_put', bytes)
      bytes.fill(0)
      return put
    },
    'many calls at once': async () => {
      const all = await Promise.all(Array.from({ length: 600 }, (_, i) => (i % 3 ? invoke('echo', { value: i }) : invoke('echo_later', { value: i }))))
      return all.every((value, i) => value === i) && all.length
    },
    'raw and text at once': async () => {
      const all = await Promise.all(Array.from({ length: 60 }, (_, i) => (i % 2 ? invoke('echo', { value: i }) : invoke('raw_get', { len: i * 40000 }))))
      return all.map((v) => (typeof v === 'number' ? v : sum(v)))
    },
    'calls are made in order': async () => {
      const calls = Array.from({ length: 400 }, (_, i) => (i % 7 === 3 ? invoke('in_order', filled(i)) : invoke('in_order', { number: i })))
      await Promise.all(calls)
      return (await invoke('order')).every((x, i) => x === i)
    },
    'a channel': async () => {
      const { all, take } = collect(500)
      const channel = new Channel()
      channel.onmessage = take
      await invoke('stream', { channel, count: 500, len: 10 })
      return (await all).map((m) => m.index).join()
    },
    'a channel of large messages': async () => {
      const { all, take } = collect(20)
      const channel = new Channel()
      channel.onmessage = take
      await invoke('stream', { channel, count: 20, len: 200000 })
      return (await all).map((m) => m.index + ':' + m.text.length).join()
    },
    'a channel of bytes': async () => {
      const { all, take } = collect(24)
      const channel = new Channel()
      channel.onmessage = (m) => take(sum(m))
      await invoke('stream_raw', { channel, lens: [0, 1, 10, 1000, 2000, 65536, 1500000, 3000000].flatMap((x) => [x, x, x]) })
      return all
    },
    'an event to all': async () => {
      const { all, take } = collect(3)
      const unlisten = await listen('to-all', take)
      await invoke('emit_some', { name: 'to-all', count: 3 })
      const got = (await all).map((e) => [e.event, typeof e.id, e.payload])
      unlisten()
      return got
    },
    'events in order': async () => {
      const { all, take } = collect(2000)
      const unlisten = await listen('ordered', (e) => take(e.payload.index))
      await invoke('emit_some', { name: 'ordered', count: 2000 })
      const got = await all
      unlisten()
      return got.every((x, i) => x === i) && got.length
    },
    'an event that is no longer listened to': async () => {
      let count = 0
      const unlisten = await listen('quiet', () => (count += 1))
      await invoke('emit_some', { name: 'quiet', count: 2 })
      await pause(100)
      unlisten()
      await pause(50)
      await invoke('emit_some', { name: 'quiet', count: 2 })
      await pause(100)
      return count
    },
    'an event once': async () => {
      let count = 0
      const first = new Promise((resolve) => once('just-once', (e) => { count += 1; resolve(e.payload) }))
      await pause(50)
      await invoke('emit_some', { name: 'just-once', count: 3 })
      await first
      await pause(100)
      return count
    },
    'listeners of every target': async () => {
      const label = 'main'
      const targets = { any: { kind: 'Any' }, app: { kind: 'App' }, window: { kind: 'Window', label }, webview: { kind: 'Webview', label }, both: { kind: 'WebviewWindow', label }, text: label, absent: { kind: 'Window', label: 'absent' } }
      const got = {}
      const stops = []
      for (const [name, target] of Object.entries(targets)) {
        got[name] = []
        stops.push(await listen('targeted', (e) => got[name].push(e.payload), { target }))
      }
      for (const to of ['all', 'main', 'absent', 'app', 'window', 'webview', 'both']) await invoke('emit_to_target', { name: 'targeted', to })
      for (const [name, target] of Object.entries(targets)) await emitTo(target, 'targeted', 'js-' + name)
      await pause(300)
      stops.forEach((stop) => stop())
      for (const name in got) got[name].sort()
      return got
    },
    'an event from the page': async () => {
      const { all, take } = collect(2)
      const unlisten = await listen('own', (e) => take(e.payload))
      await emit('own', { from: 'page' })
      await emit('own')
      const got = await all
      unlisten()
      return got
    },
    'an event heard by the core': async () => {
      const before = await invoke('heard')
      await emit('to-core', 'x')
      return (await invoke('heard')) - before
    },
    'a bad event name': () => caught(listen('no spaces', () => {})),
    'a listener that throws': async () => {
      const { all, take } = collect(2)
      const quiet = (e) => e.preventDefault()
      window.addEventListener('unhandledrejection', quiet)
      window.addEventListener('error', quiet)
      const a = await listen('thrown', () => { throw new Error('on purpose') })
      const b = await listen('thrown', (e) => take(e.payload.index))
      await invoke('emit_some', { name: 'thrown', count: 2 })
      const got = await all
      a()
      b()
      return got
    },
    'frames inside have no functions': () =>
      new Promise((resolve) => {
        const frame = document.createElement('iframe')
        frame.onload = () => resolve(['__TRAMLINE_NATIVE__' in frame.contentWindow, '__TRAMLINE_NATIVE__' in window])
        frame.srcdoc = '<p>inside</p>'
        document.body.append(frame)
      }),
    'frames of every kind get nothing and are refused': async () => {
      const got = {}
      const frames = { same: { src: 'frame.html' }, srcdoc: { srcdoc: '<script src="frame.js"><\/script>' }, foreign: { src: await invoke('frame_url') } }
      for (const [name, given] of Object.entries(frames)) {
        const frame = Object.assign(document.createElement('iframe'), given)
        got[name] = await new Promise((resolve) => {
          window.onmessage = (e) => e.data.kind === 'frame' && resolve(e.data)
          document.body.append(frame)
        })
        frame.remove()
      }
      return [got, await invoke('count_of', { id: 888 })]
    },
    'events of two threads': async () => {
      const each = 20000
      const last = [-1, -1]
      const found = { 'out of order': 0, lost: 0 }
      let count = 0
      let done
      const all = new Promise((resolve) => (done = resolve))
      const unlisten = await listen('by-two', ({ payload: { who, index } }) => {
        if (index < last[who]) found['out of order'] += 1
        last[who] = Math.max(last[who], index)
        if ((count += 1) === 2 * each) done()
      })
      await invoke('emit_by_two', { name: 'by-two', count: each })
      const limit = pause(8000).then(() => (found.lost = 2 * each - count))
      await Promise.race([all, limit])
      unlisten()
      return found
    },
    'the internals look as they did': () => {
      const descriptor = Object.getOwnPropertyDescriptor(window.__TAURI_INTERNALS__, 'postMessage')
      return [descriptor.writable, descriptor.configurable, descriptor.enumerable, typeof descriptor.value, Object.keys(window).filter((k) => /tram/i.test(k))]
    },
    'random numbers': () => {
      const drawn = new Set()
      const one = new Uint32Array(1)
      let same = true
      for (let i = 0; i < 3000; i++) {
        same = same && crypto.getRandomValues(one) === one
        drawn.add(one[0])
      }
      const bytes = crypto.getRandomValues(new Uint8Array(64))
      const failed = []
      for (const wrong of [new Float32Array(1), new Uint32Array(1 << 15), {}, undefined]) {
        try {
          crypto.getRandomValues(wrong)
        } catch (e) {
          failed.push(e.name)
        }
      }
      // Two alike among 3,000 are seen once in a thousand runs.
      return [same, drawn.size > 2990, bytes.some((byte) => byte !== 0), failed]
    },
    'no callback is left behind': async () => {
      await pause(200)
      const before = window.__TAURI_INTERNALS__.callbacks.size
      for (let i = 0; i < 50; i++) await invoke('echo', { value: i })
      await caught(invoke('fail', { how: 'text' }))
      return window.__TAURI_INTERNALS__.callbacks.size - before
    }
  }

  // A reload with calls under way: each runs once at most, and the new page works.
  const reload = async () => {
    const phase = sessionStorage.getItem('phase')
    if (phase === null) {
      sessionStorage.setItem('phase', 'reloaded')
      for (let i = 0; i < 200; i++) invoke('count_up', { id: i }).catch(() => {})
      await listen('old-page', () => invoke('count_up', { id: 999 }))
      location.reload()
      return new Promise(() => {})
    }
    return null
  }

  window.runCases = async () => {
    const results = {}
    await reload()
    await pause(200)
    await invoke('emit_some', { name: 'old-page', count: 1 })
    await pause(100)
    results['after a reload no call has run twice'] = await invoke('counted_twice')
    for (const [name, run] of Object.entries(cases)) {
      const limit = pause(20000).then(() => 'no answer in time')
      try {
        results[name] = await Promise.race([run(), limit])
      } catch (e) {
        results[name] = { threw: String(e) }
      }
    }
    const up = await invoke('on_ring')
    await invoke('report', { text: JSON.stringify({ up, results }) })
  }
})()
