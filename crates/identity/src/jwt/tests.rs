//! Tokens that another library made and that are good, and all the ways to be bad. The keys of `fixture.json` sign
//! nothing but tests.

use super::*;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use ring::signature::{Ed25519KeyPair, KeyPair as _, RsaKeyPair};
use serde_json::{Value, json};
use tollgate_policy::clock::Wall;

const NOW: i64 = 1_795_001_000;

fn fixture() -> Value {
    serde_json::from_str(include_str!("fixture.json")).unwrap()
}

fn keys() -> JwkSet {
    JwkSet::parse(json!({"keys": fixture()["keys"]}).to_string().as_bytes()).unwrap()
}

fn issuer() -> Issuer {
    Issuer { issuer: Some("https://id.example.com".to_owned()), audiences: vec!["gateway".to_owned()] }
}

pub(super) fn now() -> Wall {
    Wall::from_micros(NOW * 1_000_000)
}

pub(super) fn verify(token: &str) -> Result<Claims, BadToken> {
    issuer().verify(token, &keys(), now())
}

fn b64(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn ed25519() -> Ed25519KeyPair {
    let seed = URL_SAFE_NO_PAD.decode(fixture()["private"]["ed"].as_str().unwrap()).unwrap();
    Ed25519KeyPair::from_seed_unchecked(&seed).unwrap()
}

/// A token of these texts, signed by the key `ed`, whatever they say.
fn signed(header: &str, claims: &str) -> String {
    let message = format!("{}.{}", b64(header.as_bytes()), b64(claims.as_bytes()));
    let signature = b64(ed25519().sign(message.as_bytes()).as_ref());
    format!("{message}.{signature}")
}

pub(super) fn rsa_signed(header: &str, claims: &str) -> String {
    let der = URL_SAFE_NO_PAD.decode(fixture()["private"]["rsa"].as_str().unwrap()).unwrap();
    let key = RsaKeyPair::from_pkcs8(&der).unwrap();
    let message = format!("{}.{}", b64(header.as_bytes()), b64(claims.as_bytes()));
    let mut signature = vec![0; key.public().modulus_len()];
    let random = ring::rand::SystemRandom::new();
    key.sign(&ring::signature::RSA_PKCS1_SHA256, &random, message.as_bytes(), &mut signature).unwrap();
    format!("{message}.{}", b64(&signature))
}

/// A token with an HMAC by a secret, as one would make who takes a public key for one.
fn hmac_signed(header: &str, claims: &str, secret: &[u8]) -> String {
    let message = format!("{}.{}", b64(header.as_bytes()), b64(claims.as_bytes()));
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret);
    format!("{message}.{}", b64(ring::hmac::sign(&key, message.as_bytes()).as_ref()))
}

const HEADER: &str = r#"{"alg":"EdDSA","kid":"ed","typ":"JWT"}"#;

/// Claims that are good, but for these.
pub(super) fn claims(changes: &Value) -> String {
    let mut claims = json!({"iss": "https://id.example.com", "aud": "gateway", "sub": "u1", "iat": NOW - 10,
        "nbf": NOW - 10, "exp": NOW + 600});
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
    }
    let members = claims.as_object_mut().unwrap();
    members.retain(|_, value| *value != "absent");
    claims.to_string()
}

fn with(changes: &Value) -> String {
    signed(HEADER, &claims(changes))
}

fn under(header: &Value) -> String {
    signed(&header.to_string(), &claims(&json!({})))
}

#[test]
fn tokens_of_another_library_are_taken_with_every_algorithm() {
    let good = fixture()["good"].as_array().unwrap().clone();
    assert_eq!(good.len(), 10);
    for row in &good {
        let claims = verify(row[1].as_str().unwrap()).unwrap_or_else(|error| panic!("{}: {error}", row[0]));
        assert_eq!(claims.text("sub").as_deref(), Some("u1"));
        assert_eq!(claims.issuer(), Some("https://id.example.com"));
        assert_eq!(claims.until().micros(), (1_795_003_600 + 60) * 1_000_000);
    }
}

