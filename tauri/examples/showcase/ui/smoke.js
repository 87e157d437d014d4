// Each panel once, as a user would; the core prints the line.
;(function () {
  const { invoke } = window.__TAURI__.core
  const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
  const must = (holds, what) => {
    if (!holds) throw new Error(what)
  }
  const inked = (canvas) => {
    const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height)
    return data.some((x, i) => i % 4 === 3 && x > 0)
  }

  const speed = async () => {
    window.showPanel('speed')
    const found = await window.speed.round(['stock', 'fast'])
    must(Object.values(found).every((value) => value > 0), 'a load without a figure')
    must([...document.querySelectorAll('#cards canvas')].every(inked), 'an empty chart')
    const { time } = window.speed.say
    return `a call takes ${time(found['one fast'])}, stock ${time(found['one stock'])}`
  }

  const files = async () => {
    await window.showPanel('files')
    const bytes = Uint8Array.from({ length: 70000 }, (_, i) => i * 31)
    const id = await window.files.keep('smoke.bin', bytes)
    const back = new Uint8Array(await invoke('read', { id }))
    must(back.length === bytes.length && back.every((x, i) => x === bytes[i]), 'other bytes came back')
    await window.files.start()
    for (const entry of window.files.all()) {
      await window.files.choose(entry.id)
      must(window.files.length() > 0, `${entry.name} is empty`)
      await window.files.show('hex')
      must(document.getElementById('hex').textContent.startsWith('00000000'), `${entry.name} has no hex view`)
      must(inked(document.getElementById('map')), `${entry.name} has no map`)
      await window.files.show('text')
      must(document.getElementById('view-text').textContent !== '', `${entry.name} has no text view`)
      await window.files.show('image')
      await window.files.drawImage()
    }
    const refused = await invoke('read', { id: 999 }).catch((error) => error)
    must(refused === 'there is no such file', 'a file that nobody chose')
    return `${window.files.all().length} files`
  }

  const sidecar = async () => {
    await window.sidecar.start()
    // It begins with calls and a picture.
    await window.showPanel('sidecar')
    const got = await window.sidecar.render(64, 40)
    must(got === 64 * 40 * 4, `${got} bytes of rows, not ${64 * 40 * 4}`)
    const begun = (run) => {
      const end = run.then(() => 'it ended by itself', (error) => error)
      return pause(400).then(() => ({ end }))
    }
    const stopped = await begun(window.sidecar.render())
    await window.sidecar.stop()
    must(String(await stopped.end).startsWith('stopped at row'), 'stop did not stop it')
    const first = window.sidecar.pid()
    const killed = await begun(window.sidecar.render())
    await window.sidecar.kill()
    must((await killed.end).outcome === 'unknown', 'no outcome after a kill')
    await window.sidecar.thousand()
    must(window.sidecar.pid() !== first, 'the same process after a kill')
    for (let tries = 0; window.sidecar.beats() === 0 && tries < 100; tries++) await pause(50)
    must(window.sidecar.beats() > 0, 'no beat')
    return `worker ${first} killed, ${window.sidecar.pid()} serves`
  }

  window.smoke = async (about) => {
    const parts = [about.accelerated ? 'accelerated' : 'stock']
    let well = true
    for (const panel of [speed, files, sidecar]) {
      const limit = pause(40000).then(() => Promise.reject(new Error('no end')))
      try {
        parts.push(await Promise.race([panel(), limit]))
      } catch (error) {
        well = false
        parts.push(`${panel.name} failed: ${error.message || JSON.stringify(error)}`)
      }
    }
    await invoke('smoked', { line: `showcase: ${parts.join('; ')}`, well })
  }
})()
