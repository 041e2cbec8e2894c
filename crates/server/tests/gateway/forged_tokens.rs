//! Every way to forge a token that is known (row S10): none opens anything, and none has anything fetched.

use super::support::admin::{ask_as, get_as, key};
use super::support::hello;
use super::support::issuer::{
    HEADER, ISSUER, Issuer, NOW, b64, claims, fixture, hmac_signed, rsa_signed, signed, token, under,
};
use serde_json::{Value, json};

fn good_claims() -> String {
    claims(&json!({})).to_string()
}

/// Without a signature, and with algorithms that take a public key for a secret.
fn algorithms() -> Vec<String> {
    let mut all = Vec::new();
    for name in [
        "none", "None", "NONE", "nOnE", "", "HS256", "HS384", "HS512", "RS256", "ES256", "ES512", "ES256K",
        "RS1",
    ] {
        all.push(under(&json!({"alg": name, "kid": "ed"})));
    }
    all.push(under(&json!({"kid": "ed"})));
    all.push(under(&json!({"alg": null, "kid": "ed"})));
    all.push(under(&json!({"alg": ["EdDSA"], "kid": "ed"})));
    let none = format!("{}.{}", b64(br#"{"alg":"none"}"#), b64(good_claims().as_bytes()));
    all.push(format!("{none}."));
    all.push(format!("{none}.AA"));
    let pem = fixture()["rsa_pem"].as_str().unwrap().to_owned();
    let n = fixture()["keys"][0]["n"].as_str().unwrap().to_owned();
    for secret in [pem.as_bytes(), n.as_bytes(), b"", b"secret", fixture()["keys"][0].to_string().as_bytes()]
    {
        for kid in ["rsa", "ed"] {
            let header = json!({"alg": "HS256", "kid": kid}).to_string();
            all.push(hmac_signed(&header, &good_claims(), secret));
            let header = json!({"alg": "RS256", "kid": kid}).to_string();
            all.push(hmac_signed(&header, &good_claims(), secret));
        }
    }
    // A key that is for one algorithm alone, under another of its kind.
    all.push(rsa_signed(r#"{"alg":"RS512","kid":"rsa"}"#, &good_claims()));
    all.push(rsa_signed(r#"{"alg":"PS256","kid":"rsa"}"#, &good_claims()));
    all
}

/// Ids of keys that lead elsewhere, and headers that bring a key along.
fn headers(evil: &str) -> Vec<String> {
    let own = json!({"kty": "OKP", "crv": "Ed25519", "x": fixture()["keys"][4]["x"], "kid": "mine"});
    let mut all: Vec<String> = [
        json!({"alg": "EdDSA"}),
        json!({"alg": "EdDSA", "kid": ""}),
        json!({"alg": "EdDSA", "kid": null}),
        json!({"alg": "EdDSA", "kid": 1}),
        json!({"alg": "EdDSA", "kid": ["ed"]}),
        json!({"alg": "EdDSA", "kid": "ED"}),
        json!({"alg": "EdDSA", "kid": "ed "}),
        json!({"alg": "EdDSA", "kid": "ed\u{0}"}),
        json!({"alg": "EdDSA", "kid": "../../../../dev/null"}),
        json!({"alg": "EdDSA", "kid": "/proc/self/environ"}),
        json!({"alg": "EdDSA", "kid": "' OR '1'='1"}),
        json!({"alg": "EdDSA", "kid": evil}),
        json!({"alg": "EdDSA", "kid": "http://169.254.169.254/latest/meta-data/"}),
        json!({"alg": "EdDSA", "kid": "x".repeat(10_000)}),
        json!({"alg": "EdDSA", "kid": "mine", "jku": evil}),
        json!({"alg": "EdDSA", "kid": "mine", "jwk": own}),
        json!({"alg": "EdDSA", "kid": "mine", "x5u": evil}),
        json!({"alg": "EdDSA", "kid": "mine", "x5c": ["AAAA"]}),
        json!({"alg": "EdDSA", "kid": "ed", "crit": ["exp"]}),
        json!({"alg": "EdDSA", "kid": "ed", "crit": []}),
        json!({"alg": "EdDSA", "kid": "ed", "b64": false}),
        json!({"alg": "EdDSA", "kid": "ed", "enc": "A256GCM"}),
        json!({"alg": "EdDSA", "kid": "ed", "typ": "dpop+jwt"}),
        json!({"alg": "EdDSA", "kid": "ed", "typ": 1}),
        json!({"alg": "EdDSA", "kid": "p256"}),
    ]
    .iter()
    .map(under)
    .collect();
    // A name that stands twice is read in two ways.
    all.push(signed(r#"{"alg":"none","alg":"EdDSA","kid":"ed"}"#, &good_claims()));
    all.push(signed(r#"{"alg":"EdDSA","kid":"evil","kid":"ed"}"#, &good_claims()));
    all
}

/// Claims that are missing, wrong, of another time, or for somebody else.
fn said() -> Vec<String> {
    let mut all: Vec<String> = [
        json!({"iss": "absent"}),
        json!({"iss": "https://evil.example.com"}),
        json!({"iss": format!("{ISSUER}/")}),
        json!({"iss": format!("{ISSUER}.evil.example.com")}),
        json!({"iss": [ISSUER]}),
        json!({"iss": null}),
        json!({"iss": ""}),
        json!({"aud": "absent"}),
        json!({"aud": "other"}),
        json!({"aud": ""}),
        json!({"aud": []}),
        json!({"aud": ["other"]}),
        json!({"aud": ["gateway", 1]}),
        json!({"aud": {"gateway": true}}),
        json!({"aud": "gateway2"}),
        json!({"aud": null}),
        json!({"exp": "absent"}),
        json!({"exp": NOW - 61}),
        json!({"exp": 0}),
        json!({"exp": -1}),
        json!({"exp": null}),
        json!({"exp": format!("{}", NOW + 600)}),
        json!({"exp": 1e300}),
        json!({"exp": [NOW + 600]}),
        json!({"nbf": NOW + 61}),
        json!({"nbf": "soon"}),
        json!({"nbf": 1e300}),
        json!({"iat": NOW + 3_600}),
        json!({"iat": "now"}),
    ]
    .iter()
    .map(token)
    .collect();
    let twice = good_claims().replacen('{', "{\"sub\":\"admin\",", 1);
    all.push(signed(HEADER, &twice));
    for text in ["", "null", "[]", "\"x\"", "1", "{", "{}", "{\"a\":", "\u{0}"] {
        all.push(signed(HEADER, text));
    }
    all
}

/// What is cut, joined, swapped, of another form, or too large.
fn forms() -> Vec<String> {
    let good = token(&json!({}));
    let parts: Vec<&str> = good.split('.').collect();
    let [header, said, signature] = parts[..] else { panic!("three parts") };
    let admins = b64(claims(&json!({"scope": "litellm_proxy_admin"})).to_string().as_bytes());
    let other = token(&json!({"sub": "u2"}));
    let others = other.rsplit('.').next().unwrap();
    let zeros = b64(&[0; 64]);
    let huge = "x".repeat(20_000);
    let deep = format!("{}1{}", "{\"a\":".repeat(1_000), "}".repeat(1_000));
    vec![
        // Another's claims under a good signature, and a good token's under another's.
        format!("{header}.{admins}.{signature}"),
        format!("{header}.{said}.{others}"),
        format!("{header}.{said}.{zeros}"),
        format!("{header}.{said}.{}", &signature[..signature.len() - 2]),
        format!("{header}.{said}.{signature}AA"),
        format!("{header}.{said}.{signature}="),
        format!("{header}.{said}"),
        format!("{header}.{said}."),
        format!("{header}..{signature}"),
        format!(".{said}.{signature}"),
        format!("{header}.{said}.{signature}.{signature}"),
        format!("{header}.{said}.{signature}.x.y"),
        format!("{said}.{header}.{signature}"),
        "..".to_owned(),
        "a.b.c".to_owned(),
        "eyJ.eyJ.eyJ".to_owned(),
        format!("{header}.{header}.{signature}"),
        format!("{}.{said}.{signature}", header.to_ascii_lowercase()),
        format!("{header}.{said}.{signature}%00"),
        format!("{header}%2e{said}%2e{signature}"),
        token(&json!({"padding": huge})),
        signed(HEADER, &deep),
        // The first twenty bytes of one that is known (CVE-2026-35030), and more.
        format!("{}{}", &good[..20], "A".repeat(good.len() - 20)),
        format!("{}A", &good[..good.len() - 1]),
    ]
}

#[tokio::test]
async fn no_forged_token_opens_anything() {
    let issuer = Issuer::start().await;
    let evil = Issuer::start().await;
    let app = issuer.gateway(&["user_id_jwt_field: sub", "user_id_upsert: true"], "").await;
    // The one that is good is known, so that what resembles it could be taken for it.
    let good = token(&json!({}));
    assert_eq!(ask_as(&app, &good, "/v1/chat/completions", &hello("chat")).await.status, 200);
    let corpus = [algorithms(), headers(&format!("http://{}/keys", evil.address)), said(), forms()].concat();
    assert!(corpus.len() >= 120, "{}", corpus.len());
    let mut accepted = Vec::new();
    for (row, forged) in corpus.iter().enumerate() {
        if *forged == good {
            panic!("row {row} is the good token");
        }
        let calls = ask_as(&app, forged, "/v1/chat/completions", &hello("chat")).await;
        let reads = get_as(&app, forged, "/key/list").await;
        let makes = ask_as(&app, forged, "/key/generate", &json!({})).await;
        for answer in [calls, reads, makes] {
            // A head that is too large does not get as far as being asked who it is.
            if ![401, 431].contains(&answer.status) {
                accepted.push((row, answer.status, forged.chars().take(200).collect::<String>()));
            } else if answer.status == 401 {
                assert!(answer.json()["error"]["message"].is_string(), "{}", answer.text());
            }
        }
    }
    assert_eq!(accepted, []);
    assert_eq!(app.received().len(), 1);
    // No key was looked for elsewhere, and for keys that are not known once at most.
    assert_eq!(evil.asked(), 0);
    assert!(issuer.asked() <= 2, "{}", issuer.asked());
    assert_eq!(ask_as(&app, &good, "/v1/chat/completions", &hello("chat")).await.status, 200);
    app.stop().await;
}

#[tokio::test]
async fn a_forged_token_makes_nobody_and_hides_no_key() {
    let issuer = Issuer::start().await;
    let app = issuer.gateway(&["user_id_jwt_field: sub", "user_id_upsert: true"], "").await;
    let forged = token(&json!({"sub": "ghost", "aud": "other"}));
    assert_eq!(ask_as(&app, &forged, "/v1/chat/completions", &hello("chat")).await.status, 401);
    let users = super::support::admin::seen(&app, "/user/list").await;
    assert!(!users.to_string().contains("ghost"), "{users}");
    // The master key's own name cannot be had.
    let own = token(&json!({"sub": "default_user_id"}));
    assert_eq!(ask_as(&app, &own, "/v1/chat/completions", &hello("chat")).await.status, 401);
    // The first header that has a value counts, whatever it is.
    let virtual_key = key(&app, json!({})).await;
    let body: Value = hello("chat");
    let bearer = format!("Bearer {forged}");
    let headers = [("authorization", bearer.as_str()), ("x-api-key", virtual_key.as_str())];
    let both = super::support::post("/v1/chat/completions", &headers, body.to_string().as_bytes());
    assert_eq!(app.ask(&both).await.status, 401);
    app.stop().await;
}
