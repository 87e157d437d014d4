// Mixed load; the page reloads itself every ten seconds. Whatever is wrong is told to the core.
;(function () {
  const { invoke, Channel } = window.__TAURI__.core
  const { listen } = window.__TAURI__.event
  const LIFE_MS = 10000
  const PATIENCE_MS = 8000

  window.runSoak = async () => {
    const page = await invoke('soak_begin', { ring: await invoke('on_ring') })
    const end = performance.now() + LIFE_MS
    let last = 0
    let heard = 0
    await listen('soak', () => (heard += 1))
    const fault = (what) => invoke('soak_fault', { what: `page ${page}: ${what}` })
    const inTime = (what, promise) => {
      let timer
      const late = new Promise((_, reject) => (timer = setTimeout(() => reject(new Error(what + ' had no answer')), PATIENCE_MS)))
      return Promise.race([promise, late]).finally(() => clearTimeout(timer))
    }
    const jobs = [
      async (n) => {
        const value = { n, text: 'é'.repeat(n % 3000) }
        const got = await inTime('a call', invoke('soak_call', { id: page * 2 ** 32 + n, value }))
        if (JSON.stringify(got) !== JSON.stringify(value)) throw new Error('another answer')
      },
      async (n) => {
        const bytes = new Uint8Array((n * 7919) % 400000).fill(n)
        const got = new Uint8Array(await inTime('a raw call', invoke('raw_echo', bytes)))
        if (got.length !== bytes.length || got.some((x) => x !== (n & 255))) throw new Error('other bytes')
      },
      async () => {
        const channel = new Channel()
        let next = 0
        const all = new Promise((resolve, reject) => {
          channel.onmessage = (m) => {
            if (m.index !== next) reject(new Error('a message out of order'))
            if ((next += 1) === 50) resolve()
          }
        })
        await inTime('a channel', Promise.all([all, invoke('stream', { channel, count: 50, len: 100 })]))
      },
      async () => {
        const before = heard
        await inTime('events', invoke('emit_some', { name: 'soak', count: 20 }))
        if (heard - before < 20) throw new Error(`events are missing, ${heard - before} came`)
      }
    ]
    const lane = async () => {
      while (performance.now() < end) {
        const n = (last += 1)
        try {
          await jobs[n % 7 < 4 ? 0 : (n % 7) - 3](n)
        } catch (e) {
          await fault(String(e))
        }
      }
    }
    await Promise.all(Array.from({ length: 16 }, lane))
    // Calls are under way when the page goes.
    for (let i = 0; i < 50; i++) invoke('soak_call', { id: page * 2 ** 32 + 2 ** 31 + i, value: i }).catch(() => {})
    location.reload()
  }
})()
