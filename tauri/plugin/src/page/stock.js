  // What the page sends Tauri's own way; this file follows Tauri's own script ipc-protocol.js
  // (Apache-2.0 or MIT, the Tauri Programme within The Commons Conservancy).

  const KEY = __INVOKE_KEY__
  const TO_IPC = '__TAURI_TO_IPC_KEY__'
  const internals = window.__TAURI_INTERNALS__

  // Android does not let the core read the body of a request.
  const canUseCustomProtocol = '__TRAMLINE_OS__' !== 'android'
  const FETCH_CHANNEL = 'plugin:__TAURI_CHANNEL__|fetch'
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
    if (!customProtocolFailed && (canUseCustomProtocol || cmd === FETCH_CHANNEL)) {
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

