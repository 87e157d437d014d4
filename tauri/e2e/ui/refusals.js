// The same questions in windows with different capabilities; also run by a page of another origin.
;(function () {
  const internals = window.__TAURI_INTERNALS__
  const handler = () => internals.transformCallback(() => {})
  const any = { kind: 'Any' }
  const questions = {
    'a command of the app': ['nothing'],
    'a command of the app that fails': ['fail', { how: 'text' }],
    'no command of the app': ['nobody'],
    'listen': ['plugin:event|listen', () => ({ event: 'asked', target: any, handler: handler() })],
    'listen to a window': ['plugin:event|listen', () => ({ event: 'asked', target: { kind: 'Window', label: 'main' }, handler: handler() })],
    'listen to a bad name': ['plugin:event|listen', () => ({ event: 'not a name', target: any, handler: handler() })],
    'listen without a target': ['plugin:event|listen', () => ({ event: 'asked', handler: handler() })],
    'unlisten': ['plugin:event|unlisten', { event: 'asked', eventId: 4000000 }],
    'emit': ['plugin:event|emit', { event: 'told', payload: 1 }],
    'emit a bad name': ['plugin:event|emit', { event: 'not a name', payload: 1 }],
    'emit to a window': ['plugin:event|emit_to', { target: { kind: 'Window', label: 'main' }, event: 'told', payload: 1 }],
    'a title': ['plugin:window|title', { label: 'main' }],
    'another title': ['plugin:window|set_title', { label: 'main', value: 'x' }],
    'a new window': ['plugin:webview|create_webview_window', { options: { label: 'new' } }],
    'a version': ['plugin:app|version'],
    'a folder': ['plugin:path|resolve_directory', { directory: 12 }],
    'a resource': ['plugin:resources|close', { rid: 99 }],
    'no command of a plugin': ['plugin:event|nobody'],
    'no command at all': ['plugin:event'],
    'no plugin': ['plugin:nobody|nothing'],
    'a guarded command': ['plugin:guarded|open_it'],
    'another guarded command': ['plugin:guarded|shut_it'],
    'no guarded command': ['plugin:guarded|nobody'],
    'in scope': ['plugin:guarded|scoped', { name: 'a' }],
    'denied by scope': ['plugin:guarded|scoped', { name: 'b' }],
    'out of scope': ['plugin:guarded|scoped', { name: 'c' }]
  }
  const ask = async () => {
    const told = {}
    for (const [name, [command, given]] of Object.entries(questions)) {
      const args = typeof given === 'function' ? given() : given
      told[name] = await internals.invoke(command, args).then(
        (value) => ({ value: name.startsWith('listen') ? typeof value : value }),
        (error) => ({ error })
      )
    }
    return told
  }
  window.runRefusals = async () => {
    const { label } = internals.metadata.currentWebview
    const ring = await internals.invoke('on_ring')
    await internals.invoke('refusals_told', { label, ring, told: await ask() })
  }
  if (location.protocol === 'http:') {
    ask().then((told) => fetch('/told', { method: 'POST', body: JSON.stringify(told) }))
  }
})()
