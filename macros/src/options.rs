//! What stands in the parentheses of `#[command(..)]`.

use heck::{ToLowerCamelCase, ToSnakeCase};
use proc_macro2::Span;
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::{Error, Ident, LitStr, Result, Token};

const KNOWN: &str = "known are `idempotent`, `inline`, `rename = \"name\"` and \
                     `rename_all = \"snake_case\"` or `\"camelCase\"`";

/// The envelope counts a name's bytes in one byte: `docs/WIRE-FORMAT.md`.
const MAX_NAME_LEN: usize = 255;

/// How argument names look on the wire.
#[derive(Clone, Copy, Default)]
pub(crate) enum ArgCase {
    #[default]
    Camel,
    Snake,
}

impl ArgCase {
    pub(crate) fn apply(self, name: &str) -> String {
        match self {
            Self::Camel => name.to_lower_camel_case(),
            Self::Snake => name.to_snake_case(),
        }
    }
}

#[derive(Default)]
pub(crate) struct Options {
    /// Where `inline` stands.
    pub(crate) inline: Option<Span>,
    pub(crate) idempotent: bool,
    pub(crate) rename: Option<String>,
    pub(crate) arg_case: ArgCase,
}

impl Parse for Options {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let mut options = Self::default();
        let mut seen: Vec<String> = Vec::new();
        while !input.is_empty() {
            if !input.peek(Ident::peek_any) {
                return Err(input.error(format_args!("expected an option: {KNOWN}")));
            }
            let key = Ident::parse_any(input)?;
            let name = key.to_string();
            match &*name {
                "idempotent" => options.idempotent = true,
                "inline" => options.inline = Some(key.span()),
                "rename" => options.rename = Some(command_name(&text(input, &key)?)?),
                "rename_all" => options.arg_case = arg_case(&text(input, &key)?)?,
                "async" => {
                    return Err(Error::new(
                        key.span(),
                        format_args!(
                            "unknown option `async`: a plain fn runs on a worker thread already \
                             and blocks no other call; {KNOWN}"
                        ),
                    ));
                }
                _ => {
                    return Err(Error::new(
                        key.span(),
                        format_args!("unknown option `{name}`: {KNOWN}"),
                    ));
                }
            }
            if seen.contains(&name) {
                return Err(Error::new(key.span(), format_args!("option `{name}` stands twice")));
            }
            seen.push(name);
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(options)
    }
}

fn text(input: ParseStream<'_>, key: &Ident) -> Result<LitStr> {
    let wanted = || Error::new(key.span(), format_args!("option `{key}` takes a text: {KNOWN}"));
    input.parse::<Token![=]>().map_err(|_| wanted())?;
    input.parse().map_err(|_| wanted())
}

fn command_name(literal: &LitStr) -> Result<String> {
    let name = literal.value();
    match name.len() {
        0 => Err(Error::new(literal.span(), "a command's name cannot be empty")),
        1..=MAX_NAME_LEN => Ok(name),
        len => Err(Error::new(
            literal.span(),
            format_args!("a command's name is at most {MAX_NAME_LEN} bytes, this is {len}"),
        )),
    }
}

fn arg_case(literal: &LitStr) -> Result<ArgCase> {
    match &*literal.value() {
        "camelCase" => Ok(ArgCase::Camel),
        "snake_case" => Ok(ArgCase::Snake),
        other => Err(Error::new(
            literal.span(),
            format_args!("`rename_all` is \"snake_case\" or \"camelCase\", not {other:?}"),
        )),
    }
}
