//! Values of the application that commands ask for by type.

use std::any::{Any, TypeId, type_name};
use std::collections::HashMap;
use std::fmt;
use std::ops::Deref;

/// A managed value, injected into a command that has a parameter of this type.
///
/// # Examples
///
/// ```
/// use tramline_core::state::{State, States};
///
/// let mut states = States::default();
/// states.manage(41_u32);
/// let answer: State<'_, u32> = states.get().expect("managed above");
/// assert_eq!(*answer + 1, 42);
/// ```
#[derive(Debug)]
pub struct State<'a, T: Send + Sync + 'static>(&'a T);

impl<'a, T: Send + Sync + 'static> State<'a, T> {
    /// The managed value, for as long as the call lives.
    #[must_use]
    pub fn inner(&self) -> &'a T {
        self.0
    }
}

impl<T: Send + Sync + 'static> Clone for State<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: Send + Sync + 'static> Copy for State<'_, T> {}

impl<T: Send + Sync + 'static> Deref for State<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0
    }
}

/// One value per type.
#[derive(Default)]
pub struct States(HashMap<TypeId, Box<dyn Any + Send + Sync>>);

impl States {
    /// Adds a value; false if one of its type was there, which then stays.
    pub fn manage<T: Send + Sync + 'static>(&mut self, value: T) -> bool {
        let id = TypeId::of::<T>();
        if self.0.contains_key(&id) {
            return false;
        }
        self.0.insert(id, Box::new(value));
        true
    }

    /// The value of this type.
    #[must_use]
    pub fn get<T: Send + Sync + 'static>(&self) -> Option<State<'_, T>> {
        self.0.get(&TypeId::of::<T>())?.downcast_ref().map(State)
    }
}

impl fmt::Debug for States {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({} values)", type_name::<Self>(), self.0.len())
    }
}
