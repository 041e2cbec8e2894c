//! The two clocks of the ledger: one that only goes forward, for rates, and the one on the wall, for budgets.

use std::fmt;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tollgate_policy::accounts::Times;
use tollgate_policy::clock::{Moment, Wall};

type Read<T> = Box<dyn Fn() -> T + Send + Sync>;

/// Reads both clocks, each by itself: most who ask want one of them.
pub struct Clock {
    now: Read<Moment>,
    wall: Read<Wall>,
}

impl Clock {
    /// Reads them as the caller says.
    pub fn new(
        now: impl Fn() -> Moment + Send + Sync + 'static,
        wall: impl Fn() -> Wall + Send + Sync + 'static,
    ) -> Self {
        Self { now: Box::new(now), wall: Box::new(wall) }
    }

    /// What time it is.
    pub fn times(&self) -> Times {
        Times { now: self.now(), wall: self.wall() }
    }

    /// What time it is by the clock that only goes forward.
    pub fn now(&self) -> Moment {
        (self.now)()
    }

    /// What time it is on the wall.
    pub fn wall(&self) -> Wall {
        (self.wall)()
    }
}

impl Default for Clock {
    /// The machine's.
    fn default() -> Self {
        let start = Instant::now();
        Self::new(move || Moment::ZERO.after(start.elapsed()), wall_now)
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
