// The same loads in two hidden pages, stock and accelerated, in turn. Each is asked through tramline:
// `plugin:stock|measure` is a command of another process.
;(function () {
  const { invoke } = window.__TAURI__.core

  const digits = (x) => (x >= 100 ? Math.round(x) : x >= 10 ? Math.round(x * 10) / 10 : Math.round(x * 100) / 100)
  const time = (us) => (us >= 1000 ? `${digits(us / 1000)} ms` : `${digits(us)} µs`)
  const rate = (x) => (x >= 1e6 ? `${digits(x / 1e6)} M/s` : x >= 1e3 ? `${digits(x / 1e3)} k/s` : `${digits(x)}/s`)
  const MIB = 1048576
  const volume = (x) => (x >= 1e9 ? `${digits(x / 1e9)} GB/s` : `${digits(x / 1e6)} MB/s`)
  const latency = { of: (f) => f.p50_us, high: (f) => f.p99_us, say: time, times: (stock, fast) => stock / fast }
  const throughput = { of: (f) => f.per_second, high: () => 0, say: rate, times: (stock, fast) => fast / stock }

  const LOADS = {
    one: { ...latency, title: 'One call after the other', about: 'round trip: median, shaded up to the 99th of 100' },
    many: { ...throughput, title: '64 calls in flight', about: 'calls answered in a second' },
    events: { ...throughput, title: 'Events to the page', about: 'small ones, heard in a second' },
    bytes: {
      ...throughput,
      title: 'Raw bytes to the page',
      about: 'answers of 1 MiB, one after the other',
      of: (f) => f.per_second * MIB,
      say: volume
    }
  }
  const WAYS = { stock: 'stock', fast: 'accelerated' }

  const cards = document.getElementById('cards')
  for (const load of Object.values(LOADS)) {
    const card = document.createElement('section')
    card.className = 'card'
    card.innerHTML =
      '<div class="top"><div><h2></h2><p></p></div><span class="ratio"></span></div>' +
      '<p class="values"><span class="stock">stock <b>–</b></span><span class="fast">accelerated <b>–</b></span></p><canvas></canvas>'
    card.querySelector('h2').textContent = load.title
    card.querySelector('.top p').textContent = load.about
    cards.append(card)
    load.ratio = card.querySelector('.ratio')
    load.values = { stock: card.querySelector('.stock b'), fast: card.querySelector('.fast b') }
    load.chart = new window.Chart(card.querySelector('canvas'), load.say)
    load.found = { stock: [], fast: [] }
  }

  // Of the last few: a machine that does something else shows in the line, not in the figure.
  const typical = (found) => [...found].sort((a, b) => a - b)[found.length >> 1]

  // The first round of a meter warms it up, and does not count.
  const warm = new Set()
  const measure = async (name, way) => {
    const load = LOADS[name]
    const ask = () => invoke(`plugin:${WAYS[way]}|measure`, { load: name })
    if (!warm.has(name + way)) {
      await ask()
      warm.add(name + way)
    }
    const figures = await ask()
    const value = load.of(figures)
    load.found[way] = [...load.found[way], value].slice(-9)
    load.chart.add(way, value, load.high(figures))
    const { stock, fast } = load.found
    load.values[way].textContent = load.say(typical(load.found[way]))
    if (stock.length > 0 && fast.length > 0) {
      const times = load.times(typical(stock), typical(fast))
      load.ratio.textContent = `${times >= 10 ? Math.round(times) : times.toFixed(1)}×`
    }
    return value
  }

  // A machine that measures does nothing else well: only with the panel in sight.
  let inSight = false
  let comes = () => {}
  const sight = async () => {
    while (!inSight) await new Promise((come) => (comes = come))
  }

  let paused = null
  const pause = document.getElementById('pause')
  pause.onclick = () => {
    if (paused) {
      paused.go()
      paused = null
    } else {
      paused = {}
      paused.over = new Promise((go) => (paused.go = go))
    }
    pause.textContent = paused ? 'Resume' : 'Pause'
  }

  // Who is first changes, so that nobody always follows the same load.
  window.speed = {
    shown: () => {
      inSight = true
      comes()
    },
    hidden: () => {
      inSight = false
    },
    round: async (order) => {
      const found = {}
      for (const name of Object.keys(LOADS)) {
        for (const way of order) {
          await sight()
          await paused?.over
          found[`${name} ${way}`] = await measure(name, way)
        }
      }
      return found
    },
    run: async () => {
      for (let round = 0; ; round++) {
        try {
          await window.speed.round(round % 2 ? ['fast', 'stock'] : ['stock', 'fast'])
        } catch (error) {
          // A meter that ended is started again with the next call.
          console.warn('measuring', error)
          await new Promise((resolve) => setTimeout(resolve, 1000))
        }
      }
    },
    say: { time, rate }
  }
})()
