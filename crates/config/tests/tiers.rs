//! Tiers and canned answers: what they resolve to, and what is said of those that lead nowhere.

use std::cell::RefCell;
use std::io;
use std::path::Path;
use std::time::Duration;

use tollgate_config::{
    Config, FaqEntry, LAST_TIER_ALERT_SHARE, Loaded, MoveOn, Tier, TierTarget, check_summary, diff, load,
};

const MODELS: &str = "\
model_list:
- {model_name: azure, litellm_params: {model: openai/a, api_key: k}}
- {model_name: second, litellm_params: {model: openai/b, api_key: k}}
- {model_name: cheap, litellm_params: {model: openai/c, api_key: k}}
router_settings: {model_group_alias: {best: azure}}
";

const FAQ: &str = "\
- questions: [How do I reach you?, phone number]
  answer: Call 0800.
- questions: ['Are you open on Sundays?']
  answer: |
    No.
    Never.
";

/// Reads `etc/main.yaml` made of [`MODELS`] and `settings`, which begin in line 6, and the files beside it.
fn read(settings: &str, faq: &str) -> (Loaded, Vec<String>) {
    let main = format!("{MODELS}{settings}");
    let reads = RefCell::new(Vec::new());
    let mut file = |path: &Path| {
        let name = path.display().to_string();
        reads.borrow_mut().push(name.clone());
        match name.as_str() {
            "etc/main.yaml" => Ok(main.clone()),
            "etc/faq.yaml" => Ok(faq.to_owned()),
            _ => Err(io::Error::from(io::ErrorKind::NotFound)),
        }
    };
    let loaded = load(Path::new("etc/main.yaml"), &mut file, &|_| None);
    (loaded, reads.into_inner())
}

#[cfg(test)]
fn config(settings: &str) -> Config {
    let (loaded, _) = read(settings, FAQ);
    let report = loaded.report.to_string();
    loaded.config.unwrap_or_else(|| panic!("{report}"))
}

#[cfg(test)]
fn check(settings: &str, expect: &[&str]) {
    let (loaded, _) = read(settings, FAQ);
    let found: Vec<String> = loaded.report.findings.iter().map(ToString::to_string).collect();
    assert_eq!(found, expect, "{settings}");
}

/// The findings in `faq` as an FAQ file.
#[cfg(test)]
fn check_faq(faq: &str, expect: &[&str]) {
    let (loaded, _) = read("tollgate_settings: {tiers: [azure, {canned: {faq: faq.yaml}}]}\n", faq);
    let found: Vec<String> = loaded.report.findings.iter().map(ToString::to_string).collect();
    assert_eq!(found, expect, "{faq}");
    assert!(loaded.config.is_none());
}

#[cfg(test)]
fn names(tiers: &[Tier]) -> Vec<(&str, &str)> {
    tiers.iter().map(|tier| (tier.name.as_str(), tier.target.group().unwrap_or("-"))).collect()
}

#[test]
fn a_list_names_its_groups_and_what_moves_a_request_on() {
    let tiers = config(
        "tollgate_settings:
  tiers:
  - {name: residency, model: azure, move_on: [rate_limit, quality, {first_token: 3}], alert_share: 20%}
  - second
  - {model: cheap, move_on: [], alert_share: 0.5}
  - canned: {faq: faq.yaml}
",
    )
    .tollgate
    .tiers;
    assert_eq!(
        names(&tiers.default),
        [("residency", "azure"), ("second", "second"), ("cheap", "cheap"), ("canned", "-")]
    );
    let moves: Vec<MoveOn> = tiers.default.iter().map(|tier| tier.move_on).collect();
    let nothing = MoveOn {
        rate_limit: false,
        server_error: false,
        context_window: false,
        quality: false,
        first_token: None,
    };
    let first =
        MoveOn { rate_limit: true, quality: true, first_token: Some(Duration::from_secs(3)), ..nothing };
    assert_eq!(moves, [first, MoveOn::default(), nothing, MoveOn::default()]);
    assert!(MoveOn::default().server_error && !MoveOn::default().quality);
    let shares: Vec<Option<f64>> = tiers.default.iter().map(|tier| tier.alert_share).collect();
    assert_eq!(shares, [Some(0.2), None, Some(0.5), Some(LAST_TIER_ALERT_SHARE)]);
    assert!(tiers.by_name.is_empty());
}

#[test]
fn lists_go_by_names_and_groups_may_have_their_own() {
    let tiers = config(
        "tollgate_settings:
  tiers: {chat: [best, second], support: [cheap]}
  model_groups: {second: {tiers: [second, cheap]}, best: {hedge: true}}
",
    )
    .tollgate
    .tiers;
    let lists: Vec<_> = tiers.lists().map(|(name, tiers)| (name.unwrap_or("-"), names(tiers))).collect();
    assert_eq!(
        lists,
        [
            ("chat", vec![("azure", "azure"), ("second", "second")]),
            ("support", vec![("cheap", "cheap")]),
            ("second", vec![("second", "second"), ("cheap", "cheap")]),
        ]
    );
    // A list of one serves everything: there is nothing to be alarmed at.
    assert_eq!(tiers.by_name[1].1[0].alert_share, None);
}

