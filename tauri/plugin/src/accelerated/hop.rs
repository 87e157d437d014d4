//! One view: takes the link of each page that it shows, and drops it when the page goes.

use std::cell::{Cell, RefCell};
use std::net::Shutdown;
use std::os::fd::{FromRawFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use gio::prelude::*;
use tauri::{Manager as _, Url, Webview, Wry};
use tramline_core::PeerIdentity;
use tramline_transport_shm::{Established, ShmTransport, establish};
use tramline_web_link::{HAND_OVER, VERSION, limits};
use webkit2gtk::{LoadEvent, UserMessage, UserMessageExt as _, WebView, WebViewExt as _};

use super::fault::Fault;
use super::link::Link;
use super::{report, without_ring};
use crate::Options;
use crate::links::Links;
use crate::origins::{Origins, origin_of};

/// How long after a page has loaded its link is missed. A choice: a handshake has ended by then.
const MISSED_AFTER: Duration = Duration::from_secs(3);

/// Handshakes of one view at once. A choice: those of pages that were gone at once, as after some
/// redirects, are over before as many more have come.
const MAX_MEETINGS: usize = 4;

/// Lines about one page in the log. A choice: enough to see what it is at.
const MAX_LINES: usize = 4;

/// A view, on the main thread.
struct Hop {
    webview: Webview<Wry>,
    links: Arc<Links>,
    origins: Arc<Origins>,
    options: Options,
    /// Pages shown so far.
    page: Cell<u64>,
    /// The origin of the page that the view shows, if it is one of ours. Not the view's address: that
    /// is where a navigation leads as soon as one has begun.
    shown: RefCell<Option<Url>>,
    /// The page that has handed over a socket.
    met: Cell<u64>,
    /// The handshake of this page, for it to be broken off.
    meeting: RefCell<Option<UnixStream>>,
    /// Handshakes under way, those of pages that are gone included.
    meetings: Cell<usize>,
    link: RefCell<Option<Rc<Link>>>,
    /// The log has been told why there is no link.
    told: Cell<bool>,
    /// The log has been told of an extension of another version.
    version_told: Cell<bool>,
    /// Lines that this page has brought into the log.
    lines: Cell<usize>,
}

/// Watches a view from now on.
pub(super) fn watch(
    webview: Webview<Wry>,
    links: Arc<Links>,
    origins: Arc<Origins>,
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
            shown: RefCell::default(),
            met: Cell::new(0),
            meeting: RefCell::default(),
            meetings: Cell::new(0),
            link: RefCell::default(),
            told: Cell::new(false),
            version_told: Cell::new(false),
            lines: Cell::new(0),
        });
        let messages = Rc::clone(&hop);
        view.connect_user_message_received(move |_, message| messages.receive(message));
        let loads = Rc::clone(&hop);
        view.connect_load_changed(move |view, event| loads.load_changed(view, event));
        view.connect_web_process_terminated(move |_, _| hop.page_goes(None));
    });
    if watched.is_err() {
        without_ring("the view is gone");
    }
}

impl Hop {
    fn receive(self: &Rc<Self>, message: &UserMessage) -> bool {
        if message.name().as_deref() != Some(HAND_OVER) {
            return false;
        }
        if let Err(fault) = self.take_socket(message) {
            self.report(&fault);
        }
        true
    }

    fn take_socket(self: &Rc<Self>, message: &UserMessage) -> Result<(), Fault> {
        let version = version_of(message).ok_or(Fault::HandOver("a message without a version"))?;
        if version != VERSION {
            // Installed beside the app, and not with it.
            return Err(Fault::Version(version));
        }
        let files = message.fd_list().map(|list| own(&list)).unwrap_or_default();
        let files = <[OwnedFd; 1]>::try_from(files);
        let [socket] = files.map_err(|_| Fault::HandOver("not one descriptor"))?;
        // What the page says of itself does not count.
        let origin = self.shown.borrow().clone().ok_or(Fault::Origin)?;
        let page = self.page.get();
        // One for each page: a handshake may keep a thread busy for its time.
        if self.met.replace(page + 1) == page + 1 {
            return Err(Fault::SecondLink);
        }
        // Those of earlier pages were broken off, and end as soon as their threads see it.
        if self.meetings.get() >= MAX_MEETINGS {
            return Err(Fault::Busy);
        }
        let other = socket.try_clone().map_err(|error| Fault::Handshake(error.to_string()))?;
        *self.meeting.borrow_mut() = Some(UnixStream::from(other));
        self.meetings.set(self.meetings.get() + 1);
        let hop = Rc::clone(self);
        glib::MainContext::default().spawn_local(async move {
            let met = gio::spawn_blocking(move || meet(socket)).await;
            hop.meetings.set(hop.meetings.get() - 1);
            if hop.page.get() != page {
                return;
            }
            hop.meeting.take();
            match met.unwrap_or(Err("it broke off".into())) {
                Ok(transport) => hop.attach(origin, transport),
                Err(why) => hop.report(&Fault::Handshake(why)),
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
            move |fault| {
                if let Some(hop) = hop.upgrade() {
                    hop.report(fault);
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
        let ours = self.origins.has(&origin);
        if ours { Url::parse(&origin).ok() } else { None }
    }

    fn load_changed(self: &Rc<Self>, view: &WebView, event: LoadEvent) {
        match event {
            LoadEvent::Committed => self.page_goes(self.local_origin(view)),
            LoadEvent::Finished if self.shown.borrow().is_some() => {
                let (hop, page) = (Rc::downgrade(self), self.page.get());
                glib::timeout_add_local_once(MISSED_AFTER, move || {
                    if let Some(hop) = hop.upgrade()
                        && hop.page.get() == page
                        // Else the log has said it already.
                        && hop.lines.get() == 0
                        && !hop.link.borrow().as_ref().is_some_and(|link| link.is_up())
                    {
                        hop.say("the page has no link; is the web-process extension loaded?");
                    }
                });
            }
            _ => {}
        }
    }

    /// The page, or its process, is gone; what the view shows now has this origin of ours.
    fn page_goes(&self, shown: Option<Url>) {
        *self.shown.borrow_mut() = shown;
        self.page.set(self.page.get() + 1);
        self.lines.set(0);
        if let Some(meeting) = self.meeting.take() {
            // Fails only if the other end is gone already, which is what is wanted.
            let _ = meeting.shutdown(Shutdown::Both);
        }
        // Taken out first: calls that are still served may come back here.
        let link = self.link.borrow_mut().take();
        if let Some(link) = link {
            link.retire();
        }
    }

    /// Says what the page did. It may do it for ever, so not for ever.
    fn report(&self, fault: &Fault) {
        // That is nothing a page has done, and each page of the view brings it again.
        if matches!(fault, Fault::Version(_)) && self.version_told.replace(true) {
            return;
        }
        if self.lines.replace(self.lines.get().saturating_add(1)) < MAX_LINES {
            report(self.webview.label(), fault);
        }
    }

    /// Says once for each view why its calls do not go through the ring.
    fn say(&self, why: &str) {
        if !self.told.replace(true) {
            without_ring(&format!("page '{}': {why}", self.webview.label()));
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
