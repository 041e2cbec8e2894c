//! Who may do what over the admin API: one table, from which the server's routes are made.
//!
//! A route names a [`Right`]; the right says how far each kind of caller gets with it ([`Right::verdict`]), and whether it
//! gets as far as one object ([`Actor::may`], [`Actor::find`]). Leaves which members of an object somebody may set to the
//! forms. **Invariant:** a route without a row has no right, and so cannot be built. **Invariant:** what somebody may not
//! see is answered as what is not there.
//!
//! [`Actor::may`]: crate::role::Actor::may
//! [`Actor::find`]: crate::role::Actor::find

mod object;
#[cfg(test)]
mod random_tests;
mod right;
mod table;
#[cfg(test)]
mod tests;

pub use object::{may_change, may_see};
pub use right::{Extent, Right};
pub use table::{ROUTES, RouteRow, right_of};