#[test]
fn fallbacks_may_lead_to_a_list_of_tiers_and_a_tier_may_not() {
    let settings = |model: &str| {
        format!(
            "litellm_settings: {{fallbacks: [{{cheap: [chat]}}]}}\n\
             tollgate_settings: {{tiers: {{chat: [azure], other: [{model}]}}}}\n"
        )
    };
    check(&settings("second"), &[]);
    check(
        &settings("chat"),
        &[
            "etc/main.yaml:7: error: tollgate_settings.tiers.other[0].model: no model group is named chat (nearest: cheap)",
        ],
    );
}

#[test]
fn a_tier_that_leads_nowhere_is_an_error_with_the_nearest_group() {
    check(
        "tollgate_settings:\n  tiers:\n  - azzure\n  - {model: secnd}\n",
        &[
            "etc/main.yaml:8: error: tollgate_settings.tiers[0].model: no model group is named azzure (nearest: azure)",
            "etc/main.yaml:9: error: tollgate_settings.tiers[1].model: no model group is named secnd (nearest: second)",
        ],
    );
    check(
        "tollgate_settings: {model_groups: {chaep: {tiers: [cheap]}}}\n",
        &[
            "etc/main.yaml:6: error: tollgate_settings.model_groups.chaep: no model group is named chaep (nearest: cheap)",
        ],
    );
    check(
        "tollgate_settings:\n  tiers: {cheap: [cheap]}\n  model_groups:\n    cheap: {tiers: [second]}\n",
        &[
            "etc/main.yaml:9: error: tollgate_settings.model_groups.cheap.tiers: tollgate_settings.tiers has them too",
        ],
    );
}

#[test]
fn a_list_that_makes_no_sense_is_told() {
    let at = "etc/main.yaml:6: error: tollgate_settings.tiers";
    let tiers = |list: &str| format!("tollgate_settings: {{tiers: [{list}]}}\n");
    // By its alias it is the same group.
    check(&tiers("azure, second, best"), &[&format!("{at}[2]: the group azure is in an earlier tier")]);
    check(&tiers("azure, {name: azure, model: second}"), &[&format!("{at}[1]: the name azure is taken")]);
    check(
        &tiers("{canned: {faq: faq.yaml}}, azure"),
        &[&format!("{at}[0]: answers everything that comes to it: it must be the last tier")],
    );
    check(
        &tiers("{model: azure, canned: {faq: faq.yaml}}"),
        &[&format!("{at}[0].canned: a tier has a model or canned answers")],
    );
    check(&tiers("{name: x}"), &[&format!("{at}[0].model: is required, or canned")]);
    check(
        &tiers("{name: 'größer', model: azure}"),
        &[&format!("{at}[0].name: a tier's name is printable ASCII, 128 bytes at most")],
    );
    check(&tiers(""), &["etc/main.yaml:6: warning: tollgate_settings.tiers: names no tiers"]);
    check(
        &tiers("azure, {model: second, move_on: [quality]}"),
        &[
            "etc/main.yaml:6: note: tollgate_settings.tiers[1].move_on: has no effect: no tier comes after the last",
        ],
    );
    check(
        "tollgate_settings: {tiers: azure}\n",
        &[&format!("{at}: wants list of text or map or map of list of text or map, found a text")],
    );
}

#[test]
fn a_tier_is_one_model_and_no_pattern() {
    let check = |tiers: &str, expect: &[&str]| {
        let yaml = format!(
            "model_list:\n- {{model_name: 'w/*', litellm_params: {{model: 'openai/*', api_key: k}}}}\n\
             - {{model_name: a, litellm_params: {{model: openai/a, api_key: k}}}}\n\
             router_settings: {{model_group_alias: {{any: 'w/*'}}}}\n\
             tollgate_settings:\n  tiers:\n{tiers}"
        );
        let loaded = Config::from_yaml_text(&yaml, &|_| None);
        let found: Vec<String> = loaded.report.findings.iter().map(ToString::to_string).collect();
        assert_eq!(found, expect, "{tiers}");
        assert_eq!(loaded.config.is_some(), expect.is_empty());
    };
    check("  - w/gpt-4o\n  - a\n", &[]);
    let message = "w/* is a pattern: name one model that it matches";
    check(
        "  - a\n  - w/*\n",
        &[&format!("config.yaml:8: error: tollgate_settings.tiers[1].model: {message}")],
    );
    check(
        "    z: ['w/*', a]\n    y: [a, {model: any}]\n",
        &[
            &format!("config.yaml:7: error: tollgate_settings.tiers.z[0].model: {message}"),
            &format!("config.yaml:8: error: tollgate_settings.tiers.y[1].model: {message}"),
        ],
    );
    let message =
        "w/* is a pattern, and a list of tiers has one name; router_settings.fallbacks may follow a pattern";
    check(
        "    'w/*': [w/gpt-4o, a]\n",
        &[&format!("config.yaml:7: error: tollgate_settings.tiers.w/*: {message}")],
    );
    check(
        "    z: [a]\n  model_groups:\n    'w/*': {tiers: [a], hedge: true}\n",
        &[&format!("config.yaml:9: error: tollgate_settings.model_groups.w/*.tiers: {message}")],
    );
}

