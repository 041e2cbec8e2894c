//! The two clocks of the ledger: one that only goes forward, for rates, and the one on the wall, for budgets.

use std::fmt;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tollgate_policy::accounts::Times;
use tollgate_policy::clock::{Moment, Wall};

type Read = Box<dyn Fn() -> Times + Send + Sync>;

/// Reads both clocks.
pub struct Clock(Read);

impl Clock {
    /// Reads them as the caller says.
    pub fn new(read: impl Fn() -> Times + Send + Sync + 'static) -> Self {
        Self(Box::new(read))
    }

    /// What time it is.
    pub fn times(&self) -> Times {
        (self.0)()
    }

    /// What time it is on the wall.
    pub fn wall(&self) -> Wall {
        self.times().wall
    }
}

impl Default for Clock {
    /// The machine's.
    fn default() -> Self {
        let start = Instant::now();
        Self::new(move || Times { now: Moment::ZERO.after(start.elapsed()), wall: wall_now() })
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Times { now, wall } = self.times();
        write!(out, "Clock({} us, {} us)", now.micros(), wall.micros())
    }
}

fn wall_now() -> Wall {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    Wall::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}
