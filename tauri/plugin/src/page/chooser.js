  // Which way the page's calls take: the ring, else the portable hop, else Tauri's own.

  // How long the ring's handshake may take.
  const PATIENCE_MS = 2500
  // A link that is lost is made anew so often. A choice: a page may stop its requests, but not for ever.
  const MAX_LINKS = 4

  const WAITING = 0
  const HOP = 1
  const STOCK = 2
  // The portable hop is asked for at the first call: the page's policy is known by then.
  const UNASKED = 3

  let state = UNASKED
  let hop = null
  let links = 0
  // Calls made before there was a hop, in order.
  let early = []
  // Why there is no ring.
  let noRing = __TRAMLINE_NO_RING__
  let isOurs

  function up(found) {
    if (state !== WAITING) return
    hop = found
    state = HOP
    flush()
  }

  function ringIsDown(why) {
    if (noRing !== null) return
    noRing = why
    hop = null
    state = UNASKED
    // Those that listen or wait need a hop at once.
    if (listeners.size > 0 || early.length > 0) askPortable()
    listenAgain()
  }

  function askPortable() {
    if ((links += 1) > MAX_LINKS) return takeStock()
    state = WAITING
    openPortable(noRing || '', (unsent) => {
      hop = null
      askPortable()
      // In the order in which they were made.
      for (const { message, json } of unsent) {
        if (state === STOCK) stock(message, json)
        else keep(message, json)
      }
      listenAgain()
    }).then(up, takeStock)
  }

  function takeStock() {
    hop = null
    state = STOCK
    flush()
  }

  // False if the hop cannot take it.
  function send(message) {
    const head = headOf(message)
    if (head === null) return false
    const { payload } = message
    if (isBytes(payload)) {
      const bytes = bytesOf(payload)
      return bytes !== null && hop.bytes(head, bytes, message)
    }
    const json = jsonOf(payload)
    return hop.text(head + '\n' + json, message, json)
  }

  function flush() {
    const calls = early
    early = []
    for (const { message, head, json, bytes } of calls) {
      const taken =
        state === HOP &&
        head !== null &&
        (bytes === null
          ? json !== null && hop.text(head + '\n' + json, message, json)
          : hop.bytes(head, bytes, message))
      if (!taken) stock(message, json === null ? undefined : json)
    }
  }

  // The page may change what it calls with once it has called.
  function keep(message, given) {
    const head = headOf(message)
    const { payload } = message
    const raw = given === undefined && isBytes(payload)
    const bytes = raw ? bytesOf(payload) : null
    early.push({
      message: raw && bytes !== null ? { ...message, payload: bytes.slice() } : message,
      head: raw && bytes === null ? null : head,
      json: raw ? null : given === undefined ? jsonOf(payload) : given,
      bytes: bytes === null ? null : bytes.slice()
    })
  }

  function postMessage(message) {
    if (isOurs === undefined) look()
    const { cmd } = message
    if (cmd === UNLISTEN) {
      const id = message.payload && message.payload.eventId
      if (moved.has(id)) return unlistenMoved(message)
      forget(id)
    }
    if (state === STOCK) return stock(message)
    if (cmd === LISTEN) remember(message)
    if (state === UNASKED) askPortable()
    if (state === WAITING) keep(message)
    else if (!send(message)) stock(message)
  }

  // Calls of an app with the isolation pattern are encrypted for Tauri's own handler. Which pattern it
  // is Tauri's script says after this one.
  function look() {
    const pattern = internals.__TAURI_PATTERN__
    isOurs = !pattern || pattern.pattern === 'brownfield'
    if (!isOurs) {
      if (native) native.close()
      noRing = 'isolation'
      takeStock()
    }
  }

  function begin() {
    if (noRing !== null) return
    if (!native) {
      noRing = 'the page has no functions of the web-process extension'
      return
    }
    state = WAITING
    if (!openRing(up, () => ringIsDown('its link is over'))) {
      ringIsDown('the extension did not take the page')
      return
    }
    setTimeout(() => {
      if (state === WAITING && noRing === null) {
        native.close()
        ringIsDown('its link was not made in time')
      }
    }, PATIENCE_MS)
  }

  begin()

  Object.defineProperty(internals, 'postMessage', { value: postMessage })
