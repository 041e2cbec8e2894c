//! What must not be possible, asked of the running server: generated over its own tables, not a handful of cases.
//!
//! Owns: [`world::World`], two organizations with everything that may belong to them, and everybody who may ask; and the
//! tests over it. Leaves to others: what each route does for those who may (the areas' own tests), rules as functions
//! (`tollgate_identity`).
//!
//! **Invariant:** a list of what is asked is made of the tables that the server is built of, so that a new route, member or
//! parameter is asked for too.

mod abuse;
mod closed;
mod fields;
mod guesses;
mod metering;
mod neighbours;
mod paths;
mod remains;
mod roles;
mod shrinks;
mod tenants;
mod world;
