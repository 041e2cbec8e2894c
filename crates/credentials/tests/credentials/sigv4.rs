//! Signatures against AWS's own test suite, and against what botocore has signed.
//!
//! `sigv4_suite.json` holds the header-signing cases of AWS's published Signature Version 4 suite with normalised paths
//! (written for services that encode a path once, so that the one path with a space has it as it is, to be encoded once);
//! `sigv4_botocore.json` what botocore 1.44.5 adds, the last rows as its Bedrock client sends them.

use serde_json::Value;
use std::time::{Duration, UNIX_EPOCH};
use tollgate_credentials::AwsKeys;
use tollgate_credentials::sigv4::{Request, Scope, body_sha256, sign};

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

struct Case<'a> {
    row: &'a Value,
    region: &'a str,
    service: &'a str,
    now: Duration,
}

fn text<'a>(row: &'a Value, name: &str) -> &'a str {
    row[name].as_str().unwrap_or_default()
}

fn check(case: &Case<'_>, more: &[(&str, &str)]) {
    let row = case.row;
    let given = row["headers"].as_array().unwrap().iter();
    let mut headers: Vec<(&str, &str)> =
        given.map(|pair| (pair[0].as_str().unwrap(), pair[1].as_str().unwrap())).collect();
    headers.extend_from_slice(more);
    let request = Request {
        method: text(row, "method"),
        target: text(row, "target"),
        headers: &headers,
        body_sha256: body_sha256([text(row, "body").as_bytes()]),
    };
    let keys = AwsKeys::new("AKIDEXAMPLE", SECRET, row["token"].as_str());
    let scope = Scope { region: case.region, service: case.service, now: UNIX_EPOCH + case.now };
    let added = sign(&request, &keys, &scope).unwrap();
    assert_eq!(added["authorization"].to_str().unwrap(), text(row, "authorization"), "{}", text(row, "name"));
    assert!(added["authorization"].is_sensitive());
    let token = added.get("x-amz-security-token").map(|token| token.to_str().unwrap());
    assert_eq!(token, row["token"].as_str());
    if row.get("date").is_some() {
        assert_eq!(added["x-amz-date"].to_str().unwrap(), text(row, "date"));
    }
}

#[test]
fn awss_own_suite_is_signed_as_published() {
    let suite: Vec<Value> = serde_json::from_str(include_str!("../fixtures/sigv4_suite.json")).unwrap();
    assert_eq!(suite.len(), 30);
    for row in &suite {
        let now = Duration::from_secs(1_440_938_160);
        check(&Case { row, region: "us-east-1", service: "service", now }, &[]);
    }
}

#[test]
fn bedrock_sagemaker_and_sts_are_signed_as_botocore_does_it() {
    let rows: Vec<Value> = serde_json::from_str(include_str!("../fixtures/sigv4_botocore.json")).unwrap();
    assert_eq!(rows.len(), 10);
    for row in &rows {
        // 2026-11-22T15:04:05Z.
        let now = Duration::from_secs(1_795_359_845);
        let case = Case { row, region: text(row, "region"), service: text(row, "service"), now };
        check(&case, &[("host", text(row, "host"))]);
    }
}

#[test]
fn a_key_that_no_header_takes_is_an_error_without_the_key() {
    let request = Request { method: "GET", target: "/", headers: &[], body_sha256: [0; 32] };
    let scope = Scope { region: "us-east-1", service: "sts", now: UNIX_EPOCH };
    for keys in [AwsKeys::new("AK\nsk-secret", "s", None), AwsKeys::new("AK", "s", Some("sk-secret\r\n"))] {
        let error = sign(&request, &keys, &scope).unwrap_err().to_string();
        assert_eq!(error, "a region or a key has characters that no header takes");
    }
}
