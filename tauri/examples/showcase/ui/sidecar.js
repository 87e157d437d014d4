// Commands of another process, which the page calls as a plugin's; it knows nothing of tramline.
;(function () {
  const { invoke, Channel } = window.__TAURI__.core
  const { listen } = window.__TAURI__.event
  const KEPT = 80
  const SILENT_MS = 1500
  const at = (id) => document.getElementById(id)
  const rows = at('rows')
  const worker = (command, args) => invoke(`plugin:worker|${command}`, args)

  let pid = null
  let beat = null
  let quiet
  const load = []

  const say = (call, result, bad) => {
    const line = document.createElement('li')
    const [when, what, how] = ['time', 'span', 'span'].map((name) => document.createElement(name))
    when.textContent = new Date().toTimeString().slice(0, 8)
    what.textContent = call
    what.className = 'call'
    how.textContent = result
    if (bad) how.className = 'bad'
    line.append(when, what, how)
    at('log').prepend(line)
    while (at('log').children.length > 60) at('log').lastChild.remove()
  }
  const text = (error) => (typeof error === 'string' ? error : error.outcome ? `${error.message}; outcome: ${error.outcome}` : String(error.message || error))

  const state = (name, words) => {
    at('state').className = `state ${name}`
    at('state').lastElementChild.textContent = words
  }

  // Who serves now: a new process has to be asked for its beat.
  const meet = async () => {
    const now = await worker('watch')
    if (now !== pid) say('watch', pid === null ? `process ${now} serves` : `process ${now} serves instead of ${pid}`)
    pid = now
    state('alive', 'running')
  }
  const call = async (name, run, answer) => {
    try {
      const result = await run()
      if (answer) say(name, answer(result))
      return result
    } catch (error) {
      say(name, text(error), true)
      if (error.outcome) {
        state('dead', 'gone')
        beat = null
      }
      throw error
    }
  }

  const drawLoad = () => {
    const { pen, width, height } = window.fine(at('load'))
    const step = width / KEPT
    load.forEach((share, i) => {
      pen.fillStyle = window.colour(share === null ? 'danger' : 'fast')
      const high = share === null ? height : Math.max(2, share * (height - 4))
      pen.fillRect(width - (load.length - i) * step, height - high, Math.max(step - 1.5, 1), high)
    })
  }
  const push = (share) => {
    load.push(share)
    if (load.length > KEPT) load.shift()
    drawLoad()
  }
  const duration = (ms) => {
    const s = Math.floor(ms / 1000)
    return s < 60 ? `${s} s` : `${Math.floor(s / 60)} min ${s % 60} s`
  }
  const onBeat = ({ payload: now }) => {
    const share = beat && beat.pid === now.pid ? (now.cpu_ms - beat.cpu_ms) / Math.max(now.up_ms - beat.up_ms, 1) : 0
    beat = now
    push(Math.min(share, 1))
    at('cpu').textContent = `${Math.round(Math.min(share, 1) * 100)} %`
    at('pid').textContent = now.pid
    at('up').textContent = duration(now.up_ms)
    at('memory').textContent = `${(now.memory_kib / 1024).toFixed(1)} MiB`
    at('calls').textContent = now.calls.toLocaleString('en')
    clearTimeout(quiet)
    quiet = setTimeout(() => {
      state('dead', 'no sign of life')
      at('cpu').textContent = ''
    }, SILENT_MS)
  }

  const thousand = () =>
    call(
      '1000 × nothing',
      async () => {
        await meet()
        const start = performance.now()
        for (let i = 0; i < 1000; i++) await worker('nothing')
        return performance.now() - start
      },
      (ms) => `${ms.toFixed(0)} µs each, one after the other`
    )

  let rendering = false
  const render = async (width = rows.width, height = rows.height) => {
    const pen = rows.getContext('2d')
    pen.clearRect(0, 0, rows.width, rows.height)
    const onRows = new Channel()
    let [row, got] = [0, 0]
    let allCame
    const all = new Promise((resolve) => (allCame = resolve))
    onRows.onmessage = (message) => {
      if (message instanceof ArrayBuffer) {
        const image = new ImageData(new Uint8ClampedArray(message), width)
        pen.putImageData(image, 0, row)
        row += image.height
        got += message.byteLength
        if (row === height) allCame()
      } else {
        at('progress').style.width = `${(message.done / message.of) * 100}%`
        at('render-says').textContent = `row ${message.done} of ${message.of}, ${(got / 1048576).toFixed(2)} MiB of raw rows`
      }
    }
    rendering = true
    buttons()
    try {
      await call('render', async () => {
        await meet()
        const ms = await worker('render', { width, height, onRows })
        // Stock, a result may be here before the last messages of its channel.
        await all
        return ms
      }, (ms) => `${width} × ${height} pixels in ${(ms / 1000).toFixed(1)} s`)
    } finally {
      rendering = false
      buttons()
    }
    return got
  }
  const stop = () => call('stop', () => worker('stop'), () => 'said')
  const kill = () => call('kill -9', () => invoke('kill_worker'), (killed) => {
    push(null)
    state('dead', 'gone')
    return `process ${killed} is gone`
  })
  const buttons = () => {
    at('render').disabled = rendering
    at('stop').disabled = !rendering
  }
  // Said in the log.
  const told = (run) => () => run().catch(() => {})
  at('thousand').onclick = told(thousand)
  at('kill').onclick = told(kill)
  at('render').onclick = told(() => render())
  at('stop').onclick = told(stop)
  buttons()
  new ResizeObserver(drawLoad).observe(at('load'))
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', drawLoad)

  let met
  let seen = false
  window.sidecar = {
    start: () => {
      met = listen('worker-beat', onBeat).then(() => call('start', meet))
      return met
    },
    // The first time with something to look at.
    shown: async () => {
      drawLoad()
      if (seen || !met) return
      seen = true
      await met
      await thousand()
      await render()
    },
    thousand,
    render,
    stop,
    kill,
    pid: () => pid,
    beats: () => load.length
  }
})()
