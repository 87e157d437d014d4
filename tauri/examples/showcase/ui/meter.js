// The loads of a meter: a page as any other, which knows nothing of how its calls travel.
;(async function () {
  const { invoke } = window.__TAURI__.core
  const { listen } = window.__TAURI__.event

  // Until the core says that it was the last one.
  const lane = async () => {
    while (await invoke('tick'));
    return 0
  }
  let heard = 0
  let wanted = 0
  let heardAll
  await listen('burst', () => {
    heard += 1
    if (heard === wanted) heardAll()
  })
  const loads = {
    one: lane,
    many: async () => {
      await Promise.all(Array.from({ length: 64 }, lane))
      return 0
    },
    bytes: async () => {
      while ((await invoke('bytes')).byteLength > 0);
      return 0
    },
    events: async (events) => {
      heard = 0
      wanted = events
      const all = new Promise((resolve) => (heardAll = resolve))
      invoke('burst', { events })
      await all
      return events
    }
  }
  await listen('load', async ({ payload }) => {
    await invoke('done', { events: await loads[payload.load](payload.events) })
  })
  await invoke('ready')
})()
