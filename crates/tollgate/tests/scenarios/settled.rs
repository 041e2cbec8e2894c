//! 15 and 16: what is true when it is over.

use crate::support::{FAILURES, Site, hello};
use crate::{FALLBACKS, answering, script, sites_config, whole};
use tollgate_simulator::{Fault, Rule, TokenCounts};

/// US dollars a token: of the primary's model, and of the cheaper one that is fallen back on.
const GPT_4O_MINI: (f64, f64) = (0.15e-6, 0.6e-6);
