//! Alerts: what they say, to whom, how often, and how they get there.
//!
//! Owns: the typed [`Alert`], the shapes of every channel, the queues towards them, their pace, retries and the memory
//! of what was said. Leaves to others: what is worth an alert (whoever tells it), which channels there are (config), and
//! sockets (upstream).
//!
//! **Invariant:** [`Alerts::tell`] never waits for anybody, and what waits is bounded. **Invariant:** no channel delays
//! another: each has a queue and a task of its own. **Invariant:** no line of the log, no error and no alert has an
//! address, a key or a password of a channel in it.

mod alert;
mod alerts;
mod channel;
mod lane;
mod memory;
mod occasion;
mod pace;
mod shape;
mod signature;
mod smtp;
mod text;

pub use alert::{Alert, Amounts, Belongs, Event, Period, Quiet, Scope, ScopeKind, Severity, Threshold};
pub use alerts::{Alerts, Observe, Surroundings};
pub use occasion::{Anomaly, Report, Share, Spent, UserSpend};
pub use tollgate_config::{AlertType, AlertTypes};
