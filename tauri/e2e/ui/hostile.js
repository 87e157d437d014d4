// A page, and a web process, that do what they must not. Each attack has a page of its own; the page
// after it sees whether all is well again.
;(function () {
  const internals = window.__TAURI_INTERNALS__
  const { invoke } = window.__TAURI__.core
  const { listen } = window.__TAURI__.event
  const attacks = window.__TRAMLINE_ATTACKS__
  const text = new TextEncoder()
  const caught = (promise) => promise.then((value) => ({ value }), (error) => ({ error: String(error) }))
  const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

  const join = (...parts) => {
    const all = parts.map((part) => (typeof part === 'string' ? text.encode(part) : Uint8Array.from(part)))
    const whole = new Uint8Array(all.reduce((sum, part) => sum + part.length, 0))
    let at = 0
    for (const part of all) {
      whole.set(part, at)
      at += part.length
    }
    return whole
  }
  // The kind of a message stands at its end.
  const frame = ([kind, ...first], ...parts) => attacks.frame(join(first, ...parts, [kind]), true)
  // A call as bytes: what becomes of it.
  const rawCall = (command, headers, args) =>
    new Promise((resolve) => {
      const callback = internals.transformCallback((value) => resolve({ value }), true)
      const error = internals.transformCallback((e) => resolve({ error: String(e).slice(0, 60) }), true)
      frame([2], `${callback}\n${error}\n${command}\n${headers}\n`, args)
    })
  const PROBE = [1, 2, 3, 4, 5, 6, 7, 8]
  const FORBIDDEN = '1\n2\nhostile_forbidden\n'

  // Garbage that the core does not look at is overwritten by the next message, and harms nobody. So
  // calls and garbage take turns until it has; everything is overwritten at last.
  const scribble = async (from, at) => {
    for (let turn = 1; turn <= 60; turn++) {
      invoke('count_up', { id: at * 100 + 40 + turn }).catch(() => {})
      attacks.scribble(from, from + (1 << 18))
      if (turn % 10 === 0 && !(await caught(invoke('on_ring'))).value) break
    }
    attacks.scribble(from, 2 ** 30)
  }

  const list = [
    ['garbage everywhere', (at) => scribble(0, at)],
    ['garbage behind the first page', (at) => scribble(4096, at)],
    ['a wrong key', () => frame([1, 1, 0, 0, 0], PROBE, 'a wrong key')],
    ['no key', () => frame([1, 1, 0, 0, 0], PROBE)],
    ['another version', () => frame([1, 99, 0, 0, 0], PROBE, 'any')],
    ['a hello that is too short', () => frame([1, 1])],
    ['a call before the hello', () => {}, '?mute'],
    ['an unknown kind', () => frame([77], FORBIDDEN, '\n')],
    ['a call that breaks off', () => frame([2], '1\n2\nhostile_forbidden')],
    ['a callback that is no number', () => frame([2], '-1\n2\nhostile_forbidden\n\n{}')],
    ['a callback that is too large', () => frame([2], '4294967296\n2\nhostile_forbidden\n\n{}')],
    ['a command that is no text', () => frame([2], '1\n2\nhostile_', [0xff, 0xfe], '\n\n{}')],
    ['a length beyond the message', () => frame([3], FORBIDDEN, [255, 255, 255, 255])],
    ['a length inside a number', () => frame([3], FORBIDDEN, [1, 0, 0, 0])],
    [
      'a message without end',
      () => {
        const part = new Uint8Array(1 << 20).fill(50)
        for (let i = 0; i < 300; i++) attacks.frame(part, false)
      }
    ],
    ['a message that is left unfinished', () => attacks.frame(join(FORBIDDEN), false)],
    ['arguments that are no JSON', () => rawCall('hostile_forbidden', '', '{"a":')],
    ['arguments that are no text', () => rawCall('hostile_forbidden', '', [34, 0xff, 0xfe, 34])],
    ['brackets without end', () => rawCall('hostile_forbidden', '', '['.repeat(1000000))],
    ['100000 headers', () => rawCall('hostile_forbidden', JSON.stringify(Array(100000).fill(['x-a', 'b'])), '{}')],
    ['a header that is none', () => rawCall('hostile_forbidden', '[["bad header","x"]]', '{}')],
    ['headers that are no pairs', () => rawCall('hostile_forbidden', '{"a":1}', '{}')],
    ['a command that is refused', () => rawCall('plugin:webview|create_webview_window', '', '{"options":{"label":"x"}}')],
    ['a second link', () => attacks.handOver(0)],
    ['a forged label', () => attacks.handOver(1)],
    ['no socket', () => attacks.handOver(2)],
    [
      'calls without reading an answer',
      async () => {
        const before = await invoke('hostile_memory')
        let left = 400
        let done
        const all = new Promise((resolve) => (done = resolve))
        const got = internals.transformCallback(() => (left -= 1) === 0 && done())
        // Nothing is read as long as this loop runs, and that is until all have been served stock.
        for (let i = 0; i < 400; i++) frame([2], `${got}\n${got}\nraw_get\n\n{"len":1048576}`)
        const until = performance.now() + 1500
        while (performance.now() < until);
        await all
        return { bounded: (await invoke('hostile_memory')) - before < 200 }
      }
    ],
    [
      'a page that never reads',
      async () => {
        await listen('flood', () => {})
        invoke('hostile_flood').catch(() => {})
        // The call has gone; what comes after it is not read.
        attacks.deaf()
        return new Promise(() => {})
      }
    ],
    [
      'a foreign page on its way to us',
      async () => {
        location.href = await invoke('hostile_foreign')
        return new Promise(() => {})
      }
    ],
    [
      'sockets that nobody speaks on',
      async () => {
        sessionStorage.setItem('threads', await invoke('hostile_threads'))
        location.replace('?silent=0')
        return new Promise(() => {})
      }
    ]
  ]
  const LOGGED_LATER = ['a second link', 'a forged label', 'no socket']

  const well = async (i) => [await caught(invoke('echo', { value: i })), await invoke('on_ring')]

  window.runHostile = async () => {
    if (location.search === '?mute') {
      // At once: asking the core first would wait for the hello.
      while (!frame([2], FORBIDDEN, '\n{}')) await pause(1)
    }
    const silent = /silent=(\d+)/.exec(location.search)
    if (silent && Number(silent[1]) < 9) return location.replace('?silent=' + (Number(silent[1]) + 1))
    if (silent) {
      const threads = (await invoke('hostile_threads')) - Number(sessionStorage.getItem('threads'))
      await invoke('hostile_next', { name: 'sockets that nobody speaks on', seen: { 'few threads': threads <= 4 || threads } })
      return location.replace('/')
    }
    const at = await invoke('hostile_at')
    const [name, attack, query] = list[at >> 1] || []
    if (!name) {
      return invoke('hostile_done')
    }
    if (at % 2 === 1) {
      const [echo, ring] = await well(at)
      const forbidden = await invoke('hostile_forbidden_ran')
      const after = { 'the next page': echo.value === at && ring, 'ran what is forbidden': forbidden }
      await invoke('hostile_next', { name, seen: after })
      return window.runHostile()
    }
    if (query && location.search !== query) return location.replace(query)
    for (let i = 0; i < 20; i++) invoke('count_up', { id: at * 100 + i }).catch(() => {})
    const found = await attack(at)
    for (let i = 20; i < 40; i++) invoke('count_up', { id: at * 100 + i }).catch(() => {})
    // Served behind the attack, or lost with its link.
    const call = await caught(invoke('echo', { value: at }))
    if (LOGGED_LATER.includes(name)) await invoke('hostile_logged')
    const [echo, ring] = await well(at)
    const seen = { link: ring ? 'lives' : 'ended', call: 'error' in call ? 'lost' : 'answered', alive: echo.value === at }
    if (found && typeof found === 'object') seen.answer = found
    await invoke('hostile_next', { name, seen })
    location.replace('/')
  }
})()
