  // The ring: memory that the page's process shares with the core. Linux only.

  // Where bytes cross, and how many at once of a body that is longer. Choices: room for most text,
  // and parts that stay in a processor's cache.
  const AREA_LEN = 1 << 21
  const PART_LEN = 1 << 18

  const native = window.__TRAMLINE_NATIVE__
  delete window.__TRAMLINE_NATIVE__

  // Numbers that are drawn at once. A choice: the drawing then costs little for each of them.
  const DRAWN = 1024

  let incoming
  let outgoing

  function ringText(text) {
    return text.length <= MAX_LEN && native.send(text)
  }

  function ringBytes(head, bytes) {
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

  // A long body comes in parts, all but its last one before the item that it belongs to.
  let long = null
  let longAt = 0

  function takePart(place, len, whole) {
    try {
      if (long === null) {
        long = new Uint8Array(whole)
        longAt = 0
      }
      long.set(incoming.subarray(place, place + len), longAt)
      longAt += len
      return true
    } catch {
      // No memory for it.
      long = null
      return false
    }
  }

  // The body of an item, from the incoming area; a negative place is where the last part is, from -1
  // downwards.
  function ringBody(len, place) {
    if (place >= 0) return incoming.slice(place, place + len).buffer
    takePart(-1 - place, len - longAt, len)
    const { buffer } = long
    long = null
    return buffer
  }

  // Tauri draws two random numbers for each call, each into an array of its own. The engine makes such
  // an array a big one then, which costs as much as a tenth of a call. So numbers are drawn many at a
  // time; they are the same engine's, and each is given out once.
  function drawManyAtOnce() {
    const draw = crypto.getRandomValues.bind(crypto)
    const drawn = new Uint32Array(DRAWN)
    let left = 0
    const value = function getRandomValues(array) {
      if (!(array instanceof Uint32Array) || array.length !== 1) return draw(array)
      if (left === 0) {
        draw(drawn)
        left = DRAWN
      }
      left -= 1
      array[0] = drawn[left]
      drawn[left] = 0
      return array
    }
    Object.defineProperty(crypto, 'getRandomValues', { value, configurable: true, writable: true })
  }

  // Gives the ring to `up` once both ways have been tried; `down` hears of its end, or that there is
  // none. False if there can be none.
  function openRing(up, down) {
    incoming = new Uint8Array(AREA_LEN)
    outgoing = new Uint8Array(AREA_LEN)

    // A native call of a function leaves the promises that it settles to a later turn of the web
    // engine's loop, which costs more than all the rest of a call. A listener does not: promises are
    // seen to as soon as it is done. So what has come is taken by one.
    const bell = new EventTarget()
    const ring = new Event('tramline')
    const dispatch = bell.dispatchEvent.bind(bell, ring)
    // What to take, and what came of it.
    let given = null
    let givenLen = 0
    let taken = true
    let taking = false

    bell.addEventListener('tramline', () => {
      taken = take(given, givenLen)
      // Not to be kept from the collector.
      given = null
    })

    // Called with text, with its place in the incoming area, with the place of a part of a body of
    // `whole` bytes, or with null at the end. The text is an array of items; see `append_item` of the
    // link.
    const deliver = (what, len, whole) => {
      if (whole > 0) return takePart(what, len, whole)
      // From within itself, in a loop that the page's own code runs: one event is not dispatched twice.
      if (taking) return take(what, len)
      given = what
      givenLen = len
      taken = false
      taking = true
      dispatch()
      taking = false
      return taken
    }

    // A welcome is an item without values.
    const take = (what, len) => {
      if (what === null) {
        long = null
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
      const welcome = it[0] === 1
      if (welcome) up({ text: ringText, bytes: ringBytes })
      handOutAll(it, welcome ? 1 : 0, ringBody)
      return true
    }
    const opened = native.open(deliver, incoming, outgoing, KEY)
    if (opened) drawManyAtOnce()
    return opened
  }

