//! Whom the gateway believes to be who they say: TLS versions and root certificates.
//!
//! **Invariant:** nothing below TLS 1.2, no certificate unchecked, no switch that turns the check off.

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use std::sync::Arc;

/// Why a PEM file gives no root certificates.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RootsError {
    /// A section is broken: base64, or an end that is missing.
    #[error("certificate {position} of the file is not valid PEM")]
    Malformed {
        /// Counted from 1.
        position: usize,
    },
    /// No certificate at all; a key alone, perhaps.
    #[error("the file has no certificate")]
    Empty,
}

/// The certificates of a PEM file such as `SSL_CERT_FILE` names, for [`crate::Shared::new`]. What is in the file beside
/// certificates (keys, comments) is passed over.
///
/// # Errors
/// [`RootsError`]; a file that is half read would be a trust that is half there.
pub fn extra_roots_from_pem(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, RootsError> {
    let roots: Result<Vec<_>, RootsError> = CertificateDer::pem_slice_iter(pem)
        .enumerate()
        .map(|(before, root)| root.map_err(|_| RootsError::Malformed { position: before + 1 }))
        .collect();
    let roots = roots?;
    if roots.is_empty() { Err(RootsError::Empty) } else { Ok(roots) }
}

/// The Mozilla roots and the operator's own, HTTP/1.1 alone.
pub(crate) fn client_config(extra_roots: Vec<CertificateDer<'static>>) -> Result<ClientConfig, String> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let (_, unusable) = roots.add_parsable_certificates(extra_roots);
    if unusable > 0 {
        tracing::warn!(unusable, "some of the extra root certificates cannot be used");
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root() -> rcgen::CertifiedKey<rcgen::KeyPair> {
        rcgen::generate_simple_self_signed(vec!["root.test".to_owned()]).unwrap()
    }

    #[test]
    fn a_pem_file_gives_its_certificates_and_nothing_else() {
        let (one, two) = (root(), root());
        let file = format!("# ours\n{}{}{}", one.cert.pem(), one.signing_key.serialize_pem(), two.cert.pem());
        let roots = extra_roots_from_pem(file.as_bytes()).unwrap();
        assert_eq!(roots, [one.cert.der().clone(), two.cert.der().clone()]);
    }

    #[test]
    fn a_file_without_or_with_a_broken_certificate_says_so() {
        let pem = root().cert.pem();
        let check = |file: &str, expected: RootsError| {
            assert_eq!(extra_roots_from_pem(file.as_bytes()), Err(expected), "{file}");
        };
        check("", RootsError::Empty);
        check("not PEM", RootsError::Empty);
        check(&root().signing_key.serialize_pem(), RootsError::Empty);
        let cut = pem.replace("-----END CERTIFICATE-----", "");
        check(&format!("{pem}{cut}"), RootsError::Malformed { position: 2 });
        check(&pem.replace("\nMII", "\n!!!"), RootsError::Malformed { position: 1 });
    }
}
