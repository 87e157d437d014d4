//! Reading one parameter: its name on the wire, what is decoded for it, how it is passed on.

use proc_macro2::Span;
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::visit::Visit;
use syn::visit_mut::{self, VisitMut};
use syn::{
    Error, GenericArgument, Lifetime, Pat, PatType, Path, PathArguments, Result, Signature, Type,
    TypeReference,
};

use crate::command::{Faults, GENERIC};
use crate::options::ArgCase;

const NEEDS_NAME: &str =
    "a command's parameter needs a name: it is the argument's name on the wire";

pub(crate) struct Parameter {
    /// On the wire.
    pub(crate) name: String,
    pub(crate) takes: Takes,
}

/// What is decoded for a parameter, and how it is passed on.
pub(crate) enum Takes {
    Value(Box<Type>),
    Text(Span),
    OptionalText(Span),
    Bytes(Span),
    OptionalBytes(Span),
}

pub(crate) fn parameter(
    typed: &PatType,
    arg_case: ArgCase,
    inner: &mut InnerLifetimes<'_>,
) -> Result<Parameter> {
    let needs_name = || Error::new_spanned(&typed.pat, NEEDS_NAME);
    let name = match &*typed.pat {
        Pat::Ident(pat) if pat.subpat.is_none() => Some(&pat.ident),
        // Taken apart where it stands: the argument has the struct's name.
        Pat::Struct(pat) => pat.path.segments.last().map(|last| &last.ident),
        Pat::TupleStruct(pat) => pat.path.segments.last().map(|last| &last.ident),
        _ => None,
    };
    let name = name.map(|name| arg_case.apply(&name.unraw().to_string()));
    let name = name.filter(|name| !name.is_empty()).ok_or_else(needs_name)?;
    Ok(Parameter { name, takes: takes(&typed.ty, inner)? })
}

fn takes(ty: &Type, inner: &mut InnerLifetimes<'_>) -> Result<Takes> {
    let ty = bare(ty);
    if let Type::Reference(reference) = ty {
        return match borrowed(reference)? {
            Borrowed::Text => Ok(Takes::Text(ty.span())),
            Borrowed::Bytes => Ok(Takes::Bytes(ty.span())),
        };
    }
    if let Some([GenericArgument::Type(wrapped)]) = arguments(ty, "Option").as_deref()
        && let Type::Reference(reference) = bare(wrapped)
    {
        return match borrowed(reference)? {
            Borrowed::Text => Ok(Takes::OptionalText(ty.span())),
            Borrowed::Bytes => Ok(Takes::OptionalBytes(ty.span())),
        };
    }
    let mut owned = OwnedOnly::default();
    // What is managed may hold whatever it likes: nothing of it comes from the wire.
    if arguments(ty, "State").is_none() {
        owned.visit_type(ty);
    }
    owned.0.into_result()?;
    let mut ty = ty.clone();
    inner.visit_type_mut(&mut ty);
    Ok(Takes::Value(Box::new(ty)))
}

enum Borrowed {
    Text,
    Bytes,
}

fn borrowed(reference: &TypeReference) -> Result<Borrowed> {
    let is = |ty: &Type, name: &str| matches!(ty, Type::Path(ty) if ty.path.is_ident(name));
    let what = match bare(&reference.elem) {
        ty if is(ty, "str") => Borrowed::Text,
        Type::Slice(slice) if is(bare(&slice.elem), "u8") => Borrowed::Bytes,
        _ => return Err(cannot_borrow(reference)),
    };
    match &reference.lifetime {
        _ if reference.mutability.is_some() => Err(cannot_borrow(reference)),
        Some(lifetime) if lifetime.ident == "static" => Err(Error::new(
            lifetime.span(),
            "an argument lives no longer than its call: leave `'static` out",
        )),
        _ => Ok(what),
    }
}

fn cannot_borrow(reference: &TypeReference) -> Error {
    Error::new_spanned(
        reference,
        "a command cannot borrow this: take it by value, or as `&str`, `&[u8]` or `State<T>`",
    )
}

/// Refuses references inside a type, and `impl Trait`.
#[derive(Default)]
struct OwnedOnly(Faults);

impl<'ast> Visit<'ast> for OwnedOnly {
    fn visit_type_reference(&mut self, reference: &'ast TypeReference) {
        self.0.0.push(cannot_borrow(reference));
    }

    fn visit_type_impl_trait(&mut self, opaque: &'ast syn::TypeImplTrait) {
        self.0.add(opaque.impl_token.span, GENERIC);
    }

    // What a function is called with is not part of the value.
    fn visit_type_bare_fn(&mut self, _: &'ast syn::TypeBareFn) {}
    fn visit_parenthesized_generic_arguments(
        &mut self,
        _: &'ast syn::ParenthesizedGenericArguments,
    ) {
    }
}

/// The function's lifetimes have no name outside of it: the compiler is to find them.
pub(crate) struct InnerLifetimes<'s>(pub(crate) &'s Signature);

impl VisitMut for InnerLifetimes<'_> {
    fn visit_lifetime_mut(&mut self, lifetime: &mut Lifetime) {
        if self.0.generics.lifetimes().any(|own| own.lifetime == *lifetime) {
            *lifetime = Lifetime::new("'_", lifetime.span());
        }
        visit_mut::visit_lifetime_mut(self, lifetime);
    }
}

/// The type without the invisible groups and parentheses around it.
pub(crate) fn bare(mut ty: &Type) -> &Type {
    loop {
        ty = match ty {
            Type::Group(group) => &group.elem,
            Type::Paren(paren) => &paren.elem,
            _ => return ty,
        };
    }
}

/// The generic arguments of a path that ends in `name`.
pub(crate) fn arguments(ty: &Type, name: &str) -> Option<Vec<GenericArgument>> {
    let Type::Path(syn::TypePath { qself: None, path: Path { segments, .. } }) = ty else {
        return None;
    };
    let last = segments.last().filter(|last| last.ident == name)?;
    match &last.arguments {
        PathArguments::AngleBracketed(angle) => Some(angle.args.iter().cloned().collect()),
        _ => None,
    }
}
