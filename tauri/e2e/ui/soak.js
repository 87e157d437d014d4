// Mixed load; the page reloads itself every ten seconds. Whatever is wrong is told to the core.
;(function () {
  const { invoke, Channel } = window.__TAURI__.core
  const { listen } = window.__TAURI__.event
  const LIFE_MS = 10000
  const PATIENCE_MS = 8000
  const MIXED = 16
  const ASYNC = 64

  window.runSoak = async () => {
    const page = await invoke('soak_begin', { ring: await invoke('on_ring') })
    const end = performance.now() + LIFE_MS
    let last = 0
    let heard = 0
    let wanted = () => {}
    const own = 'soak-' + page
    await listen(own, () => {
      heard += 1
      wanted()
    })
    const fault = (what, lost) => invoke('soak_fault', { what: `page ${page}: ${what}`, lost })
    const inTime = (what, promise) => {
      let timer
      const late = new Promise((_, reject) => {
        timer = setTimeout(() => reject(Object.assign(new Error(what + ' had no answer'), { lost: true })), PATIENCE_MS)
      })
      return Promise.race([promise, late]).finally(() => clearTimeout(timer))
    }
    const call = async (command, n, value) => {
      const got = await inTime(command, invoke(command, { page, n, value }))
      if (JSON.stringify(got) !== JSON.stringify(value)) throw new Error('another answer')
    }
    const jobs = [
      (n) => call('soak_call', n, { n, text: 'é'.repeat(n % 3000) }),
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
        const until = heard + 20
        const all = new Promise((resolve) => {
          wanted = () => heard >= until && resolve()
        })
        await inTime('events', Promise.all([all, invoke('emit_some', { name: own, count: 20 })]))
        wanted = () => {}
      }
    ]
    const lane = async (job) => {
      while (performance.now() < end) {
        const n = (last += 1)
        try {
          await job(n)
        } catch (e) {
          await fault(String(e), e.lost === true)
        }
      }
    }
    const mixed = (n) => jobs[n % 6 < 4 ? 0 : (n % 6) - 3](n)
    const later = (n) => call('soak_later', n, n)
    await Promise.all([
      ...Array.from({ length: MIXED }, () => lane(mixed)),
      ...Array.from({ length: ASYNC }, () => lane(later)),
      // One at a time: each counts all events that come.
      lane(jobs[3])
    ])
    // Calls are under way when the page goes.
    for (let i = 0; i < 64; i++) invoke(i % 2 ? 'soak_call' : 'soak_later', { page, n: (last += 1), value: i }).catch(() => {})
    location.reload()
  }
})()
