// A viewer whose bytes come raw from the core. Files that the user gives to the page go there raw, too.
;(function () {
  const { invoke } = window.__TAURI__.core
  const ROW = 20
  const ACROSS = 16
  // What a scrolled element may be high; larger files move faster.
  const MAX_TALL = 8e6
  const MAX_TEXT = 1 << 19
  const IMAGES = { bmp: 'bmp', gif: 'gif', jpeg: 'jpeg', jpg: 'jpeg', png: 'png', svg: 'svg+xml', webp: 'webp' }
  const at = (id) => document.getElementById(id)
  const list = at('list')
  const scroll = at('scroll')

  let entries = []
  let shown = null
  let bytes = new Uint8Array()
  let view = 'hex'
  let address = null

  const size = (n) => (n >= 1 << 20 ? `${(n / (1 << 20)).toFixed(1)} MiB` : n >= 1024 ? `${(n / 1024).toFixed(1)} KiB` : `${n} bytes`)
  const imageType = (name) => IMAGES[name.split('.').pop().toLowerCase()]

  const showList = () => {
    list.replaceChildren(
      ...entries.map((entry) => {
        const item = document.createElement('li')
        const button = document.createElement('button')
        const [name, about] = [document.createElement('b'), document.createElement('span')]
        name.textContent = entry.name
        about.textContent = entry.about
        button.append(name, about)
        button.setAttribute('aria-selected', entry.id === shown)
        button.onclick = () => choose(entry.id)
        item.append(button)
        return item
      })
    )
  }

  const choose = async (id) => {
    const entry = entries.find((entry) => entry.id === id)
    shown = id
    showList()
    at('name').textContent = entry.name
    at('speed-of-file').textContent = 'on its way'
    const start = performance.now()
    const buffer = await invoke('read', { id }).catch((error) => {
      at('speed-of-file').textContent = String(error)
      throw error
    })
    const ms = performance.now() - start
    if (shown !== id) return
    bytes = new Uint8Array(buffer)
    // The clock of a page has ticks of a millisecond.
    const took = document.createElement('b')
    took.textContent = ms < 1 ? 'less than 1 ms' : `${Math.round(ms)} ms`
    const perSecond = bytes.length / (ms / 1000)
    const rate = ms < 2 || bytes.length < 1e6 ? '' : perSecond >= 1e9 ? `, ${(perSecond / 1e9).toFixed(1)} GB/s` : `, ${Math.round(perSecond / 1e6)} MB/s`
    at('speed-of-file').replaceChildren(`${size(bytes.length)}, asked for and here in `, took, rate)
    scroll.scrollTop = 0
    show(imageType(entry.name) ? 'image' : /\.(md|txt|rs|toml|json|js|html|css)$/i.test(entry.name) ? 'text' : 'hex')
  }

  const show = (what) => {
    view = what
    for (const tab of at('views').children) tab.setAttribute('aria-selected', tab.dataset.view === view)
    for (const name of ['hex', 'text', 'image']) at(`view-${name}`).classList.toggle('shown', name === view)
    draw()
  }
  for (const tab of at('views').children) tab.onclick = () => show(tab.dataset.view)

  // Rows that are in sight, and no others.
  const rows = () => Math.ceil(bytes.length / ACROSS)
  const tall = () => Math.min(rows() * ROW + 20, MAX_TALL)
  const firstRow = () => {
    const free = tall() - scroll.clientHeight
    const rest = Math.max(0, rows() + 1 - Math.floor(scroll.clientHeight / ROW))
    return free <= 0 ? 0 : Math.round((scroll.scrollTop / free) * rest)
  }
  const kind = (byte) => (byte === 0 ? 'zero' : byte >= 32 && byte < 127 ? 'print' : byte >= 128 ? 'high' : '')
  const escaped = (byte) => (byte < 32 || byte > 126 ? '·' : byte === 38 ? '&amp;' : byte === 60 ? '&lt;' : String.fromCharCode(byte))
  const hexRow = (row) => {
    const part = bytes.subarray(row * ACROSS, (row + 1) * ACROSS)
    const cells = Array.from({ length: ACROSS }, (_, i) => {
      const space = i === 7 ? '  ' : ' '
      return i < part.length ? `<span class="${kind(part[i])}">${part[i].toString(16).padStart(2, '0')}</span>${space}` : '  ' + space
    })
    const text = Array.from(part, (byte) => `<span class="${kind(byte)}">${escaped(byte)}</span>`)
    return `<span class="at">${(row * ACROSS).toString(16).padStart(8, '0')}</span>  ${cells.join('')}  ${text.join('')}`
  }
  const drawHex = () => {
    at('tall').style.height = `${tall()}px`
    const first = firstRow()
    const count = Math.min(rows() - first, Math.ceil(scroll.clientHeight / ROW) + 1)
    at('hex').style.transform = `translateY(${scroll.scrollTop}px)`
    at('hex').innerHTML = Array.from({ length: Math.max(count, 0) }, (_, i) => hexRow(first + i)).join('\n')
    drawMap(first, count)
  }

  // Each byte's kind as a colour.
  const palette = () => {
    const probe = document.createElement('canvas').getContext('2d', { willReadFrequently: true })
    const rgb = (name) => {
      probe.fillStyle = window.colour(name)
      probe.fillRect(0, 0, 1, 1)
      return probe.getImageData(0, 0, 1, 1).data
    }
    return { zero: rgb('hover'), print: rgb('fast'), high: rgb('faint'), '': rgb('stock') }
  }
  const dots = (width, height, byteAt) => {
    const colours = palette()
    const image = new ImageData(width, height)
    for (let i = 0; i < width * height; i++) {
      const byte = byteAt(i)
      if (byte !== undefined) image.data.set(colours[kind(byte)], i * 4)
    }
    return image
  }
  const drawMap = (first, count) => {
    const map = at('map')
    const { pen, width, height } = window.fine(map)
    if (height < 10 || bytes.length === 0) return
    const [w, h] = [32, Math.floor(height / 3)]
    const small = document.createElement('canvas')
    ;[small.width, small.height] = [w, h]
    small.getContext('2d').putImageData(dots(w, h, (i) => bytes[Math.floor((i / (w * h)) * bytes.length)]), 0, 0)
    pen.imageSmoothingEnabled = false
    pen.globalAlpha = 0.55
    pen.drawImage(small, 0, 0, width, height)
    pen.fillStyle = window.colour('ink')
    pen.globalAlpha = 0.25
    pen.fillRect(0, (first / rows()) * height, width, Math.max((count / rows()) * height, 3))
    pen.globalAlpha = 1
  }
  at('map').onclick = (event) => {
    scroll.scrollTop = (event.offsetY / at('map').clientHeight) * tall() - scroll.clientHeight / 2
  }

  const drawImage = async () => {
    const entry = entries.find((entry) => entry.id === shown)
    const type = imageType(entry.name)
    at('image').classList.toggle('shown', Boolean(type))
    at('picture').classList.toggle('shown', !type)
    if (address) URL.revokeObjectURL(address)
    address = null
    if (type) {
      address = URL.createObjectURL(new Blob([bytes], { type: `image/${type}` }))
      at('image').src = address
      await at('image').decode()
    } else {
      // Not an image: each byte is a dot.
      const width = 640
      const height = Math.max(1, Math.min(400, Math.ceil(bytes.length / width)))
      ;[at('picture').width, at('picture').height] = [width, height]
      at('picture').getContext('2d').putImageData(dots(width, height, (i) => bytes[i]), 0, 0)
    }
  }

  const draw = () => {
    if (shown === null) return
    if (view === 'hex') drawHex()
    else if (view === 'image') return drawImage()
    else {
      const more = bytes.length > MAX_TEXT ? `\n\n… and ${size(bytes.length - MAX_TEXT)} more` : ''
      at('view-text').textContent = new TextDecoder().decode(bytes.subarray(0, MAX_TEXT)) + more
    }
  }
  scroll.onscroll = drawHex
  new ResizeObserver(() => view === 'hex' && draw()).observe(scroll)
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', draw)

  // To the core as raw bytes; a header is ASCII, so names are put into it.
  const keep = async (name, buffer) => {
    const ascii = name.replace(/[^ -~]/g, '?')
    return invoke('keep', new Uint8Array(buffer), { headers: { 'X-Name': ascii } })
  }
  const open = async (files) => {
    let last
    for (const file of files) {
      try {
        last = await keep(file.name, await file.arrayBuffer())
      } catch (error) {
        at('speed-of-file').textContent = `${file.name}: ${error}`
      }
    }
    entries = await invoke('files')
    if (last === undefined) showList()
    else await choose(last)
  }
  at('chooser').onchange = () => open(at('chooser').files)
  document.addEventListener('dragover', (event) => {
    event.preventDefault()
    document.body.classList.add('dropping')
  })
  document.addEventListener('dragleave', () => document.body.classList.remove('dropping'))
  document.addEventListener('drop', (event) => {
    event.preventDefault()
    document.body.classList.remove('dropping')
    window.showPanel('files')
    open(event.dataTransfer.files)
  })

  window.files = {
    start: async () => {
      entries = await invoke('files')
      showList()
    },
    // With the panel in sight: sizes count.
    shown: async () => {
      if (shown === null) await choose(entries[0].id)
      else draw()
    },
    keep,
    choose,
    show: async (what) => show(what),
    drawImage,
    all: () => entries,
    length: () => bytes.length
  }
})()
