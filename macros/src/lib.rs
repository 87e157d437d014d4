//! `#[command]` and `commands![..]`, as the `tramline` crate exports them. Depend on that crate;
//! what is written here by the macros names it.

#![forbid(unsafe_code)]

mod command;
mod expand;
mod options;
mod parameter;

use proc_macro::TokenStream;

/// Makes a function a command that peers may invoke by its name.
///
/// The function stays as it is and can be called from Rust. Beside it stands a hidden type of the
/// same name, which [`commands!`] and the server take; `use module::add` brings both. For that
/// reason no other type or module of this name can stand in the same module.
///
/// # Where it runs
///
/// | Written | Runs | Meant for |
/// | --- | --- | --- |
/// | `#[command] fn` | on a worker thread | everything that computes or blocks |
/// | `#[command] async fn` | on the server's executor | everything that waits; its future must be `Send` |
/// | `#[command(inline)] fn` | on the thread that reads the link | what takes less time than a hand-over (about 50 us); a slow one holds up its connection |
///
/// This differs from Tauri, where a plain function runs on the main thread: here it never holds up
/// other calls.
///
/// # Names on the wire
///
/// The command has the function's name. Its arguments have the parameters' names in camelCase:
/// `user_id` is `userId` for the caller, `_x` is `x`, `r#type` is `type`. A parameter that is taken
/// apart where it stands has its struct's name: `Point { x, y }: Point` is `point`.
///
/// - `#[command(rename = "name")]` changes the command's name.
/// - `#[command(rename_all = "snake_case")]` keeps the arguments' names in snake_case;
///   `"camelCase"` is the default. The command's own name is not touched.
///
/// # Once or more
///
/// `#[command(idempotent)]` declares that to run it twice for one call changes nothing that running
/// it once has not. A caller that uses the declaration may repeat a call whose outcome it does not
/// know (`Retry`, feature `retry`); no other command is ever run twice for one call.
///
/// # Parameters and result
///
/// | Parameter | Comes from |
/// | --- | --- |
/// | `T: Deserialize` | the argument of its name |
/// | `Option<T>` | the same; `None` if it is missing or `null` |
/// | `&str`, `&[u8]`, also in an `Option` | the same, without a copy where the codec allows |
/// | `State<T>` | the server's managed values |
/// | `Peer` | the caller |
/// | `Attachment` | the bytes attached under its name |
/// | `Request` | the call: headers, attachments, the body as it came, how long the caller waits |
/// | `Channel<T>` | the argument of its name, a channel of the caller's: sends messages to it |
/// | `ChannelReader<T>` | the same: reads what the caller sends |
/// | `CancelToken` | the call: says when the caller no longer waits |
/// | `Raw` | the body, if it is bytes and no arguments |
///
/// Arguments that no parameter asks for are ignored. If one is missing or of the wrong type, the
/// function does not run and the caller gets a rejection that names it.
///
/// The result is anything that is `Serialize`, or `Raw`; of a `Result`, `Ok` is the answer and `Err`
/// the value the call fails with.
///
/// # Errors
///
/// Refused at compile time, at the place that is wrong:
///
/// - an option other than those above, one that stands twice, or `inline` on an `async fn`;
/// - `self`, type and const parameters, `impl Trait` parameters: the wire names one function.
///   Lifetime parameters are fine;
/// - `unsafe`, `extern` and variadic functions;
/// - a parameter without a name, such as `_` or `(a, b): (u8, u8)`, and two parameters of one name
///   on the wire;
/// - references other than `&str` and `&[u8]`, also inside another type;
/// - more than 12 parameters;
/// - a parameter or result that no codec can carry.
///
/// # Examples
///
/// ```
/// use serde::Serialize;
/// use tramline::{State, command, commands};
///
/// #[derive(Serialize)]
/// struct Found {
///     path: String,
///     size: u64,
/// }
///
/// #[command(inline)]
/// fn add(a: i64, b: i64) -> i64 {
///     a + b
/// }
///
/// #[command]
/// fn find(root: State<'_, String>, file_name: &str, max_size: Option<u64>) -> Result<Found, String> {
///     let found = Found { path: format!("{}/{file_name}", *root), size: 7 };
///     match max_size {
///         Some(max) if found.size > max => Err(format!("{} bytes, the limit is {max}", found.size)),
///         _ => Ok(found),
///     }
/// }
///
/// #[command(rename = "echo.later", rename_all = "snake_case")]
/// async fn echo_later(user_text: String) -> String {
///     user_text
/// }
///
/// let _ = commands![add, find, echo_later];
/// assert_eq!(add(2, 3), 5);
/// ```
#[proc_macro_attribute]
pub fn command(options: TokenStream, item: TokenStream) -> TokenStream {
    expand::command(options.into(), item.into()).into()
}

/// Gathers commands, by their paths, into a `Commands` for the server.
///
/// What stands in it are paths, not calls: `add` or `files::scan`. A trailing comma and an empty
/// list are fine. The order has no meaning; the server refuses two commands of one name.
///
/// # Errors
///
/// At compile time, at the path: what cannot be found, and what has no `#[command]`; a plain
/// function shows up as "expected type, found function".
///
/// # Examples
///
/// ```
/// use tramline::{command, commands};
///
/// mod files {
///     #[tramline::command]
///     pub fn scan(path: &str) -> u64 {
///         path.len() as u64
///     }
/// }
///
/// #[command]
/// fn add(a: i64, b: i64) -> i64 {
///     a + b
/// }
///
/// let names: Vec<_> =
///     commands![add, files::scan].into_entries().map(|(name, ..)| name).collect();
/// assert_eq!(names, ["add", "scan"]);
/// ```
#[proc_macro]
pub fn commands(paths: TokenStream) -> TokenStream {
    expand::commands(paths.into()).into()
}
