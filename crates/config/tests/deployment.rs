//! What a deployment's keys of routing, health and faults resolve to, and what is said of those that make no sense.

use std::time::Duration;

use tollgate_config::{Config, Deployment, Fault, FaultKind, Loaded, diff};

/// One entry whose `litellm_params` end in line 3 with `params` and whose `model_info` is in line 4.
fn read(params: &str, info: &str) -> Loaded {
    let text = format!(
        "model_list:\n- model_name: a\n  litellm_params: {{model: openai/a, api_key: k, {params}}}\n  \
         model_info: {{{info}}}\n"
    );
    Config::from_yaml_text(&text, &|_| None)
}

#[cfg(test)]
fn deployment(params: &str, info: &str) -> Deployment {
    let loaded = read(params, info);
    assert_eq!(loaded.report.to_string(), "");
    let deployment = loaded.config.map(|mut config| config.deployments.remove(0));
    deployment.unwrap_or_else(|| panic!("{params} {info}"))
}

#[cfg(test)]
fn check_entry(params: &str, info: &str, expect: &[&str]) {
    let loaded = read(params, info);
    let found: Vec<String> = loaded.report.findings.iter().map(ToString::to_string).collect();
    assert_eq!(found, expect, "{params} {info}");
}

#[test]
fn a_deployment_says_what_it_is_and_how_much_it_takes() {
    let deployment = deployment(
        "order: 2, tags: [paid, '!free'], tag_regex: ['^user-agent: claude'], region_name: eu, \
         data_residency: de, zero_data_retention: true, max_parallel_requests: 7, rpm: 60, tpm: 1000, \
         cooldown_time: 2.5, tollgate_quality: 80%",
        "allowed_fails: 1, allowed_fails_policy: {TimeoutErrorAllowedFails: 2}, cooldown_time: 9, \
         disable_background_health_check: true, health_check_timeout: 4, health_check_model: openai/x, \
         enable_tag_filtering: false",
    );
    assert_eq!((deployment.order, deployment.max_parallel_requests), (Some(2), Some(7)));
    assert_eq!((deployment.rpm, deployment.tpm), (Some(60), Some(1000)));
    assert_eq!(deployment.tags, ["paid", "!free"]);
    assert_eq!(deployment.tag_regex, ["^user-agent: claude"]);
    assert_eq!(deployment.region_name.as_deref(), Some("eu"));
    assert_eq!(deployment.data_residency.as_deref(), Some("de"));
    assert!(deployment.zero_data_retention);
    assert_eq!(deployment.quality, Some(0.8));
    // `litellm_params` goes before `model_info`.
    assert_eq!(deployment.cooldown_time, Some(Duration::from_millis(2500)));
    assert_eq!(deployment.allowed_fails, Some(1));
    assert_eq!(deployment.allowed_fails_policy.and_then(|policy| policy.timeout), Some(2));
    assert_eq!(deployment.enable_tag_filtering, Some(false));
    assert!(deployment.health_check.is_left_out);
    assert_eq!(deployment.health_check.timeout, Some(Duration::from_secs(4)));
    assert_eq!(deployment.health_check.model.as_deref(), Some("openai/x"));
}

#[test]
fn a_deployment_is_blocked_from_either_place() {
    assert!(deployment("blocked: true", "").is_blocked);
    assert!(deployment("", "blocked: true").is_blocked);
    assert!(!deployment("blocked: false", "blocked: false").is_blocked);
    assert_eq!(deployment("", "cooldown_time: 9").cooldown_time, Some(Duration::from_secs(9)));
}

#[test]
fn an_expression_that_does_not_compile_is_an_error_when_the_file_is_read() {
    let path = "model_list[0].litellm_params.tag_regex";
    let said = "is no regular expression (look-around and back-references are not known)";
    for text in ["a(", "(?=a)b", "(a)\\1", "(x{1000}){1000}"] {
        check_entry(
            &format!("tag_regex: ['{text}']"),
            "",
            &[&format!("config.yaml:3: error: {path}: {said}")],
        );
    }
    check_entry("tag_regex: ['[']", "", &[&format!("config.yaml:3: error: {path}: {said}")]);
}

#[test]
fn a_fault_has_a_kind_and_its_own_parameters() {
    let fault = |block: &str| deployment(&format!("tollgate_fault: {{{block}}}"), "").fault;
    let plain = Fault {
        kind: FaultKind::Error,
        rate: 1.0,
        status: 500,
        retry_after: None,
        delay: Duration::from_secs(1),
        after: 1,
    };
    assert_eq!(fault("kind: error"), Some(plain));
    assert_eq!(fault("kind: error, status: 503, rate: 20%"), Some(Fault { status: 503, rate: 0.2, ..plain }));
    let limited =
        Fault { kind: FaultKind::RateLimit, status: 429, retry_after: Some(Duration::from_secs(7)), ..plain };
    assert_eq!(fault("kind: rate_limit, retry_after: 7"), Some(limited));
    let late = Fault { kind: FaultKind::Latency, delay: Duration::from_millis(2500), ..plain };
    assert_eq!(fault("kind: latency, delay: 2.5s"), Some(late));
    for (word, kind) in [
        ("stall", FaultKind::Stall),
        ("cut", FaultKind::Cut),
        ("malformed", FaultKind::Malformed),
        ("reset", FaultKind::Reset),
    ] {
        assert_eq!(fault(&format!("kind: {word}, after: 5")), Some(Fault { kind, after: 5, ..plain }));
        assert_eq!(kind.name(), word);
    }
}

#[test]
fn a_fault_that_makes_no_sense_is_told() {
    let path = "model_list[0].litellm_params.tollgate_fault";
    let check = |block: &str, expect: &[String]| {
        let expect: Vec<&str> = expect.iter().map(String::as_str).collect();
        check_entry(&format!("tollgate_fault: {{{block}}}"), "", &expect);
    };
    check("rate: 1", &[format!("config.yaml:3: error: {path}.kind: is required")]);
    check(
        "kind: stal",
        &[format!("config.yaml:3: error: {path}.kind: unknown value `stal` (nearest: stall)")],
    );
    check(
        "kind: cut, status: 500, delay: 1s",
        &[
            format!("config.yaml:3: warning: {path}.status: has no effect with cut"),
            format!("config.yaml:3: warning: {path}.delay: has no effect with cut"),
        ],
    );
    check(
        "kind: error, status: 200",
        &[format!("config.yaml:3: error: {path}.status: wants the status of an error, 400 to 599")],
    );
    check(
        "kind: error, rate: 2",
        &[format!(
            "config.yaml:3: error: {path}.rate: wants share from 0 to 1, or percent such as 5%, found another number"
        )],
    );
    check(
        "kind: latency, delay: 0",
        &[format!(
            "config.yaml:3: error: {path}.delay: wants seconds or a time such as 150ms or 2s, more than 0, found another number"
        )],
    );
}

#[test]
fn a_deployment_that_fails_another_way_has_changed() {
    let with =
        |fault: &str| read(&format!("tollgate_fault: {{kind: {fault}}}"), "id: c").config.unwrap_or_default();
    let difference = diff(&with("cut"), &with("stall"));
    assert_eq!((difference.changed, difference.kept.len()), (vec!["c".to_owned()], 0));
}
