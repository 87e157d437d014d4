// Asks the core what to do, does it, and reports.
;(async function () {
  const { invoke } = window.__TAURI__.core
  // These pages ask for nothing before they have done their part.
  if (/mute|silent/.test(location.search)) return window.runHostile()
  const task = await invoke('task')
  try {
    if (task === 'test') await window.runCases()
    else if (task === 'bench') await window.runBench()
    else if (task === 'soak') await window.runSoak()
    else if (task === 'hot') await window.runHot()
    else if (task === 'hostile') await window.runHostile()
    else if (task === 'refusals') await window.runRefusals()
    else if (task === 'lost') await window.runLost()
    else if (task === 'lives') await window.runLives()
    else if (task === 'forward') await window.runForward()
  } catch (e) {
    await invoke('report', { text: JSON.stringify({ failed: String(e && e.stack ? e.stack : e) }) })
  }
})()
