// Commands that a sidecar serves, as the app's own and as a plugin's. Each case has what must come
// of it beside it, whichever way the page's calls take.
;(function () {
  const { invoke, Channel } = window.__TAURI__.core
  const { listen, emit } = window.__TAURI__.event
  const PATIENCE_MS = 20000
  const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
  const caught = (promise) => promise.then((value) => ({ value }), (error) => ({ error }))
  const bytes = (len) => Uint8Array.from({ length: len }, (_, i) => i * 7)
  const same = (a, b) => a.length === b.length && a.every((x, i) => x === b[i])
  const UNKNOWN = { code: 'peer-died', outcome: 'unknown' }
  const fate = ({ error }) => error && { code: error.code, outcome: error.outcome }

  // The next `count` messages of a channel, or events.
  const collect = (count) => {
    const got = []
    let done
    const all = new Promise((resolve) => (done = resolve))
    return { all: all.then(() => got), take: (x) => { got.push(x); if (got.length === count) done() } }
  }
  const channelOf = (count) => {
    const { all, take } = collect(count)
    const channel = new Channel()
    channel.onmessage = take
    return { channel, all }
  }
  // A call that waits in the worker, once it has begun there: how it ends.
  const begunToWait = async () => {
    const { channel, all } = channelOf(1)
    const end = caught(invoke('wait', { onBegun: channel }))
    await all
    return { end }
  }
  // The words of Tauri's own refusal, for another command.
  const refused = async (command) => {
    const own = 'plugin:webview|create_webview_window'
    const { error } = await caught(invoke(own, { options: {} }))
    return error.replace(own, command)
  }

  const cases = {
    'a call without a result': [async () => (await invoke('nothing_there')) === null, true],
    'arguments and a result': [() => invoke('add', { a: 2, b: 3 }), 5],
    'values as they were': [() => invoke('echo', { value: ['größer\u2028"\\', -2.5, null, { '': [] }] }), ['größer\u2028"\\', -2.5, null, { '': [] }]],
    'text of 2 MiB': [async () => (await invoke('echo', { value: 'é'.repeat(1 << 20) })) === 'é'.repeat(1 << 20), true],
    'a command of the app': [() => invoke('raw_put', Uint8Array.of(1, 2)), '2 bytes, 5'],
    'another process': [async () => (await invoke('pid')) !== (await invoke('own_pid')), true],
    'many calls at once': [
      async () => same(await Promise.all(Array.from({ length: 500 }, (_, a) => invoke('add', { a, b: 1 }))), Array.from({ length: 500 }, (_, a) => a + 1)),
      true
    ],
    'raw bodies both ways': [
      async () => {
        const wrong = []
        for (const len of [0, 3, 70000, 5000000]) {
          const back = await invoke('reverse', bytes(len))
          if (!(back instanceof ArrayBuffer) || !same(new Uint8Array(back), bytes(len).reverse())) wrong.push(len)
        }
        return wrong
      },
      []
    ],
    'an error of text': [() => caught(invoke('fail', { how: 'text' })), { error: 'it failed' }],
    'an error of a struct': [() => caught(invoke('fail', { how: 'struct' })), { error: { code: 7, text: 'größer' } }],
    'a missing argument': [() => caught(invoke('add', { a: 2 })), { error: 'invalid args `b` for command `add`: command add missing required key b' }],
    'an unknown command': [() => caught(invoke('missing')), { error: 'Command missing not found' }],
    'the page\'s own headers': [() => invoke('headers', {}, { headers: { 'X-One': '1' } }), { 'x-one': '1' }],
    'a channel': [
      async () => {
        const { channel, all } = channelOf(500)
        const result = await invoke('count', { to: 500, onNumber: channel })
        return [result, same(await all, Array.from({ length: 500 }, (_, i) => i))]
      },
      [500, true]
    ],
    'a channel of bytes': [
      async () => {
        const { channel, all } = channelOf(2)
        await invoke('chunks', { onChunk: channel })
        return (await all).map((chunk) => [chunk instanceof ArrayBuffer, chunk.byteLength])
      },
      [[true, 3], [true, 100000]]
    ],
    'a channel that fails': [
      async () => {
        const { all, take } = collect(1)
        const stop = await listen('tramline://channel-error', (e) => take(e.payload))
        const channel = new Channel()
        await invoke('break_channel', { onNumber: channel })
        const [told] = await all
        stop()
        return [told.channel === channel.id, told.code, told.data]
      },
      [true, 'channel-failed', { code: 7, text: 'größer' }]
    ],
    'events of the worker': [
      async () => {
        const { all, take } = collect(3)
        const stop = await listen('from-worker', (e) => take(e.payload))
        for (const row of [1, 2, 3]) await invoke('tell', { name: 'from-worker', value: { row } })
        const got = await all
        stop()
        return got
      },
      [{ row: 1 }, { row: 2 }, { row: 3 }]
    ],
    'events of the page go before the calls behind them': [
      async () => {
        const wrong = []
        for (let by = 1; by <= 20; by++) {
          await emit('brightness', by)
          if ((await invoke('seen')).brightness !== by) wrong.push(by)
        }
        return wrong
      },
      []
    ],
    'an event of the worker does not go back': [
      async () => {
        const { all, take } = collect(1)
        const stop = await listen('brightness', (e) => take(e.payload))
        await invoke('tell', { name: 'brightness', value: 77 })
        const [heard] = await all
        stop()
        return [heard, (await invoke('seen')).brightness]
      },
      [77, 20]
    ],
    'a plugin\'s command that is allowed': [() => invoke('plugin:worker|echo', { value: { a: 1 } }), { a: 1 }],
    'raw bodies of a plugin\'s command': [async () => same(new Uint8Array(await invoke('plugin:worker|reverse', bytes(9))), bytes(9).reverse()), true],
    'an error of a plugin\'s command': [() => caught(invoke('plugin:worker|fail', { how: 'text' })), { error: 'it failed' }],
    'a plugin\'s command that is not allowed': [
      async () => {
        const { error } = await caught(invoke('plugin:worker|pid'))
        return [error, error === (await refused('plugin:worker|pid'))]
      },
      ['Command plugin:worker|pid not allowed by ACL', true]
    ],
    'a plugin\'s command that nobody knows': [() => caught(invoke('plugin:worker|nobodys')), { error: 'Command plugin:worker|nobodys not allowed by ACL' }],
    'a worker killed in mid-call': [
      async () => {
        const first = await invoke('pid')
        const calls = [await begunToWait(), await begunToWait()]
        const killed = await invoke('kill_worker')
        const fates = (await Promise.all(calls.map(({ end }) => end))).map(fate)
        const lives = await invoke('raw_put', Uint8Array.of(1))
        const second = await invoke('pid')
        return { killed, fates, lives, anew: first !== second, seen: await invoke('seen') }
      },
      { killed: true, fates: [UNKNOWN, UNKNOWN], lives: '1 bytes, 1', anew: true, seen: { brightness: 0, calls: 0, cancelled: 0 } }
    ],
    'events of the new worker': [
      async () => {
        const { all, take } = collect(1)
        const stop = await listen('from-worker', (e) => take(e.payload))
        await invoke('tell', { name: 'from-worker', value: 'again' })
        const got = await all
        stop()
        return got
      },
      ['again']
    ],
    'a worker that ends in mid-call': [async () => fate(await caught(invoke('die'))), UNKNOWN]
  }

  // Calls of a page that is reloaded are cancelled, and its commands told. Tauri's own way may have
  // sent them twice: it sends a call again, as a message, when its request breaks off, and a reload
  // does that.
  const CALLS = 5
  const reload = async (up) => {
    if (sessionStorage.getItem('phase') === null) {
      sessionStorage.setItem('phase', 'reloaded')
      await Promise.all(Array.from({ length: CALLS }, () => new Promise((begun) => {
        const channel = new Channel()
        channel.onmessage = begun
        invoke('wait', { onBegun: channel }).catch(() => {})
      })))
      location.reload()
      await new Promise(() => {})
    }
    let cancelled = 0
    for (let tries = 0; tries < 200 && cancelled < CALLS; tries++) {
      await pause(50)
      cancelled = (await invoke('seen')).cancelled
    }
    return up ? cancelled : Math.min(cancelled, CALLS)
  }

  window.runForward = async () => {
    const wrong = {}
    const expect = (name, found, expected) => {
      // Keys in one order, on both sides.
      const text = (value) => JSON.stringify(value, (_, x) => (x && x.constructor === Object ? Object.fromEntries(Object.entries(x).sort()) : x))
      if (text(found) !== text(expected)) wrong[name] = { found, expected }
    }
    const up = await invoke('on_ring')
    expect('calls that a reload has cancelled', await reload(up), CALLS)
    for (const [name, [run, expected]] of Object.entries(cases)) {
      const limit = pause(PATIENCE_MS).then(() => 'no answer in time')
      expect(name, await Promise.race([run(), limit]).catch((e) => ({ threw: e instanceof Error ? String(e) : e })), expected)
    }
    await invoke('report', { text: JSON.stringify({ up, cases: Object.keys(cases).length + 1, wrong }) })
  }
})()
