//! Passwords of users: Argon2id, with a salt for each.
//!
//! Argon2 because it is what RFC 9106 and OWASP's Password Storage Cheat Sheet name first, and the crate shares its digests
//! with the one that hashes keys. **Invariant:** what is kept of a password is refused as a password.

use argon2::{Algorithm, Argon2, Params, PasswordHash, PasswordHasher as _, PasswordVerifier as _, Version};

/// Kibibytes, passes and lanes: OWASP's first choice of 2023-2025, 19 MiB, two passes, one lane.
const COST: (u32, u32, u32) = (19 * 1024, 2, 1);
/// The most that a kept hash may ask for: 256 MiB and 10 passes. One that came from elsewhere must not stop the gateway.
const COST_MAX: (u32, u32) = (256 * 1024, 10);
/// The fewest characters (NIST SP 800-63B, 5.1.1.2).
const LENGTH_MIN: usize = 8;
/// The most bytes.
const LENGTH_MAX: usize = 1024;

/// Why a password is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadPassword {
    /// It is too short.
    #[error("a password has at least {LENGTH_MIN} characters")]
    Short,
    /// It is too long.
    #[error("a password has at most {LENGTH_MAX} bytes")]
    Long,
    /// It could not be hashed.
    #[error("the password could not be hashed")]
    Hash,
}

/// What is kept of a password: a text that names the function, its cost, the salt and the hash (`$argon2id$v=19$...`).
/// Takes some ten milliseconds and 19 MiB, so not on a thread that serves others.
///
/// # Errors
/// What the password does not meet.
pub fn hash_password(password: &str, salt: [u8; 16]) -> Result<String, BadPassword> {
    if password.chars().count() < LENGTH_MIN {
        return Err(BadPassword::Short);
    }
    if password.len() > LENGTH_MAX {
        return Err(BadPassword::Long);
    }
    let (kibibytes, passes, lanes) = COST;
    let params = Params::new(kibibytes, passes, lanes, None).map_err(|_| BadPassword::Hash)?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let hash = argon2.hash_password_with_salt(password.as_bytes(), &salt).map_err(|_| BadPassword::Hash)?;
    Ok(hash.to_string())
}

/// Whether this is the password that was hashed. Whatever is no hash of Argon2id at a bearable cost is of no password.
pub fn is_password(password: &str, kept: &str) -> bool {
    let Ok(hash) = PasswordHash::new(kept) else { return false };
    let Ok(params) = Params::try_from(&hash) else { return false };
    let is_ours = hash.algorithm.as_str() == "argon2id";
    let is_bearable = params.m_cost() <= COST_MAX.0 && params.t_cost() <= COST_MAX.1;
    let is_short = password.len() <= LENGTH_MAX;
    is_ours
        && is_bearable
        && is_short
        && Argon2::default().verify_password(password.as_bytes(), &hash).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_known_again_and_its_hash_is_none() {
        let kept = hash_password("correct horse", [7; 16]).unwrap();
        assert!(kept.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{kept}");
        assert!(is_password("correct horse", &kept));
        assert!(!is_password("correct horsf", &kept));
        assert!(!is_password(&kept, &kept));
        assert_ne!(kept, hash_password("correct horse", [8; 16]).unwrap());
    }

    #[test]
    fn what_is_no_bearable_hash_is_of_no_password() {
        let kept = hash_password("correct horse", [7; 16]).unwrap();
        let dear =
            [("m=19456", "m=4194304"), ("t=2", "t=1000"), ("argon2id", "argon2i"), ("argon2id", "scrypt")];
        for (was, is) in dear {
            assert!(!is_password("correct horse", &kept.replace(was, is)), "{is}");
        }
        let sha256 = "57d0d2b7f7c4d40b5a5a1b5b3f3c2d1e57d0d2b7f7c4d40b5a5a1b5b3f3c2d1e";
        for hash in ["", "$", "$argon2id$", "correct horse", sha256] {
            assert!(!is_password("correct horse", hash), "{hash}");
            assert!(!is_password(hash, hash), "{hash}");
        }
    }

    #[test]
    fn passwords_have_a_length() {
        assert_eq!(hash_password("seven77", [0; 16]), Err(BadPassword::Short));
        assert_eq!(hash_password(&"x".repeat(1025), [0; 16]), Err(BadPassword::Long));
    }
}
