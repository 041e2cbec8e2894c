//! The access keys that the simulated AWS knows.
//!
//! Owns: the long-lived key and the temporary ones given out, with their ends. Leaves to others: who may have one
//! (`sts`, `metadata`), signatures (`sigv4`).
//!
//! **Invariant:** a temporary key is good only with its session token, and until its end.

use crate::clouds::{AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY};
use crate::compose::Ids;
use crate::tokens::Tokens;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Most temporary keys remembered; those that ended go first.
const KEYS_MAX: usize = 10_000;

/// A temporary key, as it is given out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Temporary {
    pub(crate) access_key: String,
    pub(crate) secret: String,
    pub(crate) token: String,
    pub(crate) lifetime: Duration,
}

/// Why a key is not good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BadKey {
    Unknown,
    Ended,
}

/// The temporary keys given out, and the tokens of the instance's metadata service.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    temporary: Mutex<HashMap<String, (Temporary, Instant)>>,
    pub(crate) metadata_tokens: Tokens,
}

impl Keys {
    /// Gives out a new temporary key.
    pub(crate) fn issue(&self, lifetime: Duration, ids: &mut Ids) -> Temporary {
        let made = Temporary {
            access_key: ids.next("ASIA", 16).to_ascii_uppercase(),
            secret: ids.next("simulated/", 30),
            token: ids.next("simulated//session+token/", 75) + "=",
            lifetime,
        };
        let now = Instant::now();
        let mut temporary = self.temporary.lock().unwrap_or_else(PoisonError::into_inner);
        if temporary.len() >= KEYS_MAX {
            temporary.retain(|_, (_, end)| now < *end);
        }
        if temporary.len() < KEYS_MAX {
            temporary.insert(made.access_key.clone(), (made.clone(), now + lifetime));
        }
        made
    }

    /// The secret of a key, used together with this session token.
    pub(crate) fn secret(&self, access_key: &str, token: Option<&str>) -> Result<String, BadKey> {
        if access_key == AWS_ACCESS_KEY_ID && token.is_none() {
            return Ok(AWS_SECRET_ACCESS_KEY.to_owned());
        }
        let temporary = self.temporary.lock().unwrap_or_else(PoisonError::into_inner);
        match temporary.get(access_key) {
            Some((key, end)) if token == Some(key.token.as_str()) => {
                if Instant::now() < *end {
                    Ok(key.secret.clone())
                } else {
                    Err(BadKey::Ended)
                }
            }
            _ => Err(BadKey::Unknown),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_temporary_key_is_good_with_its_token_until_its_end() {
        let keys = Keys::default();
        let made = keys.issue(Duration::from_secs(60), &mut Ids::new(1));
        assert_eq!((made.access_key.len(), made.secret.len()), (20, 40));
        assert_eq!(keys.secret(&made.access_key, Some(&made.token)), Ok(made.secret.clone()));
        assert_eq!(keys.secret(&made.access_key, None), Err(BadKey::Unknown));
        assert_eq!(keys.secret(&made.access_key, Some("other")), Err(BadKey::Unknown));
        tokio::time::advance(Duration::from_secs(61)).await;
        assert_eq!(keys.secret(&made.access_key, Some(&made.token)), Err(BadKey::Ended));
    }

    #[test]
    fn the_long_lived_key_has_no_token() {
        let keys = Keys::default();
        assert_eq!(keys.secret(AWS_ACCESS_KEY_ID, None).as_deref(), Ok(AWS_SECRET_ACCESS_KEY));
        assert_eq!(keys.secret(AWS_ACCESS_KEY_ID, Some("t")), Err(BadKey::Unknown));
        assert_eq!(keys.secret("AKIAOTHER", None), Err(BadKey::Unknown));
    }
}