#[test]
fn a_list_by_the_name_of_a_group_contains_the_group() {
    let tiers = |lists: &str| format!("tollgate_settings: {{tiers: {{{lists}}}}}\n");
    let groups = |group: &str| format!("tollgate_settings: {{model_groups: {{{group}}}}}\n");
    let lacks = |name: &str, path: &str| {
        format!(
            "etc/main.yaml:6: error: tollgate_settings.{path}: {name} is a model group, and its own tiers have to contain \
             it: name the list otherwise, or the group among its tiers"
        )
    };
    check(&tiers("cheap: [cheap, azure], chat: [azure], best: [azure, second]"), &[]);
    check(&groups("cheap: {tiers: [cheap, azure]}, best: {tiers: [best]}"), &[]);
    check(&tiers("cheap: [azure]"), &[&lacks("cheap", "tiers.cheap")]);
    check(&tiers("best: [second]"), &[&lacks("best", "tiers.best")]);
    check(&groups("cheap: {tiers: [azure]}"), &[&lacks("cheap", "model_groups.cheap.tiers")]);
    check(
        &tiers("cheap: [azure, cheap]"),
        &[
            "etc/main.yaml:6: warning: tollgate_settings.tiers.cheap: a request for cheap enters at cheap: the tiers \
             before it serve only who asks for their groups",
        ],
    );
}

#[test]
fn what_moves_a_request_on_is_one_of_a_few_words_or_a_time() {
    let at = "etc/main.yaml:6: error: tollgate_settings.tiers[0].move_on[0]";
    let tiers =
        |what: &str| format!("tollgate_settings: {{tiers: [{{model: azure, move_on: [{what}]}}, cheap]}}\n");
    check(&tiers("rate_limits"), &[&format!("{at}: unknown value `rate_limits` (nearest: rate_limit)")]);
    check(
        &tiers("{first_token: 0}"),
        &[&format!(
            "{at}.first_token: wants seconds or a time such as 150ms or 2s, more than 0, found another number"
        )],
    );
    check(
        &tiers("{first_tokn: 3}"),
        &[
            "etc/main.yaml:6: warning: tollgate_settings.tiers[0].move_on[0].first_tokn: unknown key (nearest: first_token)",
        ],
    );
    let tiers = config(&tiers("{first_token: 800ms}")).tollgate.tiers;
    assert_eq!(tiers.default[0].move_on.first_token, Some(Duration::from_millis(800)));
}

#[test]
fn an_faq_file_is_read_beside_the_file_that_names_it_and_once() {
    let (loaded, reads) = read(
        "tollgate_settings:
  tiers:
    chat: [azure, {name: help, canned: {faq: faq.yaml, threshold: 75%, answer_when_nothing_matches: Please call.}}]
    support: [cheap, {canned: {faq: faq.yaml}}]
",
        FAQ,
    );
    assert_eq!(loaded.report.to_string(), "");
    assert_eq!(reads, ["etc/main.yaml", "etc/faq.yaml"]);
    assert!(loaded.files.iter().any(|file| file == Path::new("etc/faq.yaml")), "{:?}", loaded.files);
    let summary = check_summary(&loaded);
    assert!(summary.contains("\nTiers of chat: azure, then help (3 answers).\n"), "{summary}");
    let config = loaded.config.expect("a configuration");
    assert_eq!(config.files, loaded.files);
    let canned = |list: usize| match &config.tollgate.tiers.by_name[list].1[1].target {
        TierTarget::Canned(canned) => canned.clone(),
        TierTarget::Group(group) => panic!("{group}"),
    };
    let (chat, support) = (canned(0), canned(1));
    assert_eq!((chat.threshold, support.threshold), (0.75, 0.6));
    assert_eq!(chat.answer_when_nothing_matches.as_deref(), Some("Please call."));
    assert_eq!(support.answer_when_nothing_matches, None);
    assert_eq!(chat.entries, support.entries);
    let expect = FaqEntry {
        questions: vec!["How do I reach you?".to_owned(), "phone number".to_owned()],
        answer: "Call 0800.".to_owned(),
    };
    assert_eq!(chat.entries[0], expect);
    assert_eq!(chat.entries[1].answer, "No.\nNever.\n");
}

