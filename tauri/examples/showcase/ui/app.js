// Puts the panels together.
;(async function () {
  const { invoke } = window.__TAURI__.core
  const tabs = [...document.querySelectorAll('nav button')]

  window.showPanel = (name) => {
    for (const tab of tabs) tab.setAttribute('aria-selected', tab.dataset.panel === name)
    for (const panel of document.querySelectorAll('.panel')) panel.classList.toggle('shown', panel.id === name)
    for (const tab of tabs) if (tab.dataset.panel !== name) window[tab.dataset.panel].hidden?.()
    return window[name].shown()
  }
  // What goes wrong, panels say themselves.
  const show = (name) => Promise.resolve(window.showPanel(name)).catch(() => {})
  for (const tab of tabs) tab.onclick = () => show(tab.dataset.panel)

  const about = await invoke('about')
  const way = document.getElementById('way')
  way.classList.toggle('fast', about.accelerated)
  way.lastElementChild.textContent = about.accelerated ? 'this window is accelerated' : 'this window is stock Tauri'
  way.title = about.accelerated ? 'start with --stock to see it without' : 'its page and its commands are the same'

  await window.files.start()
  if (about.smoke) return window.smoke(about)
  window.sidecar.start().catch(() => {})
  show(tabs.some((tab) => tab.dataset.panel === about.panel) ? about.panel : 'speed')
  window.speed.run()
})()
