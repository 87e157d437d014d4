// A link that is lost while its page lives: what the page listens to is still heard, and calls go on.
;(function () {
  const { invoke, Channel } = window.__TAURI__.core
  const { listen, once } = window.__TAURI__.event
  const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
  const note = (what, value) => invoke('note', { what, value })

  window.runLost = async () => {
    const heard = []
    let onces = 0
    const numbers = []
    const stop = await listen('lost', (e) => heard.push(e.payload.index))
    await once('lost-once', () => (onces += 1))
    const channel = new Channel()
    channel.onmessage = (number) => numbers.push(number)
    await invoke('keep_channel', { channel })
    await invoke('send_on_kept', { numbers: [1, 2] })
    await invoke('emit_some', { name: 'lost', count: 1 })
    await pause(100)
    await note('at first: events', heard.splice(0))
    await note('at first: messages of a channel', numbers.splice(0))
    await note('at first: not by Tauri\'s own way', await invoke('on_ring'))

    const works = async (when) => {
      await note(`${when}: not by Tauri\'s own way`, await invoke('on_ring'))
      await invoke('emit_some', { name: 'lost', count: 2 })
      await invoke('send_on_kept', { numbers: [3, 4] })
      await pause(200)
      await note(`${when}: events`, heard.splice(0))
      await note(`${when}: messages of a channel`, numbers.splice(0))
    }

    // As if there were no memory for it. Only the ring copies bytes like this.
    const { set } = Uint8Array.prototype
    Uint8Array.prototype.set = () => { throw new RangeError('out of memory') }
    const long = invoke('raw_get', { len: 1 << 20 }).then(() => 'bytes', String)
    const [ended, beside] = await Promise.all([long, invoke('echo', { value: 'beside' })])
    Uint8Array.prototype.set = set
    await note('a long body without room: a call beside it', beside)
    await note('a long body without room: the call', ended)
    await note('a long body without room: the next one', (await invoke('raw_get', { len: 3 << 20 })).byteLength)

    const panicked = invoke('panic_now').then(() => 'no error', (e) => String(e))
    const [error, other] = await Promise.all([panicked, invoke('echo', { value: 'beside' }).catch(String)])
    await note('a panic: the error', error)
    await note('a panic: a call beside it', other)
    await works('after a panic')

    // Tauri's own way would call a second time in both cases, and never answer.
    const others = [invoke('echo', { value: 1 }), invoke('no_json').then(() => 'a value', String), invoke('echo', { value: 'x\n,y' })]
    await note('a bad answer among others', await Promise.all(others))
    let deep = 1
    for (let i = 0; i < 200; i++) deep = [deep]
    const mixed = [invoke('echo', { value: 1 }), invoke('echo', { value: deep }).then(() => 'a value', () => 'an error'), invoke('echo', { value: 2 })]
    await note('a call that is nested too deeply, among others', await Promise.all(mixed))

    const status = async (path, options) => (await fetch('tramline://localhost/' + path, options)).status
    const post = { method: 'POST', body: '1\n2\nnothing\n\n' }
    await note('strangers', [
      await status('hello', post),
      await status('0123456789abcdef0123456789abcdef%2Ft', post),
      await status('nothing', post),
      await status('hello')
    ])

    window.stop()
    await works('after requests were stopped')
    await works('later')

    await invoke('emit_some', { name: 'lost-once', count: 2 })
    await pause(100)
    await note('an event once', onces)
    stop()
    await pause(100)
    await invoke('emit_some', { name: 'lost', count: 1 })
    await pause(100)
    await note('an event that is no longer listened to', heard)
    await invoke('report_notes')
  }
})()
