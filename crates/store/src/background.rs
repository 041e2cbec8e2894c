//! Threads that work behind requests, and never before them.

/// How far this thread stands behind the process's others: 10 is a tenth of their share, where both want the same core (Linux,
/// `sched(7)`: each step is a factor of about 1.25), and all that it can use where nobody else wants it.
#[cfg(target_os = "linux")]
const FURTHER: i32 = 10;

/// Steps that are one turn.
const STEPS: usize = 8;

/// From here on this thread gives way to those that serve requests, where they want the same core.
///
/// What it does is late then, not lost, and it is never without its tenth of the core: whoever waits for one of its locks does
/// not wait for long. Elsewhere than on Linux, where niceness is the whole process's, nothing happens.
pub fn give_way() {
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{getpid, getpriority_process, setpriority_process};
        let this = Some(rustix::thread::gettid());
        // Behind the first thread, whose id is the process's: who starts this one may have given way before. Never refused: less
        // may always be asked for, and what is beyond the last step is the last step.
        let _ =
            getpriority_process(Some(getpid())).and_then(|first| setpriority_process(this, first + FURTHER));
    }
}

/// Steps of long work, between which others have their turn.
///
/// The system lets a thread that has the core keep it for some milliseconds (Linux: `base_slice_ns`, 2.8 ms with two cores), also
/// where one that stands before it has become ready. A request is not to wait for that.
#[derive(Debug, Default)]
pub struct Turns(usize);

impl Turns {
    /// After one step of some ten microseconds.
    pub fn step(&mut self) {
        self.0 += 1;
        if self.0.is_multiple_of(STEPS) {
            std::thread::yield_now();
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn one_thread_gives_way_and_the_others_do_not() {
        let niceness = || rustix::process::getpriority_process(Some(rustix::thread::gettid())).unwrap();
        let before = niceness();
        let given = std::thread::spawn(move || {
            give_way();
            let started_by_it = std::thread::spawn(move || {
                give_way();
                niceness()
            });
            (niceness(), started_by_it.join().unwrap())
        });
        let further = (before + FURTHER).min(19);
        assert_eq!(given.join().unwrap(), (further, further));
        assert_eq!(niceness(), before);
    }
}
