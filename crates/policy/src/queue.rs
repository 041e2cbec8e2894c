//! Waiting for a place: bounded, the most urgent first, fair between teams.
//!
//! Owns the order and the bound. Leaves to others: how long to wait, and waking those who wait. Within a priority teams
//! take turns, and within a team the first to come is the first to go. **Invariant:** never more than the capacity
//! waits. **Invariant:** nothing waits behind something less urgent, and nothing is pushed out by its equal.

use std::collections::{BTreeMap, VecDeque};

/// What became of something new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pushed<T> {
    /// It waits.
    Waiting,
    /// It waits in the place of this one, which was the newest of the least urgent.
    Shed(T),
    /// The queue is full of what is at least as urgent.
    Refused(T),
}

#[derive(Debug)]
struct Line<T> {
    team: u64,
    /// The number of its arrival, and what waits.
    items: VecDeque<(u64, T)>,
}

/// A bounded queue. Priorities are LiteLLM's: 0 is the most urgent.
#[derive(Debug)]
pub struct WaitQueue<T> {
    capacity: usize,
    count: usize,
    arrivals: u64,
    /// By priority, the teams in the order of their turns. No line and no priority is empty.
    levels: BTreeMap<u8, VecDeque<Line<T>>>,
}

impl<T: Copy + PartialEq> WaitQueue<T> {
    /// Room for so many from now on; whoever waits already stays.
    pub fn set_capacity(&mut self, capacity: usize) {
        self.capacity = capacity;
    }

