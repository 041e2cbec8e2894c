//! 12 and 13: the primary refuses what it was asked.

use crate::support::{Site, deployment, hello};
use crate::{FALLBACKS, answering, script, sites_config, whole};
use serde_json::json;
use tollgate_simulator::{Fault, Finish, Reason, Rule};
