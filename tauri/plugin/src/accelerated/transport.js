// Takes the place of Tauri's script ipc-protocol.js: supplies `__TAURI_INTERNALS__.postMessage`.
// What cannot go through the ring goes as Tauri sends it; that part follows Tauri's own script
// (Apache-2.0 or MIT, the Tauri Programme within The Commons Conservancy).
;(function () {
  const KEY = __INVOKE_KEY__
  const TO_IPC = '__TAURI_TO_IPC_KEY__'
  // Where bytes cross, and how many at once of a body that is longer. Choices: room for most text,
  // and parts that stay in a processor's cache.
  const AREA_LEN = 1 << 21
  const PART_LEN = 1 << 18
  const MAX_LEN = (1 << 28) - (1 << 20)
  // How long the handshake may take before calls go Tauri's own way.
  const PATIENCE_MS = 2500

  const internals = window.__TAURI_INTERNALS__
  const native = window.__TRAMLINE_NATIVE__
  delete window.__TRAMLINE_NATIVE__

  // ---- Tauri's own way

  let customProtocolFailed = false

  function replace(_key, value) {
    if (value instanceof Map) {
      return Object.fromEntries(value.entries())
    } else if (value instanceof Uint8Array) {
      return Array.from(value)
    } else if (value instanceof ArrayBuffer) {
      return Array.from(new Uint8Array(value))
    } else if (typeof value === 'object' && value !== null && TO_IPC in value) {
      return value[TO_IPC]()
    }
    return value
  }

  function isBytes(payload) {
    return payload instanceof ArrayBuffer || ArrayBuffer.isView(payload) || Array.isArray(payload)
  }

  function stock(message, json) {
    const { cmd, callback, error, payload, options } = message
    if (!customProtocolFailed) {
      const raw = json === undefined && isBytes(payload)
      const headers = new Headers((options && options.headers) || {})
      headers.set('Content-Type', raw ? 'application/octet-stream' : 'application/json')
      headers.set('Tauri-Callback', callback)
      headers.set('Tauri-Error', error)
      headers.set('Tauri-Invoke-Key', KEY)
      fetch(internals.convertFileSrc(cmd, 'ipc'), {
        method: 'POST',
        body: raw ? payload : json === undefined ? JSON.stringify(payload, replace) : json,
        headers
      })
        .then((response) => {
          const id = response.headers.get('Tauri-Response') === 'ok' ? callback : error
          switch ((response.headers.get('content-type') || '').split(',')[0]) {
            case 'application/json':
              return response.json().then((r) => [id, r])
            case 'text/plain':
              return response.text().then((r) => [id, r])
            default:
              return response.arrayBuffer().then((r) => [id, r])
          }
        })
        .then(
          ([id, data]) => internals.runCallback(id, data),
          (e) => {
            console.warn(
              'IPC custom protocol failed, Tauri will now use the postMessage interface instead',
              e
            )
            customProtocolFailed = true
            stock(message, json)
          }
        )
    } else {
      const whole = {
        cmd,
        callback,
        error,
        options: { ...options, customProtocolIpcBlocked: customProtocolFailed },
        payload,
        __TAURI_INVOKE_KEY__: KEY
      }
      window.ipc.postMessage(JSON.stringify(whole, replace))
    }
  }

  // ---- The ring

  const WAITING = 0
  const RING = 1
  const STOCK = 2
  let state = STOCK

  // Calls made before the link was up, in order.
  let early = []
  // By the listener's id: the page's function.
  const listeners = new Map()

  let incoming
  let outgoing
  const encoder = new TextEncoder()
  const decoder = new TextDecoder()

  // Whether Tauri's replacer would change nothing. Looks at so many values at most.
  let looksLeft
  function isPlain(payload) {
    looksLeft = 4096
    return !(TO_IPC in Object.prototype) && isPlainValue(payload, 0)
  }

  function isPlainValue(value, depth) {
    if (typeof value !== 'object' || value === null) return true
    if (depth > 32 || (looksLeft -= 1) < 0) return false
    if (Array.isArray(value)) {
      if (TO_IPC in value) return false
      for (let i = 0; i < value.length; i++) if (!isPlainValue(value[i], depth + 1)) return false
      return true
    }
    const prototype = Object.getPrototypeOf(value)
    if ((prototype !== Object.prototype && prototype !== null) || TO_IPC in value) return false
    for (const key in value) if (!isPlainValue(value[key], depth + 1)) return false
    return true
  }

  function isId(id) {
    return Number.isInteger(id) && id >= 0 && id <= 0xffffffff
  }

  // What stands before the arguments of a call. Null if the ring cannot take it.
  function headOf({ cmd, callback, error, options }) {
    const given = options && options.headers
    const headers = given ? JSON.stringify([...new Headers(given)]) : ''
    if (typeof cmd !== 'string' || cmd.includes('\n') || !isId(callback) || !isId(error)) return null
    return callback + '\n' + error + '\n' + cmd + '\n' + headers
  }

  function bytesOf(payload) {
    if (payload instanceof ArrayBuffer) return new Uint8Array(payload)
    if (Array.isArray(payload)) return encoder.encode(String(payload))
    const { buffer, byteOffset, byteLength } = payload
    return buffer instanceof ArrayBuffer ? new Uint8Array(buffer, byteOffset, byteLength) : null
  }

  function jsonOf(payload) {
    const json = isPlain(payload) ? JSON.stringify(payload) : JSON.stringify(payload, replace)
    return json === undefined ? '' : json
  }

  // Sends a call: false if the ring did not take it.
  function send(message) {
    const head = headOf(message)
    if (head === null) return false
    const { payload } = message
    if (!isBytes(payload)) return sendText(head + '\n' + jsonOf(payload))
    const bytes = bytesOf(payload)
    return bytes !== null && sendBytes(head, bytes)
  }

  function sendText(text) {
    return text.length <= MAX_LEN && native.send(text)
  }

  function sendBytes(head, bytes) {
    const len = bytes.length
    if (len > MAX_LEN) return false
    let at = 0
    do {
      const end = Math.min(at + PART_LEN, len)
      outgoing.set(at === 0 && end === len ? bytes : bytes.subarray(at, end))
      if (!native.raw(end - at, end === len ? head : null)) return false
      at = end
    } while (at < len)
    return true
  }

  // A body: from the incoming area if it was put there, else fetched part by part.
  function takeBytes(len, offset) {
    if (offset >= 0) return incoming.slice(offset, offset + len).buffer
    const whole = new Uint8Array(len)
    let at = 0
    while (at < len) {
      const n = native.fetch()
      if (n <= 0) break
      whole.set(incoming.subarray(0, n), at)
      at += n
    }
    return whole.buffer
  }

  function run(id, data) {
    try {
      internals.runCallback(id, data)
    } catch (e) {
      // Where it would end up after Tauri's own way.
      Promise.reject(e)
    }
  }

  // Values of each kind of item, its kind included.
  const ITEM_LEN = { 2: 3, 3: 4, 4: 3, 5: 4, 6: 5, 7: 5, 8: 4 }

  function handOut(it, i) {
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
        run(it[i + 1], { message: takeBytes(it[i + 3], it[i + 4]), index: it[i + 2] })
        break
      case 3: // OK_RAW
        run(it[i + 1], takeBytes(it[i + 2], it[i + 3]))
        break
      case 8: // LISTENED
        listeners.set(it[i + 2], it[i + 3])
        run(it[i + 1], it[i + 2])
        break
      default: // WELCOME
        up()
    }
  }

  // A native call of a function leaves the promises that it settles to a later turn of the web
  // engine's loop, which costs more than all the rest of a call. A listener does not: promises are
  // seen to as soon as it is done. So what has come is handed out by one.
  const bell = new EventTarget()
  const ring = new Event('tramline')
  const dispatch = bell.dispatchEvent.bind(bell, ring)
  // What to hand out, and what came of it.
  let given = null
  let givenLen = 0
  let whole = true
  let handing = false

  bell.addEventListener('tramline', () => {
    whole = handOutAll(given, givenLen)
    // Not to be kept from the collector.
    given = null
  })

  // Called with text, with a place in the incoming area, or with null at the end. The text is an
  // array of kinds and their values; see `append_item` of the link.
  function deliver(what, len) {
    // From within itself, in a loop that the page's own code runs: one event is not dispatched twice.
    if (handing) return handOutAll(what, len)
    given = what
    givenLen = len
    whole = false
    handing = true
    dispatch()
    handing = false
    return whole
  }

  function handOutAll(what, len) {
    if (what === null) {
      down()
      return true
    }
    let it
    try {
      const inText = typeof what === 'string'
      it = JSON.parse(inText ? what : decoder.decode(incoming.subarray(what, what + len)))
    } catch {
      return false
    }
    for (let i = 0; i < it.length; ) {
      const at = i
      i += ITEM_LEN[it[i]] || 1
      try {
        handOut(it, at)
      } catch (e) {
        // The others must not suffer, nor be handed out again.
        Promise.reject(e)
      }
    }
    return true
  }

  function up() {
    if (state !== WAITING) return
    state = RING
    flush()
  }

  function down() {
    const was = state
    state = STOCK
    if (was === WAITING) flush()
  }

  function flush() {
    const calls = early
    early = []
    for (const { message, head, json, bytes } of calls) {
      const taken =
        state === RING &&
        head !== null &&
        (bytes === null ? json !== null && sendText(head + '\n' + json) : sendBytes(head, bytes))
      if (!taken) stock(message, json === null ? undefined : json)
    }
  }

  // The page may change what it calls with once it has called.
  function keep(message) {
    const head = headOf(message)
    const { payload } = message
    const raw = isBytes(payload)
    const bytes = raw ? bytesOf(payload) : null
    early.push({
      message: raw && bytes !== null ? { ...message, payload: bytes.slice() } : message,
      head: raw && bytes === null ? null : head,
      json: raw ? null : jsonOf(payload),
      bytes: bytes === null ? null : bytes.slice()
    })
  }

  function postMessage(message) {
    if (state === STOCK) return stock(message)
    if (message.cmd === 'plugin:event|unlisten') forget(message.payload)
    if (state === WAITING) keep(message)
    else if (!send(message)) stock(message)
  }

  function forget(payload) {
    const id = payload && payload.eventId
    if (listeners.has(id)) {
      internals.unregisterCallback(listeners.get(id))
      listeners.delete(id)
    }
  }

  function begin() {
    const pattern = internals.__TAURI_PATTERN__
    if (!native || (pattern && pattern.pattern !== 'brownfield')) return
    incoming = new Uint8Array(AREA_LEN)
    outgoing = new Uint8Array(AREA_LEN)
    state = WAITING
    if (!native.open(deliver, incoming, outgoing, KEY)) {
      state = STOCK
      return
    }
    setTimeout(() => {
      if (state === WAITING) {
        native.close()
        down()
      }
    }, PATIENCE_MS)
  }

  begin()

  Object.defineProperty(internals, 'postMessage', { value: postMessage })
})()
