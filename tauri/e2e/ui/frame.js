// Tells the page that it is in what it finds, and asks the core without a key.
;(function () {
  const functions = '__TRAMLINE_NATIVE__' in window
  const tell = (asked) => parent.postMessage({ kind: 'frame', functions, asked }, '*')
  fetch('ipc://localhost/count_up', { method: 'POST', body: '{"id":888}', headers: { 'Content-Type': 'application/json' } })
    .then((r) => tell(r.status), () => tell('refused'))
})()
