//! Azure's Entra ID tokens: OAuth 2.0 client credentials (RFC 6749, 4.4) at Microsoft's identity platform v2.

use crate::call::Place;
use crate::encoding::percent;
use crate::error::CredentialError;
use crate::oauth::FormGrant;
use crate::secret::{Secret, fingerprint};
use http::HeaderMap;
use tollgate_upstream::Trust;

/// Azure OpenAI's usual scope.
const SCOPE: &str = "https://cognitiveservices.azure.com/.default";
/// Microsoft's public authority; an operator names another one in AZURE_AUTHORITY_HOST.
const AUTHORITY: &str = "https://login.microsoftonline.com";

/// A service principal of Microsoft Entra ID.
#[derive(Debug, Clone)]
pub struct EntraPrincipal {
    /// The directory, by id or domain.
    pub tenant_id: String,
    /// The application's id.
    pub client_id: String,
    /// The application's secret.
    pub client_secret: Secret,
    /// Another authority than `https://login.microsoftonline.com`.
    pub authority: Option<String>,
    /// Another scope than `https://cognitiveservices.azure.com/.default`.
    pub scope: Option<String>,
}

pub(crate) fn grant(principal: &EntraPrincipal) -> Result<(String, FormGrant), CredentialError> {
    let EntraPrincipal { tenant_id, client_id, client_secret, authority, scope } = principal;
    let trust = if authority.is_some() { Trust::Operator } else { Trust::Catalogue };
    let authority = authority.as_deref().unwrap_or(AUTHORITY);
    let scope = scope.as_deref().unwrap_or(SCOPE);
    let place = Place::parse("AZURE_AUTHORITY_HOST", authority, trust)?;
    let place = place
        .at(&format!("/{}/oauth2/v2.0/token", percent(tenant_id)))
        .ok_or_else(|| CredentialError::new("tenant_id: not a directory's id or domain"))?;
    let identity = format!(
        "entra {} {tenant_id} {client_id} {scope} {}",
        place.host(),
        fingerprint(&[authority, client_secret.expose()])
    );
    let form = vec![
        ("grant_type", Secret::new("client_credentials")),
        ("client_id", Secret::new(client_id.as_str())),
        ("client_secret", client_secret.clone()),
        ("scope", Secret::new(scope)),
    ];
    Ok((identity, FormGrant { giver: "Entra", place, form, headers: HeaderMap::new() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn principal() -> EntraPrincipal {
        EntraPrincipal {
            tenant_id: "tenant".to_owned(),
            client_id: "client".to_owned(),
            client_secret: Secret::new("sk-secret"),
            authority: None,
            scope: None,
        }
    }

    #[test]
    fn a_principal_is_told_from_others_by_all_that_it_is() {
        let identity = |principal: &EntraPrincipal| grant(principal).unwrap().0;
        let plain = identity(&principal());
        assert_eq!(plain, identity(&principal()));
        assert!(!plain.contains("sk-secret"), "{plain}");
        for other in [
            EntraPrincipal { tenant_id: "x".to_owned(), ..principal() },
            EntraPrincipal { client_id: "x".to_owned(), ..principal() },
            EntraPrincipal { client_secret: Secret::new("x"), ..principal() },
            EntraPrincipal { authority: Some("https://x.test".to_owned()), ..principal() },
            EntraPrincipal { scope: Some("x".to_owned()), ..principal() },
        ] {
            assert_ne!(plain, identity(&other), "{other:?}");
        }
    }

    #[test]
    fn a_tenant_is_one_segment_of_the_path() {
        let target = |tenant: &str| {
            let principal = EntraPrincipal { tenant_id: tenant.to_owned(), ..principal() };
            grant(&principal).map(|(_, grant)| grant.place.target())
        };
        assert_eq!(target("contoso.com").unwrap(), "/contoso.com/oauth2/v2.0/token");
        assert_eq!(target("a/b?c").unwrap(), "/a%2Fb%3Fc/oauth2/v2.0/token");
        assert_eq!(target("..").unwrap_err().to_string(), "tenant_id: not a directory's id or domain");
    }

    #[test]
    fn an_authority_that_is_no_url_is_named_by_its_variable() {
        let principal = EntraPrincipal { authority: Some("login.test".to_owned()), ..principal() };
        let error = grant(&principal).err().unwrap().to_string();
        assert!(error.starts_with("AZURE_AUTHORITY_HOST: "), "{error}");
    }
}
