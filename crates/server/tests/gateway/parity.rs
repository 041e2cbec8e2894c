//! The fast road against the slow one.
