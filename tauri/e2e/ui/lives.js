// What a view goes through: its process is killed, it shows a foreign page and comes back, a second
// window opens and closes. Each page that begins does one step.
;(function () {
  const { invoke } = window.__TAURI__.core
  const { listen, emit } = window.__TAURI__.event
  const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
  const note = async (what, value) => invoke('note', { what, value })

  const works = async (when) => {
    await note(`${when}: on the ring`, await invoke('on_ring'))
    await note(`${when}: a call`, await invoke('echo', { value: when }))
    const heard = new Promise((resolve) => listen('alive', (e) => resolve(e.payload.index)))
    await pause(100)
    await invoke('emit_some', { name: 'alive', count: 1 })
    await note(`${when}: an event`, await heard)
  }

  const steps = [
    async () => {
      await works('at first')
      await invoke('kill_web_process')
      // Under way when the process dies.
      for (let i = 0; ; i++) {
        invoke('count_up', { id: i + 1000 }).catch(() => {})
        if (i % 100 === 0) await pause(1)
      }
    },
    async () => {
      await works('after a kill')
      await note('calls that ran twice', await invoke('counted_twice'))
      location.href = await invoke('foreign_url')
    },
    async () => {
      await works('back from a foreign page')
      const up = new Promise((resolve) => listen('second-is-up', (e) => resolve(e.payload)))
      await pause(100)
      await invoke('open_second')
      await note('a second window: on the ring', await up)
      await invoke('close_second')
      await pause(500)
      await works('after the second window')
      await invoke('report_notes')
    }
  ]

  window.runLives = async () => {
    if (window.__TAURI_INTERNALS__.metadata.currentWebview.label === 'second') {
      await emit('second-is-up', await invoke('on_ring'))
      return
    }
    await steps[await invoke('step')]()
  }
})()
