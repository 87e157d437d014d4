  // What comes from the core: items, each a kind and its values, one after the other in an array. And
  // the page's listeners, for which the core listens in their place.

  // By the listener's id: what is listened to, and the page's function.
  const listeners = new Map()
  // The same, by the call that asks for it.
  const asked = new Map()
  // Listeners that another hop has taken over: by the id that the page knows, the one that counts.
  const moved = new Map()

  // Values of each kind of item, its kind included.
  const ITEM_LEN = { 2: 3, 3: 4, 4: 3, 5: 4, 6: 5, 7: 5, 8: 4 }

  // Hands out an item. `body` gives the bytes of a length and a place.
  function handOut(it, i, body) {
    switch (it[i]) {
      case 2: // OK
      case 4: // ERR
        run(it[i + 1], it[i + 2])
        break
      case 7: // EVENT
        if (listeners.has(it[i + 2])) {
          run(it[i + 1], { event: it[i + 3], payload: it[i + 4], id: it[i + 2] })
        }
        break
      case 5: // CHANNEL
        run(it[i + 1], { message: it[i + 3], index: it[i + 2] })
        break
      case 6: // CHANNEL_RAW
        run(it[i + 1], { message: body(it[i + 3], it[i + 4]), index: it[i + 2] })
        break
      case 3: // OK_RAW
        run(it[i + 1], body(it[i + 2], it[i + 3]))
        break
      case 8: // LISTENED
        listeners.set(it[i + 2], asked.get(it[i + 1]) || { handler: it[i + 3] })
        asked.delete(it[i + 1])
        run(it[i + 1], it[i + 2])
        break
    }
  }

  function handOutAll(it, from, body) {
    for (let i = from; i < it.length; ) {
      const at = i
      i += ITEM_LEN[it[i]] || 1
      try {
        handOut(it, at, body)
      } catch (e) {
        // The others must not suffer, nor be handed out again.
        Promise.reject(e)
      }
    }
  }

  // Only such a listener is the hop's; the others are Tauri's.
  function remember({ callback, payload }) {
    if (payload && payload.target && payload.target.kind === 'Any') {
      const { event, target, handler } = payload
      asked.set(callback, { event, target, handler })
    }
  }

  function forget(id) {
    const listener = listeners.get(id)
    if (listener !== undefined) {
      internals.unregisterCallback(listener.handler)
      listeners.delete(id)
    }
  }

  // The hop that listened is gone: whichever comes next listens again.
  function listenAgain() {
    const lost = [...listeners]
    listeners.clear()
    asked.clear()
    for (const [id, { event, target, handler }] of lost) {
      if (event === undefined) continue
      const again = new Promise((resolve) => {
        const callback = internals.transformCallback((now) => {
          internals.unregisterCallback(error)
          resolve(now)
        }, true)
        const error = internals.transformCallback(() => {
          internals.unregisterCallback(callback)
          resolve(null)
        }, true)
        postMessage({ cmd: LISTEN, callback, error, payload: { event, target, handler } })
      })
      moved.set(id, again)
    }
  }

  // The page no longer wants a listener that has moved.
  function unlistenMoved(message) {
    const { event, eventId } = message.payload
    const again = moved.get(eventId)
    moved.delete(eventId)
    again.then((now) => {
      if (now === null) return run(message.callback, null)
      const plugin = window.__TAURI_EVENT_PLUGIN_INTERNALS__
      if (plugin) plugin.unregisterListener(event, now)
      postMessage({ ...message, payload: { event, eventId: now } })
    })
  }

