//! TLS towards PostgreSQL: every `sslmode` against servers that have the right certificate, a wrong one, or none.

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tollgate_store::Trouble;
use tollgate_store::books::{Books, PostgresOptions};

use super::server::{self, Server};

/// An authority's certificate, and a certificate and key of `localhost` that it has signed; all PEM.
fn certificates() -> (String, String, String) {
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_key = KeyPair::generate().unwrap();
    let root = authority.self_signed(&authority_key).unwrap().pem();
    let issuer = Issuer::new(authority, authority_key);
    let key = KeyPair::generate().unwrap();
    let host = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = host.signed_by(&key, &issuer).unwrap().pem();
    (root, certificate, key.serialize_pem())
}

#[tokio::test]
async fn sslmode_decides_whom_a_connection_may_be_to() {
    let (root, certificate, key) = certificates();
    let mut server = Server::made();
    let certificate = server.keep("server.crt", &certificate);
    let key = server.keep("server.key", &key);
    server.set(&format!("ssl_cert_file={}", certificate.display()));
    server.set(&format!("ssl_key_file={}", key.display()));
    server.set("ssl=on");
    server.run();
    let folder = crate::folder::Folder::new();
    let (right, wrong) = (folder.path().join("right.pem"), folder.path().join("wrong.pem"));
    std::fs::write(&right, root).unwrap();
    std::fs::write(&wrong, certificates().0).unwrap();
    let (right, wrong) = (right.display().to_string(), wrong.display().to_string());
    let port = server.port;
    let check = async |host: &str, options: &str, expect: Result<bool, &str>| {
        let url = format!("postgresql://tollgate:secret@{host}:{port}/postgres?application_name=x&{options}");
        let books =
            Books::postgres(&url, PostgresOptions { connections: 1, ..PostgresOptions::default() }).unwrap();
        match (books.ready().await, expect) {
            (Ok(_), Ok(is_secure)) => {
                let seen = format!(
                    "DO $$ BEGIN IF {} <> (SELECT bool_or(s.ssl) FROM pg_stat_ssl s JOIN pg_stat_activity a \
                     USING (pid) WHERE a.application_name = 'x') THEN RAISE 'otherwise'; END IF; END $$",
                    is_secure
                );
                assert_eq!(server::execute(&server.url(), &seen).await, Ok(()), "{host} {options}");
            }
            (Err(error), Err(said)) => {
                assert_eq!(error.trouble(), Trouble::Unavailable);
                assert!(error.to_string().contains(said), "{host} {options}: {error}");
            }
            (found, expect) => panic!("{host} {options}: {found:?}, not {expect:?}"),
        }
        books.close().await;
    };
    check("localhost", "sslmode=disable", Ok(false)).await;
    check("localhost", "", Ok(true)).await;
    check("127.0.0.1", "sslmode=require", Ok(true)).await;
    check("127.0.0.1", &format!("sslmode=require&sslrootcert={right}"), Ok(true)).await;
    check("127.0.0.1", &format!("sslmode=verify-ca&sslrootcert={right}"), Ok(true)).await;
    check("localhost", &format!("sslmode=verify-full&sslrootcert={right}"), Ok(true)).await;
    let no_name = Err("no TLS with it: invalid peer certificate: certificate not valid for name");
    check("127.0.0.1", &format!("sslmode=verify-full&sslrootcert={right}"), no_name).await;
    let stranger = Err("no TLS with it: invalid peer certificate");
    for mode in ["require", "verify-ca", "verify-full"] {
        check("localhost", &format!("sslmode={mode}&sslrootcert={wrong}"), stranger).await;
    }
    // Nobody that browsers trust has signed it.
    check("localhost", "sslmode=verify-full", stranger).await;
    check("localhost", "sslmode=verify-ca&sslrootcert=system", stranger).await;
    check("localhost", "sslmode=require&sslaccept=strict", stranger).await;
}

#[tokio::test]
async fn a_file_without_a_certificate_is_named() {
    let url = "postgresql://ann:secret@localhost/gate?sslmode=verify-ca&sslrootcert=/nowhere/root.pem";
    let error = Books::postgres(url, PostgresOptions::default()).map(|_| ()).unwrap_err();
    assert_eq!(error.trouble(), Trouble::Bad);
    assert_eq!(error.to_string(), "/nowhere/root.pem: no certificate or key that can be used, in PEM");
}
