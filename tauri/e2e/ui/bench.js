// Loads for the figures. Times are taken in the core, whose clock is finer than a page's: between
// two calls that follow each other lies one round trip.
;(function () {
  const { invoke, Channel } = window.__TAURI__.core
  const { listen } = window.__TAURI__.event
  const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

  const inTurn = async (name, count, call) => {
    for (let i = 0; i < Math.min(count / 10, 200); i++) await call()
    await invoke('bench_start', { name })
    for (let i = 0; i < count; i++) await call()
    return invoke('bench_times', { name })
  }
  const atOnce = async (name, count, call) => {
    const lane = async (n) => { for (let i = 0; i < n; i++) await call() }
    await Promise.all(Array.from({ length: 64 }, () => lane(10)))
    await invoke('bench_start', { name })
    await Promise.all(Array.from({ length: 64 }, () => lane(Math.ceil(count / 64))))
    return invoke('bench_rate', { name })
  }
  const events = async (name, count, len) => {
    let next = 0
    let wrong = 0
    let finish
    const finished = new Promise((resolve) => (finish = resolve))
    const stop = await listen('load', (e) => {
      if (e.payload.index !== next) wrong += 1
      next += 1
      if (next === count) finish()
    })
    await invoke('bench_start', { name })
    invoke('emit_load', { name: 'load', count, len })
    await finished
    const rate = await invoke('bench_done', { name, count })
    stop()
    return { ...rate, wrong }
  }
  const channel = async (name, count, start) => {
    let got = 0
    let finish
    const finished = new Promise((resolve) => (finish = resolve))
    const channel = new Channel()
    channel.onmessage = () => { if ((got += 1) === count) finish() }
    await invoke('bench_start', { name })
    start(channel)
    await finished
    return invoke('bench_done', { name, count })
  }

  // A command of the app's own and one of the sidecar's, call by call in turn, and what the latter
  // adds: the machine is then the same for both.
  const forwarded = async (rows, count) => {
    const pair = async () => {
      await invoke('bench_nothing')
      await invoke('nothing_there')
    }
    for (let i = 0; i < 100; i++) await pair()
    await invoke('bench_start', { name: 'forwarded' })
    for (let i = 0; i < count; i++) await pair()
    const [local, there] = await invoke('bench_times_in_turn', { name: 'forwarded' })
    rows['local command beside a forwarded one'] = local
    rows['forwarded command beside a local one'] = there
    return { p50_us: there.p50_us - local.p50_us, p99_us: there.p99_us - local.p99_us, count }
  }

  // For a profiler.
  window.runHot = async () => {
    await Promise.all(Array.from({ length: 64 }, async () => { for (;;) await invoke('bench_nothing') }))
  }

  window.runBench = async () => {
    const quick = await invoke('bench_quick')
    const n = (x) => (quick ? Math.ceil(x / 10) : x)
    const kib = 'k'.repeat(1024)
    const kib64 = 'k'.repeat(64 << 10)
    const object = Array.from({ length: 60 }, (_, i) => ({ id: i, name: 'a name ' + i, on: true, tags: ['x', 'y'], price: i * 1.5, note: 'some text here' }))
    const bytes64 = new Uint8Array(64 << 10).fill(7)
    const bytes10 = new Uint8Array(10 << 20).fill(7)
    const rows = {}
    const loads = {
      'no arguments': () => inTurn('a', n(2000), () => invoke('bench_nothing')),
      'async command': () => inTurn('b', n(2000), () => invoke('bench_later')),
      'echo 1 KiB text': () => inTurn('c', n(2000), () => invoke('bench_echo', { value: kib })),
      'echo object, 6.6 KB': () => inTurn('d', n(500), () => invoke('bench_echo', { value: object })),
      'echo 64 KiB text': () => inTurn('e', n(500), () => invoke('bench_echo', { value: kib64 })),
      'raw put 64 KiB': () => inTurn('f', n(500), () => invoke('bench_put', bytes64)),
      'raw get 64 KiB': () => inTurn('g', n(500), () => invoke('bench_get', { len: 64 << 10 })),
      'raw put 10 MiB': () => inTurn('h', n(50), () => invoke('bench_put', bytes10)),
      'raw get 10 MiB': () => inTurn('i', n(50), () => invoke('bench_get', { len: 10 << 20 })),
      '64 in flight, no arguments': async () => {
        await invoke('bench_timer_start')
        const rate = await atOnce('j', n(40000), () => invoke('bench_nothing'))
        rows['16 ms timer meanwhile, late at most'] = await invoke('bench_timer_stop')
        return rate
      },
      'forwarded command': () => inTurn('q', n(2000), () => invoke('nothing_there')),
      'forwarding adds': () => forwarded(rows, n(5000)),
      '64 in flight, forwarded': () => atOnce('p', n(40000), () => invoke('nothing_there')),
      '64 in flight, 1 KiB': () => atOnce('k', n(20000), () => invoke('bench_echo', { value: kib })),
      'events, 45 B': () => events('l', n(100000), 20),
      'events, 4 KiB': () => events('m', n(20000), 4096),
      'channel, small JSON': () => channel('n', n(50000), (channel) => invoke('stream_load', { channel, count: n(50000) })),
      'channel, raw 64 KiB': () => channel('o', n(2000), (channel) => invoke('stream_raw_load', { channel, count: n(2000), len: 64 << 10 }))
    }
    await pause(300)
    const wanted = await invoke('bench_rows')
    const [part, parts] = await invoke('bench_part')
    const all = Object.entries(loads)
    const from = (part) => Math.floor((all.length * part) / parts)
    for (const [name, load] of all.slice(from(part), from(part + 1))) {
      if (wanted.length === 0 || wanted.includes(name)) rows[name] = await load()
    }
    const up = await invoke('on_ring')
    await invoke('report', { text: JSON.stringify({ up, rows }) })
  }
})()
