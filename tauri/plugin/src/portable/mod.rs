//! The portable way: calls go in batches to a URI scheme of our own, which every system's web engine
//! has, and messages come back as the answers.
//!
//! A page begins with a hello that holds Tauri's invoke key, and gets a token. Its posts hold the
//! calls of one microtask. What there is to say, be it answers, events or messages of channels, is the
//! answer to the newest request of the page that waits; the page sees to it that there always is one.
//!
//! | file | does |
//! |---|---|
//! | `post` | what a page posts, taken apart |
//! | `page` | one page: its calls, served in turns of the main loop |
//! | `queue` | what waits for a page, and the requests that it can be answered with |
//! | `main_loop` | something is done at the loop's next turn |
//!
//! The page's end is `page/portable.js`.

mod main_loop;
mod page;
mod post;
mod queue;

use std::collections::HashMap;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tauri::http::header::{HeaderValue, ORIGIN};
use tauri::http::{Method, Request, Response, StatusCode};
use tauri::{AppHandle, UriSchemeResponder, Url, Webview, Wry};

use self::page::Page;
use self::post::{Asked, Read};
use self::queue::{JSON, TEXT, gone, response};
use crate::links::Links;
use crate::origins::{Origins, origin_of};

/// The scheme, and how a content security policy names it.
pub(crate) const SCHEME: &str = "tramline";

/// A view: the origin of the page that it shows, if that is the app's, and the page's link.
struct View {
    webview: Webview<Wry>,
    origin: Option<Url>,
    page: Option<Arc<Page>>,
}

/// What becomes of a request.
enum What {
    Answer(Response<Vec<u8>>),
    /// It is answered with what they give, or with what comes next.
    Calls(Arc<Page>, Vec<Read>),
}

/// The app's views.
pub(crate) struct Views {
    views: Mutex<HashMap<String, View>>,
    links: Arc<Links>,
    origins: Arc<Origins>,
    /// The app's calls are such as only Tauri can read.
    withheld: AtomicBool,
}

impl Views {
    pub(crate) fn new(links: Arc<Links>, origins: Arc<Origins>) -> Self {
        Self { views: Mutex::default(), links, origins, withheld: AtomicBool::new(false) }
    }

    /// No page gets a link.
    pub(crate) fn withhold(&self) {
        // Relaxed: set before there is a page.
        self.withheld.store(true, Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, View>> {
        self.views.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The view shows another page from now on.
    pub(crate) fn shows(&self, webview: &Webview<Wry>, url: &Url) {
        let origin = origin_of(url).filter(|origin| self.origins.has(origin));
        let origin = origin.and_then(|origin| Url::parse(&origin).ok());
        let view = View { webview: webview.clone(), origin, page: None };
        let old = self.lock().insert(webview.label().to_owned(), view);
        // Nothing is locked: somebody may be told of it.
        if let Some(page) = old.and_then(|view| view.page) {
            page.retire();
        }
    }

    /// The page's process is gone.
    #[cfg(target_os = "linux")]
    pub(crate) fn lost(&self, label: &str) {
        let page = self.lock().get_mut(label).and_then(|view| view.page.take());
        if let Some(page) = page {
            page.retire();
        }
    }

    /// The window is closed, and its views with it.
    pub(crate) fn closed(&self, window: &str) {
        let mut closed = Vec::new();
        self.lock().retain(|_, view| {
            let is_open = view.webview.window().label() != window;
            if !is_open {
                closed.extend(view.page.take());
            }
            is_open
        });
        closed.into_iter().for_each(|page| page.retire());
    }

    /// Answers a request of a page, now or later. On the main thread.
    pub(crate) fn serve(
        &self,
        app: &AppHandle<Wry>,
        label: &str,
        request: Request<Vec<u8>>,
        responder: UriSchemeResponder,
    ) {
        let nobody = HeaderValue::from_static("null");
        let origin = request.headers().get(ORIGIN).cloned().unwrap_or(nobody);
        match self.look_at(app, label, request, &origin) {
            What::Answer(answer) => responder.respond(answer),
            What::Calls(page, calls) => page.take(calls, responder),
        }
    }

    fn look_at(
        &self,
        app: &AppHandle<Wry>,
        label: &str,
        request: Request<Vec<u8>>,
        origin: &HeaderValue,
    ) -> What {
        let refusal = |status, why: &str| {
            What::Answer(response(status, TEXT, why.as_bytes().to_vec(), origin))
        };
        if request.method() != Method::POST {
            return refusal(StatusCode::METHOD_NOT_ALLOWED, "only POST");
        }
        let (token, asked) = match post::read_path(request.uri().path()) {
            Ok(found) => found,
            Err(why) => return refusal(StatusCode::BAD_REQUEST, why),
        };
        if asked == Asked::Hello {
            let (key, why) = post::read_hello(request.body());
            return match self.begin(app, label, origin, key, why) {
                Ok(token) => {
                    What::Answer(response(StatusCode::OK, TEXT, token.into_bytes(), origin))
                }
                Err(why) => refusal(StatusCode::FORBIDDEN, why),
            };
        }
        let page = self.lock().get(label).and_then(|view| view.page.clone());
        // A page that has gone may still have requests under way. A frame of another origin has no
        // business here, whatever it knows.
        let page = page.filter(|page| {
            page.has_token(&token) && !page.is_over() && same_origin(page.origin(), origin)
        });
        let Some(page) = page else { return What::Answer(gone(origin)) };
        if asked == Asked::State {
            return What::Answer(response(StatusCode::OK, JSON, page.state().into_bytes(), origin));
        }
        match post::read_calls(&asked, request.into_body(), page.origin()) {
            Ok(calls) => What::Calls(page, calls),
            Err(why) => refusal(StatusCode::BAD_REQUEST, why),
        }
    }

    /// A page begins: its token.
    fn begin(
        &self,
        app: &AppHandle<Wry>,
        label: &str,
        origin: &HeaderValue,
        key: &[u8],
        why: String,
    ) -> Result<String, &'static str> {
        if self.withheld.load(Ordering::Relaxed) {
            return Err("the app's calls are for Tauri's own handler");
        }
        // What the page says of itself does not count; but who asks must be who is shown.
        let view = self.lock().get(label).map(|view| (view.webview.clone(), view.origin.clone()));
        let (webview, shown) = view.ok_or("no such view")?;
        let shown = shown.ok_or("a page of another origin")?;
        let shown_text = HeaderValue::from_str(shown.as_str()).map_err(|_| "no origin")?;
        if !same_origin(&shown_text, origin) {
            return Err("a page of another origin");
        }
        if key != app.invoke_key().as_bytes() {
            return Err("a wrong invoke key");
        }
        let token = random_token();
        let links = Arc::clone(&self.links);
        let page = Page::new(token.clone(), why, webview, shown, origin.clone(), links)?;
        let old = self.lock().get_mut(label).and_then(|view| view.page.replace(page));
        if let Some(old) = old {
            old.retire();
        }
        Ok(token)
    }
}

/// URLs end with a slash, origins do not.
fn same_origin(one: &HeaderValue, other: &HeaderValue) -> bool {
    let bytes = |value: &HeaderValue| {
        let bytes = value.as_bytes();
        bytes.strip_suffix(b"/").unwrap_or(bytes).to_vec()
    };
    bytes(one) == bytes(other)
}

/// 128 random bits: the keys of a `RandomState` are the system's.
fn random_token() -> String {
    let random = || RandomState::new().build_hasher().finish();
    format!("{:016x}{:016x}", random(), random())
}
