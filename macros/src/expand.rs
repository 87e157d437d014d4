//! Writing the code that stands beside a command's function.

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::parse::{Parse, ParseStream};
use syn::{Error, Ident, Path, Result, Token};

use crate::command::{self, Answer, Command, Function, Runs};
use crate::options::Options;
use crate::parameter::{Parameter, Takes};

/// `#[command]`.
pub(crate) fn command(options: TokenStream, item: TokenStream) -> TokenStream {
    let function = match syn::parse2::<Function>(item.clone()) {
        Ok(function) => function,
        Err(fault) => {
            let fault = fault.to_compile_error();
            return quote!(#item #fault);
        }
    };
    let command =
        syn::parse2::<Options>(options).and_then(|options| command::read(&function, &options));
    match command {
        Ok(command) => {
            let beside = beside(&function, &definition(&function, &command));
            let quiet = quiet(&function, &command);
            quote!(#quiet #function #beside)
        }
        Err(fault) => {
            let fault = fault.to_compile_error();
            // A method can have no type beside it.
            let beside = function.sig.receiver().is_none().then(|| beside(&function, &stub()));
            quote!(#function #beside #fault)
        }
    }
}

/// A command takes its parameters by value because they come from the wire, and is async because
/// that says where it runs.
fn quiet(function: &Function, command: &Command) -> TokenStream {
    let by_value =
        (!command.parameters.is_empty()).then(|| quote!(#[allow(clippy::needless_pass_by_value)]));
    let unused = function.sig.asyncness.map(|_| quote!(#[allow(clippy::unused_async)]));
    quote!(#by_value #unused)
}

/// The type of the function's name, and its implementation. Needs no `cfg` of its own: where the
/// function's is false, the macro is not called.
fn beside(function: &Function, definition: &TokenStream) -> TokenStream {
    let Function { attrs, vis, sig, .. } = function;
    // Found where the function's name is found, but written by us: lints about names, docs and
    // derives leave it alone.
    let name = beside_name(&sig.ident);
    let docs = attrs.iter().filter(|attr| attr.path().is_ident("doc"));
    let deprecated = attrs
        .iter()
        .any(|attr| attr.path().is_ident("deprecated"))
        .then(|| quote!(#[allow(deprecated)]));
    quote! {
        #(#docs)*
        #[doc(hidden)]
        #vis struct #name {}

        #deprecated
        const _: () = {
            #[automatically_derived]
            impl ::tramline::__private::Command for #name {
                #definition
            }
        };
    }
}

fn beside_name(function: &Ident) -> Ident {
    let mut name = function.clone();
    name.set_span(Span::call_site().located_at(function.span()));
    name
}

/// Stands in for a refused command, so that the refusal is all the compiler says.
fn stub() -> TokenStream {
    quote! {
        const NAME: &'static str = "";
        const ARGS: &'static [&'static str] = &[];
        const HANDLER: ::tramline::__private::Handler =
            ::tramline::__private::Handler::Inline(|_| {});
    }
}

fn definition(function: &Function, command: &Command) -> TokenStream {
    let name = &command.name;
    let idempotent = command.idempotent.then(|| {
        quote!(
            const IDEMPOTENT: bool = true;
        )
    });
    let names = command.parameters.iter().map(|parameter| &parameter.name);
    let handler = match command.runs {
        Runs::Inline => direct(function, command, &quote!(Inline)),
        Runs::Blocking => direct(function, command, &quote!(Blocking)),
        Runs::Async => started(function, command),
    };
    let types = types(function, command);
    quote! {
        const NAME: &'static str = #name;
        const ARGS: &'static [&'static str] = &[#(#names),*];
        #idempotent
        const HANDLER: ::tramline::__private::Handler = #handler;
        #types
    }
}

/// What the command says of its types: how each argument is read, and what the compiler finds the
/// function to return. Nothing in it runs the function.
fn types(function: &Function, command: &Command) -> TokenStream {
    let name = &function.sig.ident;
    let args = command.parameters.iter().map(|parameter| {
        let (name, ty) = (&parameter.name, decoded_type(parameter));
        let parameter = quote!((&::tramline::__private::Parameter::<#ty>::NEW));
        quote! {
            .parameter(
                #name,
                #parameter.source(),
                ::tramline::__private::ValueType::lent(
                    ::core::any::type_name::<#ty>,
                    |from, see| {
                        let value = #parameter.read(from)?;
                        (&::tramline::__private::Seen(&value)).hand_over(see);
                        ::core::result::Result::Ok(())
                    },
                    |prober, see| {
                        let value = #parameter.probe(prober)?;
                        (&::tramline::__private::Seen(&value)).hand_over(see);
                        ::core::result::Result::Ok(())
                    },
                ),
            )
        }
    });
    let passed = command.parameters.iter().map(|_| quote!(::tramline::__private::never()));
    let awaited = function.sig.asyncness.map(|_| quote!(.awaited()));
    let for_args = (!command.parameters.is_empty()).then(|| {
        quote! {
            use ::tramline::__private::{
                ViaArg as _, ViaNoArg as _, ViaNothing as _, ViaSerialize as _,
            };
        }
    });
    quote! {
        fn types() -> ::core::option::Option<::tramline::__private::CommandTypes> {
            use ::tramline::__private::{
                ReadableType as _, SplitResult as _, SplitValue as _, WrittenType as _,
            };
            #for_args
            let returned =
                ::tramline::__private::Returned::by(|| #name(#(#passed),*)) #awaited;
            let (value, error) = (&returned).split();
            ::core::option::Option::Some(
                ::tramline::__private::CommandTypes::new()
                    #(#args)*
                    .result((&value).value_type())
                    .error((&error).value_type()),
            )
        }
    }
}

/// A handler that is done when it returns.
fn direct(function: &Function, command: &Command, kind: &TokenStream) -> TokenStream {
    let call = local("call");
    let run = run(function, command, &quote!(#call), None);
    quote! {{
        fn __run(#call: &::tramline::__private::Call<'_>) {
            #run
        }
        ::tramline::__private::Handler::#kind(__run)
    }}
}

/// A handler that gives a future.
fn started(function: &Function, command: &Command) -> TokenStream {
    let (call, view) = (local("call"), local("view"));
    let run = run(function, command, &quote!(&#view), Some(quote!(.await)));
    // A future that is not `Send` is reported here.
    let boxed = quote_spanned! {Span::call_site().located_at(function.sig.ident.span())=>
        ::std::boxed::Box::pin(async move {
            {
                let #view = #call.view().never_blocking();
                #run
            }
            #call.answered();
        })
    };
    quote! {{
        fn __start(
            mut #call: ::tramline::__private::OwnedCall,
        ) -> ::tramline::__private::CommandFuture {
            #boxed
        }
        ::tramline::__private::Handler::Async(__start)
    }}
}

/// Arguments, function, answer. `call` is an expression for a `&Call<'_>`.
fn run(
    function: &Function,
    command: &Command,
    call: &TokenStream,
    awaited: Option<TokenStream>,
) -> TokenStream {
    let (name, beside) = (&function.sig.ident, beside_name(&function.sig.ident));
    let count = command.parameters.len();
    let args: Vec<_> = (0..count).map(|index| local(&format!("arg{index}"))).collect();
    let passed = command.parameters.iter().zip(&args).map(passed);
    let answer = answer(&command.answer, call, &quote!(#name(#(#passed),*) #awaited));
    if count == 0 {
        return answer;
    }
    let decoded = command.parameters.iter().map(decoded_type);
    let types: Vec<_> = (0..count).map(|index| format_ident!("A{index}")).collect();
    // One bound for each parameter, where a tuple would do: so the compiler points to the
    // parameter that does not meet its bound.
    quote! {
        fn __args<'a, #(#types: ::tramline::__private::CommandArg<'a>),*>(
            call: &::tramline::__private::Call<'a>,
        ) -> ::core::option::Option<(#(#types,)*)> {
            match call.args(<#beside as ::tramline::__private::Command>::ARGS) {
                ::core::result::Result::Ok(args) => ::core::option::Option::Some(args),
                ::core::result::Result::Err(rejection) => {
                    call.reject(&rejection);
                    ::core::option::Option::None
                }
            }
        }
        if let ::core::option::Option::Some((#(#args,)*)) = __args::<#(#decoded),*>(#call) {
            #answer
        }
    }
}

fn decoded_type(parameter: &Parameter) -> TokenStream {
    match &parameter.takes {
        Takes::Value(ty) => quote!(#ty),
        Takes::Text(span) => quote_spanned!(*span=> ::tramline::__private::TextArg<'_>),
        Takes::Bytes(span) => quote_spanned!(*span=> ::tramline::__private::BytesArg<'_>),
        Takes::OptionalText(span) => quote_spanned! {*span=>
            ::core::option::Option<::tramline::__private::TextArg<'_>>
        },
        Takes::OptionalBytes(span) => quote_spanned! {*span=>
            ::core::option::Option<::tramline::__private::BytesArg<'_>>
        },
    }
}

fn passed((parameter, arg): (&Parameter, &Ident)) -> TokenStream {
    match parameter.takes {
        Takes::Value(_) => quote!(#arg),
        Takes::Text(_) | Takes::Bytes(_) => quote!(&*#arg),
        Takes::OptionalText(_) | Takes::OptionalBytes(_) => quote!(#arg.as_deref()),
    }
}

fn answer(answer: &Answer, call: &TokenStream, outcome: &TokenStream) -> TokenStream {
    let (value, error) = (local("value"), local("error"));
    match answer {
        // Whoever has answered before was told that the first answer stands.
        Answer::Result(value_type, error_type) => quote! {
            let _ = match #outcome {
                ::core::result::Result::Ok(#value) => {
                    ::tramline::__private::Call::answer::<#value_type>(#call, &#value)
                }
                ::core::result::Result::Err(#error) => {
                    ::tramline::__private::Call::fail::<#error_type>(#call, &#error)
                }
            };
        },
        Answer::Any(span) => {
            let span = Span::call_site().located_at(*span);
            let answered = quote_spanned!(span=> (&#value).answer_to(#call));
            quote! {{
                use ::tramline::__private::{ViaResult as _, ViaValue as _};
                let #value = ::tramline::__private::Outcome(#outcome);
                #answered
            }}
        }
    }
}

/// A name that meets none of the user's.
fn local(name: &str) -> Ident {
    format_ident!("__{name}", span = Span::mixed_site())
}

/// `commands![..]`.
pub(crate) fn commands(paths: TokenStream) -> TokenStream {
    match syn::parse2::<Paths>(paths) {
        Ok(Paths(paths)) => {
            quote!(::tramline::__private::Commands::new() #(.with::<(#paths)>())*)
        }
        Err(fault) => fault.to_compile_error(),
    }
}

struct Paths(Vec<Path>);

impl Parse for Paths {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let mut paths = Vec::new();
        while !input.is_empty() {
            let at = input.span();
            let by_path = |span| {
                Error::new(span, "a command is named by its path alone: `add` or `files::scan`")
            };
            paths.push(Path::parse_mod_style(input).map_err(|_| by_path(at))?);
            if !input.is_empty() && input.parse::<Token![,]>().is_err() {
                return Err(by_path(input.span()));
            }
        }
        Ok(Self(paths))
    }
}