#[test]
fn what_is_good_in_other_ways_is_taken() {
    for token in [
        with(&json!({})),
        with(&json!({"aud": ["other", "gateway"]})),
        with(&json!({"nbf": "absent", "iat": "absent", "sub": "absent"})),
        with(&json!({"exp": NOW - 59})),
        with(&json!({"nbf": NOW + 60, "iat": NOW + 60})),
        with(&json!({"exp": 1_795_001_600.5})),
        under(&json!({"alg": "EdDSA", "kid": "ed"})),
        under(&json!({"alg": "EdDSA", "kid": "ed", "typ": "at+jwt"})),
        under(&json!({"alg": "EdDSA", "kid": "ed", "typ": "application/at+JWT"})),
        // Its own word on its key counts for nothing, and does no harm.
        under(&json!({"alg": "EdDSA", "kid": "ed", "jku": "https://evil.example.com/keys"})),
    ] {
        assert!(verify(&token).is_ok(), "{token}");
    }
    // A set of one key needs no id.
    let one = JwkSet::parse(fixture()["keys"][4].to_string().as_bytes()).unwrap();
    assert!(issuer().verify(&under(&json!({"alg": "EdDSA"})), &one, now()).is_ok());
    // What is not configured is not looked at.
    let open = Issuer::default();
    assert!(open.verify(&with(&json!({"iss": "absent", "aud": "absent"})), &keys(), now()).is_ok());
}

