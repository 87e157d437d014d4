//! Reading a command's function, and refusing what cannot be one.

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::visit_mut::VisitMut;
use syn::{
    Attribute, Error, FnArg, GenericArgument, GenericParam, Result, ReturnType, Signature, Type,
    Visibility, token,
};

use crate::options::Options;
use crate::parameter::{InnerLifetimes, Parameter, arguments, bare, parameter};

pub(crate) const GENERIC: &str = "a command cannot be generic: the wire names one function";

/// The traits in core are implemented for tuples up to here.
const MAX_PARAMETERS: usize = 12;

/// A function as it was written; its body is not looked into.
pub(crate) struct Function {
    pub(crate) attrs: Vec<Attribute>,
    pub(crate) vis: Visibility,
    pub(crate) sig: Signature,
    pub(crate) body: TokenStream,
}

impl Parse for Function {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        const NO_FN: &str = "`#[command]` goes on a function with a body";
        let attrs = input.call(Attribute::parse_outer)?;
        let vis = input.parse()?;
        let start = input.fork();
        let sig = input.parse::<Signature>().map_err(|e| {
            // A function with a fault in it is told about the fault.
            let is_fn = start.step(|cursor| {
                let mut at = *cursor;
                while let Some((word, next)) = at.ident() {
                    if word == "fn" {
                        return Ok(((), next));
                    }
                    if !["const", "async", "unsafe", "safe", "extern"].contains(&&*word.to_string())
                    {
                        break;
                    }
                    at = next.literal().map_or(next, |(_, next)| next);
                }
                Err(cursor.error(NO_FN))
            });
            match is_fn {
                Ok(()) => e,
                Err(no_fn) => no_fn,
            }
        })?;
        if !input.peek(token::Brace) {
            return Err(Error::new(sig.ident.span(), NO_FN));
        }
        Ok(Self { attrs, vis, sig, body: input.parse()? })
    }
}

impl quote::ToTokens for Function {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        let Self { attrs, vis, sig, body } = self;
        tokens.extend(quote!(#(#attrs)* #vis #sig #body));
    }
}

/// How the command runs.
#[derive(Clone, Copy)]
pub(crate) enum Runs {
    Inline,
    Blocking,
    Async,
}

/// What the macro knows of the result's type.
pub(crate) enum Answer {
    /// `Result<T, E>`, so written; `_` for a type that cannot be named.
    Result(Box<Type>, Box<Type>),
    /// Anything else, which may be another name for a `Result`. The span is the type's.
    Any(Span),
}

/// A function that can be a command.
pub(crate) struct Command {
    /// On the wire.
    pub(crate) name: String,
    pub(crate) runs: Runs,
    pub(crate) idempotent: bool,
    pub(crate) parameters: Vec<Parameter>,
    pub(crate) answer: Answer,
}

/// Reads what the wire needs to know from the function's head.
///
/// # Errors
///
/// Everything in the head that a command cannot have, gathered.
pub(crate) fn read(function: &Function, options: &Options) -> Result<Command> {
    let sig = &function.sig;
    let mut faults = Faults::default();
    check_head(sig, options, &mut faults);
    let mut inner = InnerLifetimes(sig);
    let mut parameters: Vec<Parameter> = Vec::new();
    for input in &sig.inputs {
        match input {
            FnArg::Receiver(receiver) => faults.add(
                receiver.self_token.span,
                "a command cannot take `self`: make it a function of its own, and hold what it \
                 needs in `State<T>`",
            ),
            FnArg::Typed(typed) => match parameter(typed, options.arg_case, &mut inner) {
                Ok(new) => {
                    if parameters.iter().any(|old| old.name == new.name) {
                        faults.add(
                            typed.pat.span(),
                            format_args!("two parameters are named `{}` on the wire", new.name),
                        );
                    }
                    parameters.push(new);
                }
                Err(fault) => faults.0.push(fault),
            },
        }
    }
    if let Some(extra) = sig.inputs.iter().nth(MAX_PARAMETERS) {
        faults.add(
            extra.span(),
            format_args!(
                "a command takes at most {MAX_PARAMETERS} parameters; put them in a struct"
            ),
        );
    }
    faults.into_result()?;
    Ok(Command {
        name: options.rename.clone().unwrap_or_else(|| sig.ident.unraw().to_string()),
        idempotent: options.idempotent,
        runs: match (options.inline, sig.asyncness) {
            (Some(_), _) => Runs::Inline,
            (None, None) => Runs::Blocking,
            (None, Some(_)) => Runs::Async,
        },
        parameters,
        answer: answer(sig, &mut inner),
    })
}

/// Faults found so far.
#[derive(Default)]
pub(crate) struct Faults(pub(crate) Vec<Error>);

impl Faults {
    pub(crate) fn add(&mut self, span: Span, text: impl std::fmt::Display) {
        self.0.push(Error::new(span, text));
    }

    pub(crate) fn into_result(self) -> Result<()> {
        self.0
            .into_iter()
            .reduce(|mut all, fault| {
                all.combine(fault);
                all
            })
            .map_or(Ok(()), Err)
    }
}

fn check_head(sig: &Signature, options: &Options, faults: &mut Faults) {
    if let (Some(inline), Some(_)) = (options.inline, sig.asyncness) {
        faults.add(inline, "an async command cannot be `inline`: it runs on the server's executor");
    }
    if let Some(word) = &sig.unsafety {
        faults.add(
            word.span,
            "a command cannot be unsafe: its caller, in another process, cannot keep a promise",
        );
    }
    if let Some(abi) = &sig.abi {
        faults.add(abi.extern_token.span, "a command cannot be extern: it is called from Rust");
    }
    if let Some(variadic) = &sig.variadic {
        faults
            .add(variadic.dots.spans[0], "a command cannot be variadic: each argument has a name");
    }
    for generic in &sig.generics.params {
        match generic {
            GenericParam::Lifetime(_) => {}
            GenericParam::Type(generic) => faults.add(generic.ident.span(), GENERIC),
            GenericParam::Const(generic) => faults.add(generic.ident.span(), GENERIC),
        }
    }
}

fn answer(sig: &Signature, inner: &mut InnerLifetimes<'_>) -> Answer {
    let ReturnType::Type(_, ty) = &sig.output else {
        return Answer::Any(sig.ident.span());
    };
    let ty = bare(ty);
    if let Some([GenericArgument::Type(value), GenericArgument::Type(error)]) =
        arguments(ty, "Result").as_deref()
    {
        let mut named = |ty: &Type| {
            let mut opaque = HasOpaque(false);
            opaque.visit_type(ty);
            if opaque.0 {
                return Box::new(Type::Infer(syn::TypeInfer {
                    underscore_token: token::Underscore(ty.span()),
                }));
            }
            let mut ty = ty.clone();
            inner.visit_type_mut(&mut ty);
            Box::new(ty)
        };
        return Answer::Result(named(value), named(error));
    }
    Answer::Any(ty.span())
}

struct HasOpaque(bool);

impl<'ast> Visit<'ast> for HasOpaque {
    fn visit_type_impl_trait(&mut self, opaque: &'ast syn::TypeImplTrait) {
        self.0 = true;
        visit::visit_type_impl_trait(self, opaque);
    }
}
