//! One view: takes the link of each page that it shows, and drops it when the page goes.

use std::cell::{Cell, RefCell};
use std::os::fd::{FromRawFd as _, OwnedFd};
use std::rc::Rc;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use gio::prelude::*;
use tauri::{AppHandle, Manager as _, Url, Webview, Wry};
use tramline_core::PeerIdentity;
use tramline_transport_shm::{Established, ShmTransport, establish};
use tramline_web_link::{HAND_OVER, VERSION, limits};
use webkit2gtk::{LoadEvent, UserMessage, UserMessageExt as _, WebView, WebViewExt as _};

use super::link::Link;
use super::links::Links;
use super::stays_stock;
use crate::Options;

/// How long after a page has loaded its link is missed. A choice: a handshake has ended by then.
const MISSED_AFTER: Duration = Duration::from_secs(3);

/// A view, on the main thread.
struct Hop {
    webview: Webview<Wry>,
    links: Arc<Links>,
    origins: Arc<OnceLock<Vec<String>>>,
    options: Options,
    /// Pages shown so far.
    page: Cell<u64>,
    /// The page that has handed over a socket.
    met: Cell<u64>,
    link: RefCell<Option<Rc<Link>>>,
    /// The log has been told.
    told: Cell<bool>,
}

/// The origins whose pages belong to the app.
pub(super) fn origins_of(app: &AppHandle<Wry>) -> Vec<String> {
    let mut origins = vec!["tauri://localhost".to_owned()];
    if tauri::is_dev()
        && let Some(url) = &app.config().build.dev_url
        && let Some(origin) = origin_of(url)
    {
        origins.push(origin);
    }
    origins
}

/// As the web engine writes an origin into a request.
fn origin_of(url: &Url) -> Option<String> {
    let host = url.host_str()?;
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    Some(format!("{}://{host}{port}", url.scheme()))
}

/// Watches a view from now on.
pub(super) fn watch(
    webview: Webview<Wry>,
    links: Arc<Links>,
    origins: Arc<OnceLock<Vec<String>>>,
    options: Options,
) {
    let for_view = webview.clone();
    let watched = for_view.with_webview(move |platform| {
        let view: WebView = platform.inner();
        let hop = Rc::new(Hop {
            webview,
            links,
            origins,
            options,
            page: Cell::new(0),
            met: Cell::new(0),
            link: RefCell::default(),
            told: Cell::new(false),
        });
        let messages = Rc::clone(&hop);
        view.connect_user_message_received(move |view, message| messages.receive(view, message));
        let loads = Rc::clone(&hop);
        view.connect_load_changed(move |view, event| loads.load_changed(view, event));
        view.connect_web_process_terminated(move |_, _| hop.drop_link());
    });
    if watched.is_err() {
        stays_stock("the view is gone");
    }
}

impl Hop {
    fn receive(self: &Rc<Self>, view: &WebView, message: &UserMessage) -> bool {
        if message.name().as_deref() != Some(HAND_OVER) {
            return false;
        }
        if let Some(other) = version_of(message).filter(|version| *version != VERSION) {
            // Installed beside the app, and not with it.
            self.say(&format!(
                "the web-process extension speaks version {other}, the app {VERSION}; install the \
                 one that belongs to the app"
            ));
        } else if let Err(why) = self.take_socket(view, message) {
            self.say(why);
        }
        true
    }

    fn take_socket(
        self: &Rc<Self>,
        view: &WebView,
        message: &UserMessage,
    ) -> Result<(), &'static str> {
        version_of(message).ok_or("a message without a version")?;
        let files = message.fd_list().map(|list| own(&list)).unwrap_or_default();
        let [socket] = <[OwnedFd; 1]>::try_from(files).map_err(|_| "not one descriptor")?;
        // What the page says of itself does not count.
        let origin = self.local_origin(view).ok_or("a page of another origin")?;
        let page = self.page.get();
        // One for each page: a handshake may keep a thread busy for its time.
        if self.met.replace(page + 1) == page + 1 {
            return Err("a page with a second link");
        }
        let hop = Rc::clone(self);
        glib::MainContext::default().spawn_local(async move {
            let met = gio::spawn_blocking(move || meet(socket)).await;
            if hop.page.get() != page {
                return;
            }
            match met.unwrap_or(Err("the handshake broke off".into())) {
                Ok(transport) => hop.attach(origin, transport),
                Err(why) => hop.say(&why),
            }
        });
        Ok(())
    }

    fn attach(self: &Rc<Self>, origin: Url, transport: ShmTransport) {
        let hop = Rc::downgrade(self);
        let link = Link::attach(
            self.webview.clone(),
            self.webview.app_handle().invoke_key().to_owned(),
            origin,
            Arc::clone(&self.links),
            transport,
            self.options,
            move |why| {
                if let Some(hop) = hop.upgrade() {
                    hop.say(why);
                }
            },
        );
        match link {
            Ok(link) => *self.link.borrow_mut() = Some(link),
            Err(why) => self.say(why),
        }
    }

    fn local_origin(&self, view: &WebView) -> Option<Url> {
        let url = Url::parse(&view.uri()?).ok()?;
        let origin = origin_of(&url)?;
        let ours = self.origins.get()?.contains(&origin);
        if ours { Url::parse(&origin).ok() } else { None }
    }

    fn load_changed(self: &Rc<Self>, view: &WebView, event: LoadEvent) {
        match event {
            LoadEvent::Committed => {
                self.drop_link();
                self.page.set(self.page.get() + 1);
            }
            LoadEvent::Finished if self.local_origin(view).is_some() => {
                let (hop, page) = (Rc::downgrade(self), self.page.get());
                glib::timeout_add_local_once(MISSED_AFTER, move || {
                    if let Some(hop) = hop.upgrade()
                        && hop.page.get() == page
                        && !hop.link.borrow().as_ref().is_some_and(|link| link.is_up())
                    {
                        hop.say("the page has no link; is the web-process extension loaded?");
                    }
                });
            }
            _ => {}
        }
    }

    /// The page, or its process, is gone.
    fn drop_link(&self) {
        // Taken out first: calls that are still served may come back here.
        let link = self.link.borrow_mut().take();
        if let Some(link) = link {
            link.retire();
        }
    }

    /// Says once for each view why its calls go by Tauri's own way.
    fn say(&self, why: &str) {
        if !self.told.replace(true) {
            stays_stock(&format!("page '{}': {why}", self.webview.label()));
        }
    }
}

/// The version that a message states.
fn version_of(message: &UserMessage) -> Option<u32> {
    message.parameters().and_then(|parameters| parameters.get::<u32>())
}

/// The descriptors of a message.
fn own(list: &gio::UnixFDList) -> Vec<OwnedFd> {
    let raw = list.steal_fds();
    // SAFETY: stolen just now, so they are open and nobody else's.
    raw.into_iter().map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }).collect()
}

/// Meets the page's process: blocks, for as long as the handshake's limit at most.
fn meet(socket: OwnedFd) -> Result<ShmTransport, String> {
    match establish(socket, &limits(), PeerIdentity::default()) {
        Ok(Established::Open(transport)) => Ok(transport),
        Ok(Established::Rejected { why, .. }) => Err(why.to_string()),
        Err(error) => Err(error.to_string()),
    }
}
