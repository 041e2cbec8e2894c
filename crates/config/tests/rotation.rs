//! When keys are replaced by themselves, as files and LiteLLM's variables say it.

use std::path::Path;
use std::time::Duration;
use tollgate_config::{Config, KeyRotation};

/// What a file says with these variables, and what was found in it.
#[cfg(test)]
fn read(settings: &str, variables: &[(&str, &str)]) -> (KeyRotation, Vec<String>) {
    let lookup =
        |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
    let text = "model_list:\n- model_name: a\n  litellm_params: {model: openai/a, api_key: k}\n";
    let loaded = Config::from_yaml_text(&format!("{text}tollgate_settings: {{{settings}}}\n"), &lookup);
    let lines = loaded.report.to_string().lines().map(str::to_owned).collect();
    (loaded.config.unwrap().key_rotation, lines)
}

const FOLDER: &str = "key_rotation: {folder: /keys}";

#[test]
fn keys_are_replaced_where_a_folder_is_named_and_nothing_says_otherwise() {
    let none = read("", &[]);
    assert_eq!((none.0, none.1.len()), (KeyRotation::default(), 0));
    let (settings, found) = read(FOLDER, &[]);
    assert_eq!((settings.is_on, settings.folder.as_deref()), (true, Some(Path::new("/keys"))));
    assert_eq!((settings.grace_period, settings.check_interval), (None, Duration::from_secs(300)));
    assert_eq!(found, [] as [&str; 0]);
    for (word, expect) in [("true", true), ("True", true), ("1", true), ("false", false), ("0", false)] {
        let is_on = read(FOLDER, &[("LITELLM_KEY_ROTATION_ENABLED", word)]).0.is_on;
        assert_eq!(is_on, expect, "{word}");
    }
}

#[test]
fn the_file_goes_before_the_variables() {
    let variables = [
        ("LITELLM_KEY_ROTATION_GRACE_PERIOD", "48h"),
        ("LITELLM_KEY_ROTATION_CHECK_INTERVAL_SECONDS", "3600"),
    ];
    let (settings, _) = read(FOLDER, &variables);
    assert_eq!(settings.grace_period.as_deref(), Some("48h"));
    assert_eq!(settings.check_interval, Duration::from_secs(3600));
    let written = "key_rotation: {folder: /keys, grace_period: 1d, check_interval_seconds: 5}";
    let (settings, _) = read(written, &variables);
    assert_eq!(settings.grace_period.as_deref(), Some("1d"));
    assert_eq!(settings.check_interval, Duration::from_secs(5));
}

#[test]
fn what_would_replace_nothing_or_makes_no_sense_is_said() {
    let check = |settings: &str, variable: (&str, &str), expect: &str| {
        let (_, found) = read(settings, &[variable]);
        assert!(found.iter().any(|line| line.contains(variable.0) && line.contains(expect)), "{found:?}");
    };
    check("", ("LITELLM_KEY_ROTATION_ENABLED", "true"), "tollgate_settings.key_rotation.folder");
    check(FOLDER, ("LITELLM_KEY_ROTATION_GRACE_PERIOD", "soon"), "is no span");
    check(FOLDER, ("LITELLM_KEY_ROTATION_CHECK_INTERVAL_SECONDS", "0"), "above 0");
}
