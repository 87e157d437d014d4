  // The portable hop: the calls of one microtask in one request to the plugin's own scheme, and what
  // the core has to say as the answers. See the core's `portable/post.rs` and `portable/queue.rs`.

  const SCHEME = 'tramline'
  // Calls of one request, and characters of their text. Choices: the crossing then costs little for
  // each of them, and the core is not kept from others for long.
  const BATCH_CALLS = 1024
  const BATCH_LEN = 1 << 20
  // From here on a body has a request of its own, which saves a copy. Its call stands in the address,
  // if it is not too long for that.
  const ALONE_LEN = 1 << 14
  const ADDRESS_LEN = 4096
  // How long to wait for word that the page's policy has forbidden a request.
  const POLICY_MS = 50
  const nothing = () => new ArrayBuffer(0)
  // The same words as the ring's.
  const LOST = 'tramline: the link to the core was lost; the call may have run'
  const NO_JSON = 'tramline: the answer is no JSON'

  // A policy may come after the link: the page's document can hold one.
  let forbidden = false
  document.addEventListener('securitypolicyviolation', (e) => {
    if (String(e.blockedURI).includes(SCHEME)) forbidden = true
  })

  // The page may put its own in this place, which should not see the key.
  const engineFetch = window.fetch.bind(window)

  // No header of our own and no kind of content that needs leave: such requests go at once.
  function ask(path, body) {
    return engineFetch(internals.convertFileSrc(path, SCHEME), { method: 'POST', body })
  }

  // A link, if the core gives one. `lost` is called once when it is over, with the calls that were
  // certainly not made.
  function openPortable(why, lost) {
    return ask('hello', KEY + '\n' + why).then((response) => {
      if (!response.ok) throw new Error('refused')
      return response.text().then((token) => portableLink(token, lost))
    })
  }

  function portableLink(token, lost) {
    let over = false
    // Requests that the core has not answered. It needs one to speak first.
    let open = 0
    // Requests that are not done with.
    const live = new Set()
    // Requests with calls so far.
    let posts = 0
    // What was in requests that failed, and what must end before it is known what became of them.
    let failed = []
    let recovering = null
    // Calls without an answer: by the page's function for the result, the one for the error.
    const pending = new Map()
    // Of the next batch: calls, their text, and bodies.
    let calls = []
    let text = ''
    let bodies = []
    let bodiesLen = 0
    // The next response to be handed out, and those that came before their turn.
    let next = 1
    const early = new Map()

    // `json` is what a call with text is made of if it has to go another way.
    function add(message, json, lines) {
      if (calls.length === 0) queueMicrotask(post)
      calls.push({ message, json })
      text = text === '' ? lines : text + '\n' + lines
      pending.set(message.callback, message.error)
      if (calls.length >= BATCH_CALLS || text.length >= BATCH_LEN) post()
    }

    function post() {
      if (calls.length === 0 || over) return
      const sent = calls
      const body = bodies.length === 0 ? text : framed()
      const path = bodies.length === 0 ? '/t' : '/b'
      calls = []
      text = ''
      bodies = []
      bodiesLen = 0
      request(path, body, sent)
    }

    function framed() {
      const lines = encoder.encode(text)
      const whole = new Uint8Array(bodiesLen + lines.length + 4)
      let at = 0
      for (const bytes of bodies) {
        whole.set(bytes, at)
        at += bytes.length
      }
      whole.set(lines, at)
      new DataView(whole.buffer).setUint32(at + lines.length, lines.length, true)
      return whole
    }

    function request(path, body, sent) {
      const mark = {}
      live.add(mark)
      open += 1
      if (sent.length > 0) posts += 1
      ask(token + path, body).then(
        (response) => {
          open -= 1
          if (over) return
          if (response.status === 400) {
            response.text().then((why) => reject(sent, why))
            done(mark)
          } else if (!response.ok) {
            // The core has no such link: it did nothing.
            end(sent)
          } else {
            // Broken off on its way: what it held is lost.
            read(response).then(() => done(mark), () => end([]))
            pollIfNone()
          }
        },
        () => {
          open -= 1
          if (over) return
          failed.push(sent)
          recover()
          done(mark)
        }
      )
    }

    function done(mark) {
      live.delete(mark)
      if (over) return
      if (recovering !== null && recovering.waits.delete(mark)) recovered()
      pollIfNone()
    }

    function pollIfNone() {
      if (open === 0 && recovering === null && !over) poll()
    }

    // Requests have failed: the page may have stopped them, or its policy forbids them. The core says
    // how many have come, and how many responses have gone.
    function recover() {
      if (recovering !== null) return
      recovering = { waits: new Set(), responses: null }
      const sent = posts
      ask(token + '/s', '').then((response) => (response.ok ? response.json() : Promise.reject())).then(
        ([came, responses]) => {
          if (over) return
          const missing = failed.filter((calls) => calls.length > 0)
          failed = []
          recovering.waits = new Set(live)
          recovering.responses = responses
          // None of them came, or all of them did; else it is not known which.
          if (came + missing.length === sent) recovering.again = missing.flat()
          else if (came !== sent) return end([])
          recovered()
        },
        () => {
          const calls = failed.flat()
          // A request that the policy forbids has not gone. Of any other that is not known.
          if (forbidden) end(calls)
          else setTimeout(() => end(forbidden ? calls : []), POLICY_MS)
        }
      )
    }

    function recovered() {
      const { waits, responses, again } = recovering
      if (responses === null || (next <= responses && waits.size > 0)) return
      // A response has gone, and has not come.
      if (next <= responses) return end([])
      recovering = null
      for (const { message, json } of again || []) {
        const head = headOf(message)
        if (json === undefined) link.bytes(head, bytesOf(message.payload), message)
        else link.text(head + '\n' + json, message, json)
      }
      pollIfNone()
    }

    function poll() {
      request('/p', '', [])
    }

    function read(response) {
      const items = response.headers.get('Tramline-Items')
      if (items !== null) {
        // Not `take`s own: what a page does wrong with an answer is no fault of the link.
        return response.arrayBuffer().then((whole) => void take(JSON.parse(items), () => whole))
      }
      if (response.headers.get('content-type').startsWith('application/json')) {
        return response.text().then((text) => take(parse(text), nothing))
      }
      return response.arrayBuffer().then((whole) => {
        const end = whole.byteLength - 4
        const at = end - new DataView(whole).getUint32(end, true)
        const it = parse(decoder.decode(new Uint8Array(whole, at, end - at)))
        take(it, (len, offset) => whole.slice(offset, offset + len))
      })
    }

    // One item is not JSON if a command says that something is which is not. The others must not
    // suffer: each stands on a line of its own.
    function parse(text) {
      try {
        return JSON.parse(text)
      } catch {
        const [number, ...lines] = text.slice(1, -1).split('\n,')
        const it = [Number(number)]
        for (const line of lines) {
          try {
            it.push(...JSON.parse('[' + line + ']'))
          } catch {
            const [kind, id] = line.split(',', 2).map(Number)
            if (kind === 2 && pending.has(id)) it.push(4, pending.get(id), NO_JSON)
          }
        }
        return it
      }
    }

    function take(it, body) {
      if (it[0] === 0 || over) return
      if (it[0] !== next) {
        early.set(it[0], [it, body])
        return
      }
      hand(it, body)
      while (early.has(next)) {
        const [it, body] = early.get(next)
        early.delete(next)
        hand(it, body)
      }
    }

    function hand(it, body) {
      next += 1
      // Before the page's functions, which may call again.
      for (let i = 1; i < it.length; i += ITEM_LEN[it[i]] || 1) {
        if (it[i] === 4) answeredBad(it[i + 1])
        else if (it[i] === 2 || it[i] === 3 || it[i] === 8) pending.delete(it[i + 1])
      }
      handOutAll(it, 1, body)
    }

    function answeredBad(error) {
      for (const [callback, itsError] of pending) {
        if (itsError === error) {
          pending.delete(callback)
          return
        }
      }
    }

    function reject(calls, why) {
      for (const { message: { callback, error } } of calls) {
        pending.delete(callback)
        run(error, why)
      }
    }

    // Nothing goes this way any more. Calls that did not go do so another way.
    function end(unsent) {
      if (over) return
      over = true
      const rest = unsent.concat(calls)
      for (const { message } of rest) pending.delete(message.callback)
      const errors = [...pending.values()]
      pending.clear()
      lost(rest)
      for (const error of errors) run(error, LOST)
    }

    const link = {
      text(lines, message, json) {
        add(message, json, lines)
        return true
      },
      bytes(head, bytes, message) {
        if (bytes.length < ALONE_LEN) {
          // The page may change them before they go.
          const own = bytes.slice()
          bodies.push(own)
          bodiesLen += own.length
          add({ ...message, payload: own }, undefined, head + '\n#' + own.length)
          return true
        }
        if (head.length > ADDRESS_LEN) return false
        // Behind those before it.
        post()
        pending.set(message.callback, message.error)
        request('/r/' + head, bytes, [{ message }])
        return true
      }
    }
    poll()
    return link
  }

