// What a view goes through: it is loaded again with calls under way, its process is killed, a command
// panics while the page goes, it shows a foreign page and comes back, a second window opens and closes.
// Each page that begins does one step.
;(function () {
  const { invoke } = window.__TAURI__.core
  const { listen, emit } = window.__TAURI__.event
  const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
  const note = async (what, value) => invoke('note', { what, value })

  const works = async (when) => {
    await note(`${when}: on the ring`, await invoke('on_ring'))
    await note(`${when}: a call`, await invoke('echo', { value: when }))
    let heard
    const all = new Promise((resolve) => (heard = resolve))
    await listen('alive', (e) => heard(e.payload.index))
    await invoke('emit_some', { name: 'alive', count: 1 })
    await note(`${when}: an event`, await all)
  }

  const steps = [
    async () => {
      await works('at first')
      // None of them is answered before this page is gone.
      for (let i = 0; i < 64; i++) invoke('hold', { id: i }).catch(() => {})
      for (let i = 64; i < 128; i++) invoke('count_up', { id: i }).catch(() => {})
      location.reload()
    },
    async () => {
      await works('after a reload in mid-call')
      await note('calls that were held', await invoke('open_gate'))
      // Under way when the process dies, which the command that kills it does at once.
      let id = 1000
      for (let i = 0; i < 100; i++) invoke('count_up', { id: id++ }).catch(() => {})
      invoke('kill_web_process').catch(() => {})
      for (;;) {
        for (let i = 0; i < 100; i++) invoke('count_up', { id: id++ }).catch(() => {})
        await pause(1)
      }
    },
    async () => {
      await works('after a kill')
      // Sent when the next page is under way already: served as the last calls of this one.
      window.addEventListener('pagehide', () => {
        for (let i = 128; i < 160; i++) invoke('count_up', { id: i }).catch(() => {})
        invoke('panics').catch(() => {})
      })
      location.reload()
    },
    async () => {
      await works('after a panic while the page went')
      await note('calls that ran twice', await invoke('counted_twice'))
      location.href = await invoke('foreign_url')
    },
    async () => {
      await works('back from a foreign page')
      let isUp, isGone
      const up = new Promise((resolve) => (isUp = resolve))
      const gone = new Promise((resolve) => (isGone = resolve))
      await listen('second-is-up', (e) => isUp(e.payload))
      await listen('second-is-gone', () => isGone())
      await invoke('open_second')
      await note('a second window: on the ring', await up)
      await invoke('close_second')
      await gone
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
