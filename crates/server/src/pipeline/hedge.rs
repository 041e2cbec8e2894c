//! A second deployment beside a slow first one: whoever answers first wins ("The Tail at Scale", Dean and Barroso, 2013).
//!
//! Owns the race and what becomes of its losers. Leaves when and how often to the group's rules, its learned times and its
//! budget. **Invariant:** a caller gets one answer and pays for one; what a loser may have cost is booked as the
//! gateway's own.

use super::attempt::fetch_and_send;
use super::boarding::Boarding;
use super::respond::Answer;
use super::walk::{Errand, Over, Walk};
use crate::routing::HedgeDelay;
use futures_util::stream::{FuturesUnordered, StreamExt};
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// How long the first deployment is waited for; none where the group does not hedge, or does not know yet.
pub(super) fn delay(walk: &Walk<'_>, errand: Errand<'_>) -> Option<Duration> {
    let hedging = walk.group().rules().hedging.filter(|hedging| hedging.max > 0)?;
    if !errand.call.surface.is_conversation() && !errand.call.surface.is_embedding() {
        return None;
    }
    match hedging.after {
        HedgeDelay::Fixed(delay) => Some(delay),
        HedgeDelay::Quantile(quantile) => walk.group().first_token_quantile(quantile),
    }
}

/// Sends to the deployment that has the first place, and to others beside it as time passes. `None`: all of them failed,
/// and there may be another attempt.
pub(super) async fn race(
    walk: &mut Walk<'_>,
    errand: Errand<'_>,
    first: Boarding,
    delay: Duration,
) -> Result<Option<Answer>, Over> {
    let hedges_max = walk.group().rules().hedging.map_or(0, |hedging| hedging.max);
    let mut flights = FuturesUnordered::new();
    let mut boardings: Vec<Option<Boarding>> = Vec::new();
    let fly = |number: usize, boarding: &Boarding| {
        let (target, limits) = (std::sync::Arc::clone(&boarding.target), boarding.limits);
        async move { (number, fetch_and_send(errand, &target, limits).await) }
    };
    flights.push(fly(0, &first));
    boardings.push(Some(first));
    let mut next_at = Instant::now() + delay;
    loop {
        let may_hedge = (boardings.len() as u64) <= u64::from(hedges_max);
        tokio::select! {
            biased;
            Some((number, outcome)) = flights.next() => {
                let Some(boarding) = boardings.get_mut(number).and_then(Option::take) else { continue };
                match outcome {
                    Ok(answer) => {
                        // Dropped first, so that their connections close before anything else happens.
                        drop(flights);
                        if boardings.len() > 1 {
                            let outcome = if boarding.route.is_hedge { "won" } else { "lost" };
                            errand.worker.gateway.metrics().hedged(outcome);
                        }
                        for loser in boardings.into_iter().flatten() {
                            walk.lost(loser);
                        }
                        return Ok(Some(walk.arrived(answer, boarding)));
                    }
                    // At once: others are not to meet it while this request still waits for the second.
                    Err(failure) => {
                        let ended = walk.note(boarding, failure);
                        if flights.is_empty() {
                            return ended.map(|()| None);
                        }
                    }
                }
            }
            () = sleep_until(next_at), if may_hedge => {
                next_at = Instant::now() + delay;
                let running = boardings.iter().flatten();
                if let Some(boarding) = walk.board_beside(running).await {
                    flights.push(fly(boardings.len(), &boarding));
                    boardings.push(Some(boarding));
                } else {
                    // Nobody else, or no budget: that will not change while this one runs.
                    next_at += Duration::from_secs(3_600);
                }
            }
        }
    }
}