#[test]
fn one_answer_for_everything_needs_no_file() {
    let settings =
        "tollgate_settings: {tiers: [azure, {canned: {answer_when_nothing_matches: Please call.}}]}\n";
    let (loaded, reads) = read(settings, FAQ);
    assert_eq!(reads, ["etc/main.yaml"]);
    let summary = check_summary(&loaded);
    assert!(summary.contains("\nTiers: azure, then canned (1 answer).\n"), "{summary}");
    let TierTarget::Canned(canned) = config(settings).tollgate.tiers.default[1].target.clone() else {
        panic!("{summary}")
    };
    assert_eq!(canned.entries, []);
    assert_eq!(canned.answer_when_nothing_matches.as_deref(), Some("Please call."));
    let at = "etc/main.yaml:6: error: tollgate_settings.tiers[1].canned";
    let check = |block: &str, expect: &[&str]| {
        check(&settings.replace("{answer_when_nothing_matches: Please call.}", block), expect);
    };
    check("{}", &[&format!("{at}.faq: is required, or answer_when_nothing_matches")]);
    check(
        "{answer_when_nothing_matches: ' '}",
        &[&format!("{at}.faq: is required, or answer_when_nothing_matches")],
    );
    check(
        "{answer_when_nothing_matches: [hi]}",
        &[&format!("{at}.answer_when_nothing_matches: wants text, found a list")],
    );
    check("{faq: '', answer_when_nothing_matches: hi}", &[&format!("{at}.faq: is required")]);
    check(
        "{faq: gone.yaml, answer_when_nothing_matches: hi}",
        &[&format!("{at}.faq: etc/gone.yaml: cannot be read: entity not found")],
    );
    check(
        "{threshold: 0.5, answer_when_nothing_matches: hi}",
        &[
            "etc/main.yaml:6: warning: tollgate_settings.tiers[1].canned.threshold: has no effect without faq: one answer is \
             given to every question",
        ],
    );
}

#[test]
fn a_new_answer_in_the_faq_file_is_a_change_of_the_tiers() {
    let settings = "tollgate_settings: {tiers: [azure, {canned: {faq: faq.yaml}}]}\n";
    let with = |faq: &str| read(settings, faq).0.config.unwrap_or_default();
    assert!(diff(&with(FAQ), &with(FAQ)).applied.is_empty());
    let difference = diff(&with(FAQ), &with(&FAQ.replace("0800", "0900")));
    assert_eq!(difference.applied, ["tollgate_settings.tiers"]);
    assert!(difference.keeps_deployments());
}

#[test]
fn an_faq_file_that_cannot_be_used_is_an_error() {
    check(
        "tollgate_settings:\n  tiers:\n  - azure\n  - canned: {faq: gone.yaml}\n",
        &[
            "etc/main.yaml:9: error: tollgate_settings.tiers[1].canned.faq: etc/gone.yaml: cannot be read: entity not found",
        ],
    );
    check(
        "tollgate_settings: {tiers: [azure, {canned: {threshold: 2}}]}\n",
        &[
            "etc/main.yaml:6: error: tollgate_settings.tiers[1].canned.faq: is required, or answer_when_nothing_matches",
            "etc/main.yaml:6: error: tollgate_settings.tiers[1].canned.threshold: wants share from 0 to 1, or percent such as 5%, found another number",
        ],
    );
    check_faq("", &["etc/faq.yaml:1:1: error: the file is empty: it wants a list of questions and answers"]);
    check_faq("[]", &["etc/faq.yaml:1: error: faq: has no entries"]);
    check_faq("answer: x", &["etc/faq.yaml:1: error: faq: wants list of map, found a map"]);
    check_faq(
        "- a: [",
        &["etc/faq.yaml:2:1: error: not YAML: while parsing a node, did not find expected node content"],
    );
    check_faq(
        "- questions: [q]\n- answer: x\n- {questions: [' '], answer: x}\n- {questions: q, answer: ''}\n",
        &[
            "etc/faq.yaml:1: error: faq[0].answer: is required",
            "etc/faq.yaml:2: error: faq[1].questions: is required",
            "etc/faq.yaml:3: error: faq[2].questions: is required",
            "etc/faq.yaml:4: error: faq[3].questions: wants list of text, found a text",
            "etc/faq.yaml:4: error: faq[3].answer: is required",
        ],
    );
    check_faq(
        "- {questions: [q], answers: x}\n",
        &[
            "etc/faq.yaml:1: error: faq[0].answer: is required",
            "etc/faq.yaml:1: warning: faq[0].answers: unknown key (nearest: answer)",
        ],
    );
}