    /// An empty queue of at most `capacity`.
    pub fn new(capacity: usize) -> Self {
        Self { capacity, count: 0, arrivals: 0, levels: BTreeMap::new() }
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Lines up `item`. Where the queue is full, the newest of the least urgent makes room if it is less urgent.
    pub fn push(&mut self, priority: u8, team: u64, item: T) -> Pushed<T> {
        let mut outcome = Pushed::Waiting;
        if self.count >= self.capacity {
            match self.shed(priority) {
                Some(shed) => outcome = Pushed::Shed(shed),
                None => return Pushed::Refused(item),
            }
        }
        self.arrivals += 1;
        let arrival = (self.arrivals, item);
        let lines = self.levels.entry(priority).or_default();
        match lines.iter_mut().find(|line| line.team == team) {
            Some(line) => line.items.push_back(arrival),
            None => lines.push_back(Line { team, items: VecDeque::from([arrival]) }),
        }
        self.count += 1;
        outcome
    }

    /// The next to go.
    pub fn pop(&mut self) -> Option<T> {
        let mut level = self.levels.first_entry()?;
        let lines = level.get_mut();
        let mut line = lines.pop_front()?;
        let next = line.items.pop_front();
        if !line.items.is_empty() {
            lines.push_back(line);
        }
        if lines.is_empty() {
            level.remove();
        }
        let (_, item) = next?;
        self.count -= 1;
        Some(item)
    }

    /// The next to go, which stays.
    pub fn peek(&self) -> Option<T> {
        let (_, lines) = self.levels.first_key_value()?;
        lines.front()?.items.front().map(|&(_, item)| item)
    }

    /// Takes out one that waits no longer; whether it was there.
    pub fn remove(&mut self, item: T) -> bool {
        let found = self.levels.iter().find_map(|(&priority, lines)| {
            let places = lines.iter().enumerate().find_map(|(line, waiting)| {
                waiting.items.iter().position(|&(_, waits)| waits == item).map(|place| (line, place))
            });
            places.map(|(line, place)| (priority, line, place))
        });
        found.and_then(|(priority, line, place)| self.take(priority, line, place)).is_some()
    }

    /// How many would go before one of this priority that came now, at most.
    pub fn ahead_of(&self, priority: u8) -> usize {
        let lines = self.levels.range(..=priority).flat_map(|(_, lines)| lines);
        lines.map(|line| line.items.len()).sum()
    }

    /// Takes out the newest of the least urgent, if it is less urgent than `priority`.
    fn shed(&mut self, priority: u8) -> Option<T> {
        let (&least, lines) = self.levels.last_key_value().filter(|&(&least, _)| least > priority)?;
        let newest = lines.iter().enumerate().max_by_key(|(_, line)| line.items.back().map(|&(at, _)| at));
        let (line, place) = newest.map(|(line, waiting)| (line, waiting.items.len().saturating_sub(1)))?;
        self.take(least, line, place)
    }

    fn take(&mut self, priority: u8, line: usize, place: usize) -> Option<T> {
        let lines = self.levels.get_mut(&priority)?;
        let (_, item) = lines.get_mut(line)?.items.remove(place)?;
        if lines.get(line).is_some_and(|line| line.items.is_empty()) {
            lines.remove(line);
        }
        if lines.is_empty() {
            self.levels.remove(&priority);
        }
        self.count -= 1;
        Some(item)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(capacity: usize, items: &[(u8, u64, u32)]) -> WaitQueue<u32> {
        let mut queue = WaitQueue::new(capacity);
        for &(priority, team, item) in items {
            assert_eq!(queue.push(priority, team, item), Pushed::Waiting);
        }
        queue
    }

    fn drain(queue: &mut WaitQueue<u32>) -> Vec<u32> {
        std::iter::from_fn(|| {
            let peeked = queue.peek();
            let popped = queue.pop();
            assert_eq!(peeked, popped);
            popped
        })
        .collect()
    }

    #[test]
    fn the_most_urgent_goes_first_and_equals_in_the_order_of_their_arrival() {
        let check = |items: &[(u8, u64, u32)], expect: &[u32]| {
            let mut queue = queue(100, items);
            assert_eq!(queue.len(), items.len());
            assert_eq!(drain(&mut queue), expect);
            assert!(queue.is_empty());
        };
        check(&[], &[]);
        check(&[(0, 1, 1), (0, 1, 2), (0, 1, 3)], &[1, 2, 3]);
        check(&[(9, 1, 1), (0, 1, 2), (5, 1, 3), (0, 1, 4)], &[2, 4, 3, 1]);
        check(&[(255, 1, 1), (0, 1, 2)], &[2, 1]);
    }

    #[test]
    fn teams_take_turns_within_a_priority_however_many_each_has_waiting() {
        let mut items: Vec<(u8, u64, u32)> = (0..6).map(|item| (0, 1, item)).collect();
        items.extend([(0, 2, 10), (0, 2, 11), (0, 3, 20), (1, 4, 30)]);
        assert_eq!(drain(&mut queue(100, &items)), [0, 10, 20, 1, 11, 2, 3, 4, 5, 30]);
    }

    #[test]
    fn a_team_that_comes_back_waits_for_its_turn() {
        let mut queue = queue(100, &[(0, 1, 1), (0, 2, 2), (0, 2, 3)]);
        assert_eq!(queue.pop(), Some(1));
        queue.push(0, 1, 4);
        assert_eq!(drain(&mut queue), [2, 4, 3]);
    }

    #[test]
    fn a_full_queue_sheds_the_newest_of_the_least_urgent_for_what_is_more_urgent() {
        let mut queue = queue(4, &[(5, 1, 1), (5, 2, 2), (5, 1, 3), (1, 1, 4)]);
        assert_eq!(queue.push(5, 3, 9), Pushed::Refused(9));
        assert_eq!(queue.push(6, 3, 9), Pushed::Refused(9));
        assert_eq!(queue.push(4, 3, 5), Pushed::Shed(3));
        assert_eq!(queue.push(0, 3, 6), Pushed::Shed(2));
        assert_eq!(queue.push(0, 3, 7), Pushed::Shed(1));
        assert_eq!(queue.push(0, 3, 8), Pushed::Shed(5));
        assert_eq!(queue.push(0, 3, 9), Pushed::Shed(4));
        assert_eq!(queue.push(0, 3, 10), Pushed::Refused(10));
        assert_eq!(queue.len(), 4);
        assert_eq!(drain(&mut queue), [6, 7, 8, 9]);
    }

    #[test]
    fn who_waits_no_longer_is_taken_out_wherever_it_stands() {
        for gone in 1..=4 {
            let mut queue = queue(10, &[(0, 1, 1), (0, 2, 2), (0, 1, 3), (1, 1, 4)]);
            assert!(queue.remove(gone));
            assert!(!queue.remove(gone));
            assert_eq!(queue.len(), 3);
            let expect: Vec<u32> = [1, 2, 3, 4].into_iter().filter(|&item| item != gone).collect();
            let mut rest = drain(&mut queue);
            rest.sort_unstable();
            assert_eq!(rest, expect);
        }
    }

    #[test]
    fn a_queue_without_places_refuses_all() {
        let mut queue = WaitQueue::new(0);
        assert_eq!(queue.push(0, 1, 1), Pushed::Refused(1));
        assert_eq!(queue.pop(), None);
    }

    #[test]
    fn what_goes_before_is_what_is_as_urgent_or_more() {
        let queue = queue(10, &[(0, 1, 1), (3, 2, 2), (3, 1, 3), (7, 1, 4)]);
        let counts: Vec<usize> = [0, 2, 3, 6, 7, 255].map(|priority| queue.ahead_of(priority)).into();
        assert_eq!(counts, [1, 1, 3, 3, 4, 4]);
    }

    /// A seeded walk (SplitMix64 by its constants) against a plain list.
    #[test]
    fn a_long_walk_never_passes_the_bound_and_never_lets_the_less_urgent_go_first() {
        let mut seed = 7u64;
        let mut next = move |below: u64| {
            seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            ((mixed >> 33) ^ mixed) % below
        };
        let mut queue = WaitQueue::new(16);
        let mut model: Vec<(u8, u32)> = Vec::new();
        for item in 0..20_000u32 {
            if next(5) < 3 {
                let (priority, team) = (next(4) as u8, next(3));
                match queue.push(priority, team, item) {
                    Pushed::Waiting => model.push((priority, item)),
                    Pushed::Shed(shed) => {
                        let worst = model.iter().copied().max().unwrap();
                        assert_eq!(worst.1, shed);
                        assert!(worst.0 > priority);
                        model.retain(|&(_, known)| known != shed);
                        model.push((priority, item));
                    }
                    Pushed::Refused(refused) => {
                        assert_eq!(refused, item);
                        assert!(model.iter().all(|&(known, _)| known <= priority));
                    }
                }
            } else if let Some(popped) = queue.pop() {
                let place = model.iter().position(|&(_, known)| known == popped).unwrap();
                let (priority, _) = model.remove(place);
                assert!(model.iter().all(|&(known, _)| known >= priority));
            } else {
                assert!(model.is_empty());
            }
            assert_eq!(queue.len(), model.len());
            assert!(queue.len() <= 16);
        }
    }
}