/// The bad tokens by name, with why they are refused.
fn corpus() -> Vec<(&'static str, String, BadToken)> {
    use BadToken::{
        Algorithm, Audience, Expired, Form, Header, Issuer as Iss, Large, NotYet, Signature, Times,
        UnknownKey,
    };
    let good = with(&json!({}));
    let parts: Vec<&str> = good.split('.').collect();
    let [header, body, signature] = parts[..] else { panic!("three parts") };
    let fixture = fixture();
    let modulus = URL_SAFE_NO_PAD.decode(fixture["keys"][0]["n"].as_str().unwrap()).unwrap();
    let pem = fixture["rsa_pem"].as_str().unwrap().as_bytes();
    let hs = r#"{"alg":"HS256","kid":"rsa"}"#;
    let plain = claims(&json!({}));
    let rs = fixture["good"][0][1].as_str().unwrap();
    let (rs_message, rs_signature) = rs.rsplit_once('.').unwrap();
    let own = Ed25519KeyPair::from_seed_unchecked(&[9; 32]).unwrap();
    let own_x = b64(own.public_key().as_ref());
    let by_own = |header: &Value| {
        let message = format!("{}.{}", b64(header.to_string().as_bytes()), b64(plain.as_bytes()));
        format!("{message}.{}", b64(own.sign(message.as_bytes()).as_ref()))
    };
    let own_jwk = json!({"kty": "OKP", "crv": "Ed25519", "x": own_x, "kid": "ed"});
    let none =
        |alg: &str| format!("{}.{}.", b64(json!({"alg": alg}).to_string().as_bytes()), b64(plain.as_bytes()));
    let flipped = |text: &str| {
        let mut bytes = URL_SAFE_NO_PAD.decode(text).unwrap();
        bytes[5] ^= 1;
        b64(&bytes)
    };
    let ec = |alg: &str, kid: &str| under(&json!({"alg": alg, "kid": kid}));
    let mut rows = vec![
        // No algorithm.
        ("alg none", none("none"), Form),
        ("alg None", none("None"), Form),
        ("alg nOnE with a signature", under(&json!({"alg": "nOnE", "kid": "ed"})), Algorithm),
        ("alg none with a signature", under(&json!({"alg": "none", "kid": "ed"})), Algorithm),
        ("alg empty", under(&json!({"alg": "", "kid": "ed"})), Algorithm),
        ("alg absent", under(&json!({"kid": "ed"})), Algorithm),
        ("alg null", under(&json!({"alg": null, "kid": "ed"})), Algorithm),
        ("alg a list", under(&json!({"alg": ["EdDSA"], "kid": "ed"})), Algorithm),
        ("alg in other case", under(&json!({"alg": "eddsa", "kid": "ed"})), Algorithm),
        ("alg with a blank", under(&json!({"alg": "EdDSA ", "kid": "ed"})), Algorithm),
        // A public key taken for a secret.
        ("HS256 by the modulus", hmac_signed(hs, &plain, &modulus), Algorithm),
        ("HS256 by the PEM", hmac_signed(hs, &plain, pem), Algorithm),
        ("HS256 by nothing", hmac_signed(hs, &plain, b""), Algorithm),
        ("HS384", under(&json!({"alg": "HS384", "kid": "ed"})), Algorithm),
        ("HS512", under(&json!({"alg": "HS512", "kid": "ed"})), Algorithm),
        // A key with an algorithm of another kind.
        ("RS256 by an Ed25519 key", ec("RS256", "ed"), Algorithm),
        ("ES256 by an RSA key", ec("ES256", "rsa"), Algorithm),
        ("ES384 by a P-256 key", ec("ES384", "p256"), Algorithm),
        ("EdDSA by a P-256 key", ec("EdDSA", "p256"), Algorithm),
        ("RS384 by a key for RS256 alone", ec("RS384", "rsa-only-256"), Algorithm),
        ("PS256 by a key for RS256 alone", ec("PS256", "rsa-only-256"), Algorithm),
        ("ES512", fixture["es512"]["token"].as_str().unwrap().to_owned(), Algorithm),
        ("ES256K", ec("ES256K", "p256"), Algorithm),
        ("RSA-OAEP", ec("RSA-OAEP", "rsa"), Algorithm),
        ("dir", ec("dir", "ed"), Algorithm),
        // The wrong signature.
        ("signature changed", format!("{header}.{body}.{}", flipped(signature)), Signature),
        ("signature cut", format!("{header}.{body}.{}", &signature[..40]), Signature),
        ("signature of another", format!("{header}.{body}.{rs_signature}"), Signature),
        ("signature of zeros", format!("{header}.{body}.{}", b64(&[0; 64])), Signature),
        ("RS256 presented as PS256", rs_signed_as("PS256", rs_message, rs_signature), Signature),
        (
            "claims changed",
            format!("{header}.{}.{signature}", b64(claims(&json!({"sub": "admin"})).as_bytes())),
            Signature,
        ),
        (
            "header changed",
            format!("{}.{body}.{signature}", b64(br#"{"alg":"EdDSA","kid":"ed","typ":"jwt"}"#)),
            Signature,
        ),
        ("ES256 of zeros", es256_zeros(&plain), Signature),
        ("signed by a key of its own", by_own(&json!({"alg": "EdDSA", "kid": "ed"})), Signature),
        ("its own jwk", by_own(&json!({"alg": "EdDSA", "kid": "ed", "jwk": own_jwk})), Signature),
        (
            "its own jku",
            by_own(&json!({"alg": "EdDSA", "kid": "ed", "jku": "https://evil.example.com/k"})),
            Signature,
        ),
        (
            "its own x5u",
            by_own(&json!({"alg": "EdDSA", "kid": "ed", "x5u": "https://evil.example.com/c"})),
            Signature,
        ),
        ("its own x5c", by_own(&json!({"alg": "EdDSA", "kid": "ed", "x5c": [own_x]})), Signature),
        ("weak RSA", fixture["weak"]["token"].as_str().unwrap().to_owned(), UnknownKey),
        // A key that is not there.
        ("kid unknown", ec("EdDSA", "other"), UnknownKey),
        ("kid a path", ec("EdDSA", "../../../../dev/null"), UnknownKey),
        ("kid an address", ec("EdDSA", "https://evil.example.com/keys"), UnknownKey),
        ("kid SQL", ec("EdDSA", "ed' OR '1'='1"), UnknownKey),
        ("kid a command", ec("EdDSA", "| whoami"), UnknownKey),
        ("kid with NUL", ec("EdDSA", "ed\0"), UnknownKey),
        ("kid empty", ec("EdDSA", ""), UnknownKey),
        ("kid in other case", ec("EdDSA", "ED"), UnknownKey),
        ("kid absent among many", under(&json!({"alg": "EdDSA"})), UnknownKey),
        ("kid absent, as if the first key were meant", rsa_signed(r#"{"alg":"RS256"}"#, &plain), UnknownKey),
        ("kid a number", under(&json!({"alg": "EdDSA", "kid": 1})), Header),
        ("kid null", under(&json!({"alg": "EdDSA", "kid": null})), Header),
        ("kid an object", under(&json!({"alg": "EdDSA", "kid": {"a": 1}})), Header),
        ("kid very long", ec("EdDSA", &"e".repeat(257)), Header),
        // Headers that change what a token means.
        ("crit", under(&json!({"alg": "EdDSA", "kid": "ed", "crit": ["exp"]})), Header),
        ("crit empty", under(&json!({"alg": "EdDSA", "kid": "ed", "crit": []})), Header),
        ("b64 false", under(&json!({"alg": "EdDSA", "kid": "ed", "b64": false})), Header),
        ("enc", under(&json!({"alg": "EdDSA", "kid": "ed", "enc": "A256GCM"})), Header),
        ("typ of a logout token", under(&json!({"alg": "EdDSA", "kid": "ed", "typ": "logout+jwt"})), Header),
        ("typ of a DPoP proof", under(&json!({"alg": "EdDSA", "kid": "ed", "typ": "dpop+jwt"})), Header),
        ("typ a number", under(&json!({"alg": "EdDSA", "kid": "ed", "typ": 1})), Header),
        // Times.
        ("exp absent", with(&json!({"exp": "absent"})), Expired),
        ("exp null", with(&json!({"exp": null})), Times),
        ("exp a text", with(&json!({"exp": "1795001600"})), Times),
        ("exp a list", with(&json!({"exp": [NOW + 600]})), Times),
        ("exp true", with(&json!({"exp": true})), Times),
        ("exp negative", with(&json!({"exp": -1})), Times),
        ("exp beyond the years", with(&json!({"exp": 1e18})), Times),
        ("exp huge", signed(HEADER, &plain.replace(&(NOW + 600).to_string(), "1e309")), Form),
        ("exp zero", with(&json!({"exp": 0})), Expired),
        ("exp over", with(&json!({"exp": NOW - 60})), Expired),
        ("exp long over", with(&json!({"exp": NOW - 86_400})), Expired),
        ("nbf to come", with(&json!({"nbf": NOW + 61})), NotYet),
        ("nbf a text", with(&json!({"nbf": "0"})), Times),
        ("iat to come", with(&json!({"iat": NOW + 3_600})), NotYet),
        ("iat a text", with(&json!({"iat": "now"})), Times),
        // Whose, and for whom.
        ("iss absent", with(&json!({"iss": "absent"})), Iss),
        ("iss of another", with(&json!({"iss": "https://id.example.org"})), Iss),
        ("iss with a slash more", with(&json!({"iss": "https://id.example.com/"})), Iss),
        ("iss that begins so", with(&json!({"iss": "https://id.example.com.evil.org"})), Iss),
        ("iss a list", with(&json!({"iss": ["https://id.example.com"]})), Iss),
        ("aud absent", with(&json!({"aud": "absent"})), Audience),
        ("aud null", with(&json!({"aud": null})), Audience),
        ("aud empty", with(&json!({"aud": ""})), Audience),
        ("aud of another", with(&json!({"aud": "other"})), Audience),
        ("aud in other case", with(&json!({"aud": "Gateway"})), Audience),
        ("aud that begins so", with(&json!({"aud": "gateway2"})), Audience),
        ("aud an empty list", with(&json!({"aud": []})), Audience),
        ("aud a list of others", with(&json!({"aud": ["a", "b"]})), Audience),
        ("aud a list with more than texts", with(&json!({"aud": ["gateway", 1]})), Audience),
        ("aud an object", with(&json!({"aud": {"gateway": true}})), Audience),
        // Forms.
        ("nothing", String::new(), Form),
        ("no dot", "abc".to_owned(), Form),
        ("one dot", format!("{header}.{body}"), Form),
        ("three dots", format!("{good}.{signature}"), Form),
        ("five parts", format!("{header}.{body}.{signature}.{signature}.{signature}"), Form),
        ("no signature", format!("{header}.{body}."), Form),
        ("no claims", format!("{header}..{signature}"), Signature),
        ("padding", padded(header, body, signature), Form),
        ("the other base64", other_base64(body, signature), Form),
        ("blank before", format!(" {good}"), Form),
        ("line after", format!("{good}\n"), Form),
        ("bits left over", left_over(header, body, signature), Form),
        ("header no JSON", signed("header", &plain), Form),
        ("header a list", signed("[]", &plain), Form),
        ("alg twice", signed(r#"{"alg":"none","alg":"EdDSA","kid":"ed"}"#, &plain), Form),
        ("kid twice", signed(r#"{"alg":"EdDSA","kid":"x","kid":"ed"}"#, &plain), Form),
        ("claims no JSON", signed(HEADER, "claims"), Form),
        ("claims a list", signed(HEADER, "[1]"), Form),
        ("sub twice", signed(HEADER, &plain.replacen('{', r#"{"sub":"admin","#, 1)), Form),
        ("a name twice within", signed(HEADER, &plain.replacen('{', r#"{"a":{"b":1,"b":2},"#, 1)), Form),
        ("claims with more after", signed(HEADER, &format!("{plain}{{}}")), Form),
        ("claims not UTF-8", not_utf8(), Form),
        ("very large", with(&json!({"more": "x".repeat(20_000)})), Large),
    ];
    let deep = format!("{}1{}", "[".repeat(5_000), "]".repeat(5_000));
    rows.push(("very deep", signed(HEADER, &plain.replacen('{', &format!(r#"{{"a":{deep},"#), 1)), Form));
    rows
}

fn rs_signed_as(algorithm: &str, message: &str, signature: &str) -> String {
    let (_, claims) = message.split_once('.').unwrap();
    let header = json!({"alg": algorithm, "kid": "rsa"}).to_string();
    format!("{}.{claims}.{signature}", b64(header.as_bytes()))
}

fn es256_zeros(claims: &str) -> String {
    format!("{}.{}.{}", b64(br#"{"alg":"ES256","kid":"p256"}"#), b64(claims.as_bytes()), b64(&[0; 64]))
}

fn padded(header: &str, body: &str, signature: &str) -> String {
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    format!("{header}.{body}.{}", URL_SAFE.encode(signature))
}

fn other_base64(body: &str, signature: &str) -> String {
    let header = STANDARD.encode(br#"{"alg":"EdDSA","kid":"ed","x":"???>>>"}"#);
    format!("{header}.{body}.{signature}")
}

/// The last character of 64 bytes of base64 has four bits that nobody reads.
fn left_over(header: &str, body: &str, signature: &str) -> String {
    let (start, last) = signature.split_at(signature.len() - 1);
    let other = match last {
        "A" => "B",
        "Q" => "R",
        "g" => "h",
        _ => "x",
    };
    format!("{header}.{body}.{start}{other}")
}

fn not_utf8() -> String {
    let message = format!("{}.{}", b64(HEADER.as_bytes()), b64(b"{\"sub\":\"\xff\"}"));
    format!("{message}.{}", b64(ed25519().sign(message.as_bytes()).as_ref()))
}

#[test]
fn every_bad_token_is_refused_for_what_is_wrong_with_it() {
    let corpus = corpus();
    assert!(corpus.len() >= 100, "{}", corpus.len());
    for (name, token, wants) in &corpus {
        assert_eq!(verify(token).err(), Some(*wants), "{name}");
    }
}

#[test]
fn nothing_is_accepted_without_keys_or_with_others() {
    let none = JwkSet::default();
    let others = JwkSet::parse(json!({"keys": [fixture()["keys"][2]]}).to_string().as_bytes()).unwrap();
    for keys in [&none, &others] {
        assert_eq!(issuer().verify(&with(&json!({})), keys, now()), Err(BadToken::UnknownKey));
    }
    for (name, token, _) in corpus() {
        assert!(issuer().verify(&token, &others, now()).is_err(), "{name}");
        assert!(issuer().verify(&token, &none, now()).is_err(), "{name}");
    }
}

#[test]
fn every_byte_of_a_token_counts() {
    let good = with(&json!({}));
    for at in 0..good.len() {
        let mut changed = good.clone().into_bytes();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).unwrap();
        assert!(verify(&changed).is_err(), "{at}");
    }
}

#[test]
fn the_issuer_that_a_token_names_is_found_without_being_believed() {
    assert_eq!(issuer_of(&with(&json!({}))).as_deref(), Some("https://id.example.com"));
    assert_eq!(issuer_of(&with(&json!({"iss": 1}))), None);
    assert_eq!(issuer_of("a.b.c"), None);
    assert_eq!(issuer_of("sk-1234"), None);
}

#[test]
fn tokens_and_keys_are_told_apart() {
    assert!(is_token(&with(&json!({}))));
    for row in fixture()["good"].as_array().unwrap() {
        assert!(is_token(row[1].as_str().unwrap()));
    }
    for text in [
        "",
        "sk-1234",
        "sk-a.b.c",
        "eyJ",
        "eyJ.a",
        "eyJ.a.",
        "eyJ.a.b.c",
        "eyJ.a b.c",
        "a.b.c",
        "eyJhbGciOiJub25lIn0.e30.",
    ] {
        assert!(!is_token(text), "{text}");
    }
}

#[test]
fn a_set_has_the_keys_that_can_be_used_and_no_others() {
    let one = |changes: Value| {
        let mut key = fixture()["keys"][4].clone();
        for (name, value) in changes.as_object().unwrap() {
            key[name] = value.clone();
        }
        JwkSet::parse(json!({"keys": [key]}).to_string().as_bytes()).map(|keys| keys.len())
    };
    assert_eq!(keys().len(), 5);
    assert_eq!(one(json!({})), Ok(1));
    for changes in [
        json!({"kty": "oct", "k": "AAAA"}),
        json!({"kty": "RSA"}),
        json!({"crv": "X25519"}),
        json!({"use": "enc"}),
        json!({"use": ["sig"]}),
        json!({"key_ops": ["sign"]}),
        json!({"key_ops": "verify"}),
        json!({"alg": "RS256"}),
        json!({"alg": "HS256"}),
        json!({"alg": 1}),
        json!({"x": ""}),
        json!({"x": "AAAA"}),
        json!({"x": "not base64!"}),
        json!({"kid": 1}),
        json!({"kid": "k".repeat(257)}),
        json!({"kty": "EC", "crv": "P-256", "y": "AAAA"}),
        json!({"kty": "EC", "crv": "secp256k1"}),
    ] {
        assert_eq!(one(changes.clone()), Err(BadKeys::Empty), "{changes}");
    }
    for text in ["", "[]", "{\"keys\":1}", "{\"keys\":[],\"keys\":[]}", "x"] {
        assert_eq!(JwkSet::parse(text.as_bytes()), Err(BadKeys::Form), "{text}");
    }
    assert_eq!(JwkSet::parse(b"{\"keys\":[]}"), Err(BadKeys::Empty));
    assert_eq!(JwkSet::parse(&vec![b' '; 300_000]), Err(BadKeys::Large));
    let many = json!({"keys": vec![fixture()["keys"][4].clone(); 101]}).to_string();
    assert_eq!(JwkSet::parse(many.as_bytes()), Err(BadKeys::Large));
}

#[test]
fn a_key_of_1024_bits_signs_nothing() {
    let weak = JwkSet::parse(fixture()["weak"]["jwk"].to_string().as_bytes()).unwrap();
    let token = fixture()["weak"]["token"].as_str().unwrap().to_owned();
    assert_eq!(issuer().verify(&token, &weak, now()), Err(BadToken::Signature));
}

#[test]
fn claims_are_found_by_their_paths() {
    let token =
        with(&json!({"a": {"b": {"c": ["x", "y"]}}, "https://e.com/team": "t", "n": 7, "scope": "one two",
        "empty": "", "none": null, "obj": {"x": 1}}));
    let claims = verify(&token).unwrap();
    assert_eq!(claims.texts("a.b.c"), ["x", "y"]);
    assert_eq!(claims.text("a.b.c").as_deref(), Some("x"));
    assert_eq!(claims.text("a.b.c.1").as_deref(), Some("y"));
    assert_eq!(claims.text("https://e.com/team").as_deref(), Some("t"));
    assert_eq!(claims.text("n").as_deref(), Some("7"));
    assert_eq!(claims.scopes(), ["one", "two"]);
    for path in ["empty", "none", "obj", "a.x", "a.b.c.9", "", "."] {
        assert_eq!(claims.text(path), None, "{path}");
    }
}
