//! LiteLLM's `simple-shuffle`: a weighted random choice among deployments.
//!
//! The weights are the first of `weight`, `rpm`, `tpm` that any of the candidates has with a value above zero; a
//! candidate without that figure then has no share. With none of the three, all are alike.

/// What a deployment brings to the choice.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Share {
    /// The operator's own weight.
    pub weight: Option<f64>,
    /// Requests per minute that the provider allows.
    pub rpm: Option<u64>,
    /// Tokens per minute that the provider allows.
    pub tpm: Option<u64>,
}

/// Chooses among `shares` at the point `draw`, a number that is uniform in `0..1`.
///
/// Returns the chosen position, `None` only when there is nothing to choose from.
pub fn choose(shares: &[Share], draw: f64) -> Option<usize> {
    match shares {
        [] => None,
        [_] => Some(0),
        _ => Some(weighted(shares, draw).unwrap_or_else(|| uniform(shares.len(), draw))),
    }
}

fn uniform(count: usize, draw: f64) -> usize {
    ((draw * count as f64) as usize).min(count - 1)
}

fn weighted(shares: &[Share], draw: f64) -> Option<usize> {
    let figures: [fn(&Share) -> f64; 3] = [
        |share| share.weight.unwrap_or(0.0),
        |share| share.rpm.unwrap_or(0) as f64,
        |share| share.tpm.unwrap_or(0) as f64,
    ];
    let figure = figures.into_iter().find(|figure| shares.iter().any(|share| figure(share) > 0.0))?;
    let total: f64 = shares.iter().map(|share| figure(share).max(0.0)).sum();
    let mut left = draw * total;
    let mut last = None;
    for (position, share) in shares.iter().enumerate() {
        let part = figure(share);
        if part <= 0.0 {
            continue;
        }
        if left < part {
            return Some(position);
        }
        left -= part;
        last = Some(position);
    }
    // Rounding can leave a hair beyond the last part.
    last
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(weight: Option<f64>, rpm: Option<u64>, tpm: Option<u64>) -> Share {
        Share { weight, rpm, tpm }
    }

    /// How often each position is chosen over a thousand even steps of the draw.
    fn tally(shares: &[Share]) -> Vec<usize> {
        let mut counts = vec![0; shares.len()];
        for step in 0..1_000 {
            counts[choose(shares, f64::from(step) / 1_000.0).unwrap()] += 1;
        }
        counts
    }

    #[test]
    fn nothing_to_choose_from_is_none() {
        assert_eq!(choose(&[], 0.5), None);
    }

    #[test]
    fn without_figures_all_are_alike() {
        assert_eq!(tally(&[Share::default(); 4]), [250, 250, 250, 250]);
    }

    #[test]
    fn weight_comes_before_rpm_and_rpm_before_tpm() {
        let by_weight = [share(Some(3.0), Some(1), Some(1)), share(Some(1.0), Some(999), Some(999))];
        assert_eq!(tally(&by_weight), [750, 250]);
        let by_rpm = [share(None, Some(600), Some(1)), share(None, Some(400), Some(999))];
        assert_eq!(tally(&by_rpm), [600, 400]);
        let by_tpm = [share(None, None, Some(100)), share(None, None, Some(900))];
        assert_eq!(tally(&by_tpm), [100, 900]);
    }

    #[test]
    fn a_deployment_without_the_deciding_figure_has_no_share() {
        assert_eq!(tally(&[share(Some(1.0), None, None), share(None, Some(500), None)]), [1_000, 0]);
    }

    #[test]
    fn weights_of_zero_and_below_are_no_figures() {
        assert_eq!(tally(&[share(Some(0.0), Some(1), None), share(Some(-1.0), Some(1), None)]), [500, 500]);
    }

    #[test]
    fn a_draw_at_the_very_end_still_chooses() {
        assert_eq!(choose(&[share(Some(0.1), None, None), share(Some(0.2), None, None)], 1.0), Some(1));
        assert_eq!(choose(&[Share::default(); 3], 1.0), Some(2));
    }
}
