//! TLS towards PostgreSQL: every `sslmode` against servers that have the right certificate, a wrong one, or none.

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tollgate_store::Trouble;
use tollgate_store::books::{Books, PostgresOptions};

use super::server::{self, Server};

/// An authority.
struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    /// A certificate for a host, or for a user by the common name, and its key; both PEM.
    fn sign(&self, hosts: &[&str], name: &str) -> (String, String) {
        let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
        let mut params = CertificateParams::new(hosts).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }
}

/// A server with a certificate of `localhost`; the database `template1` lets in who has a certificate of their own, and nobody
/// else.
fn secured(authority: &Authority) -> Server {
    let mut server = Server::made();
    let (certificate, key) = authority.sign(&["localhost"], "localhost");
    let rules =
        "hostssl template1 all all cert\nhost template1 all all reject\nhost all all all scram-sha-256\n";
    for (setting, name, text) in [
        ("ssl_cert_file", "server.crt", certificate.as_str()),
        ("ssl_key_file", "server.key", key.as_str()),
        ("ssl_ca_file", "root.crt", authority.pem.as_str()),
        ("hba_file", "rules", rules),
    ] {
        let path = server.keep(name, text);
        server.set(&format!("{setting}={}", path.display()));
    }
    server.set("ssl=on");
    server.run();
    server
}

#[tokio::test]
async fn a_certificate_of_ones_own_opens_what_a_password_does_not() {
    let authority = Authority::new();
    let server = secured(&authority);
    let folder = crate::folder::Folder::new();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let check = async |(certificate, key): (String, String), expect: bool| {
        let options = format!("sslcert={}&sslkey={}", file("own.crt", &certificate), file("own.key", &key));
        let port = server.port;
        let url =
            format!("postgresql://tollgate:secret@127.0.0.1:{port}/template1?sslmode=require&{options}");
        let ready = Books::postgres(&url, PostgresOptions::default()).unwrap().ready().await;
        assert_eq!(ready.is_ok(), expect, "{ready:?}");
    };
    check(authority.sign(&[], "tollgate"), true).await;
    check(authority.sign(&[], "somebody"), false).await;
    check(Authority::new().sign(&[], "tollgate"), false).await;
    let url = format!("postgresql://tollgate:secret@127.0.0.1:{}/template1?sslmode=require", server.port);
    let error = Books::postgres(&url, PostgresOptions::default()).unwrap().ready().await.unwrap_err();
    assert_eq!(error.trouble(), Trouble::Unavailable, "{error}");
}

#[tokio::test]
async fn sslmode_decides_whom_a_connection_may_be_to() {
    let authority = Authority::new();
    let server = secured(&authority);
    let folder = crate::folder::Folder::new();
    let (right, wrong) = (folder.path().join("right.pem"), folder.path().join("wrong.pem"));
    std::fs::write(&right, &authority.pem).unwrap();
    std::fs::write(&wrong, Authority::new().pem).unwrap();
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
