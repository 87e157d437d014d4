// Lines over time on a canvas: one for each way, on a logarithmic scale.
;(function () {
  // As many points as the width shows, first and at last.
  const FEW = 16
  const KEPT = 60
  const LEFT = 60
  const RIGHT = 10
  const TOP = 8
  const BOTTOM = 8

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim()

  // A canvas as fine as the screen: its drawing context, in the page's own measure.
  window.fine = (canvas) => {
    const scale = window.devicePixelRatio || 1
    const { clientWidth: width, clientHeight: height } = canvas
    const [w, h] = [Math.round(width * scale), Math.round(height * scale)]
    if (canvas.width !== w || canvas.height !== h) [canvas.width, canvas.height] = [w, h]
    const pen = canvas.getContext('2d')
    pen.setTransform(scale, 0, 0, scale, 0, 0)
    pen.clearRect(0, 0, width, height)
    return { pen, width, height }
  }
  window.colour = colour

  window.Chart = class {
    // `tick` writes a value at the scale.
    constructor(canvas, tick) {
      this.canvas = canvas
      this.tick = tick
      this.lines = { stock: [], fast: [] }
      new ResizeObserver(() => this.draw()).observe(canvas)
      matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.draw())
    }

    // `high` is how far the shade above the line goes.
    add(way, value, high) {
      const line = this.lines[way]
      line.push({ value, high })
      if (line.length > KEPT) line.shift()
      this.draw()
    }

    draw() {
      const { pen, width, height } = window.fine(this.canvas)
      const all = Object.values(this.lines).flat()
      if (width < 100 || height < 40 || all.length === 0) return
      const low = Math.min(...all.map((p) => p.value))
      const top = Math.max(...all.map((p) => Math.max(p.value, p.high || 0)))
      // Whole decades and their thirds, with some room.
      const from = Math.log10(low) - 0.15
      const to = Math.max(Math.log10(top) + 0.12, from + 0.8)
      const y = (value) => TOP + (height - TOP - BOTTOM) * (1 - (Math.log10(value) - from) / (to - from))
      const most = Math.max(FEW, ...Object.values(this.lines).map((line) => line.length))
      const x = (line, index) => width - RIGHT - ((line.length - 1 - index) / (most - 1)) * (width - LEFT - RIGHT)

      pen.font = '11px ' + getComputedStyle(document.body).fontFamily
      pen.textAlign = 'right'
      pen.textBaseline = 'middle'
      pen.lineWidth = 1
      const decades = []
      for (let d = Math.floor(from); d <= to; d++) decades.push(10 ** d)
      const seen = (marks) => marks.filter((m) => Math.log10(m) >= from && Math.log10(m) <= to)
      const marks = seen(decades).length >= 2 ? seen(decades) : seen(decades.flatMap((d) => [d, 3 * d]))
      for (const mark of marks) {
        const at = Math.round(y(mark)) + 0.5
        pen.strokeStyle = colour('line')
        pen.beginPath()
        pen.moveTo(LEFT, at)
        pen.lineTo(width - RIGHT, at)
        pen.stroke()
        pen.fillStyle = colour('faint')
        pen.fillText(this.tick(mark), LEFT - 8, at)
      }
      for (const way of ['stock', 'fast']) {
        const line = this.lines[way]
        if (line.length === 0) continue
        const ink = colour(way)
        if (line[0].high) {
          pen.fillStyle = ink
          pen.globalAlpha = 0.13
          pen.beginPath()
          line.forEach((p, i) => pen.lineTo(x(line, i), y(p.high)))
          for (let i = line.length - 1; i >= 0; i--) pen.lineTo(x(line, i), y(line[i].value))
          pen.fill()
          pen.globalAlpha = 1
        }
        pen.strokeStyle = ink
        pen.lineWidth = 2
        pen.lineJoin = 'round'
        pen.beginPath()
        line.forEach((p, i) => pen.lineTo(x(line, i), y(p.value)))
        pen.stroke()
        const last = line[line.length - 1]
        pen.fillStyle = ink
        pen.beginPath()
        pen.arc(x(line, line.length - 1), y(last.value), 3.2, 0, 7)
        pen.fill()
      }
    }
  }
})()
