  // A call, as every hop but Tauri's own sends it: lines of text, and bytes beside them.

  const MAX_LEN = (1 << 28) - (1 << 20)
  const LISTEN = 'plugin:event|listen'
  const UNLISTEN = 'plugin:event|unlisten'
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

  function run(id, data) {
    try {
      internals.runCallback(id, data)
    } catch (e) {
      // Where it would end up after Tauri's own way.
      Promise.reject(e)
    }
  }

