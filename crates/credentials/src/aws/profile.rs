//! AWS's shared files: `~/.aws/config` and `~/.aws/credentials` (AWS SDKs and Tools Reference Guide, "Shared config and
//! credentials files").
//!
//! Owns: reading them into profiles. Leaves to `chain.rs` what a profile means.

use crate::error::CredentialError;
use crate::surroundings::Surroundings;
use std::collections::HashMap;
use std::path::PathBuf;

/// A profile's settings by their names in lower case.
pub(super) type Settings = HashMap<String, String>;

/// The profiles of both files.
#[derive(Default)]
pub(super) struct Profiles {
    merged: HashMap<String, Profile>,
}

/// One profile.
#[derive(Default)]
pub(super) struct Profile {
    /// Of both files; the credentials file wins.
    settings: Settings,
}

impl Profile {
    /// A setting that has a value.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.settings.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The first setting there is whose name begins like this.
    pub(super) fn any_beginning(&self, prefix: &str) -> Option<&str> {
        self.settings.keys().map(String::as_str).filter(|name| name.starts_with(prefix)).min()
    }
}

impl Profiles {
    /// Reads both files; those that do not exist have no profiles.
    pub(super) fn read(surroundings: &Surroundings) -> Result<Self, CredentialError> {
        let place = |variable: &str, name: &str| {
            let named = surroundings.variable(variable).map(|path| in_home(&path, surroundings));
            named.or_else(|| Some(surroundings.home()?.join(".aws").join(name)))
        };
        let mut profiles = Self::default();
        if let Some(path) = place("AWS_CONFIG_FILE", "config")
            && let Some(text) = surroundings.text_if_there(&path)?
        {
            profiles.add(&text, config_section);
        }
        if let Some(path) = place("AWS_SHARED_CREDENTIALS_FILE", "credentials")
            && let Some(text) = surroundings.text_if_there(&path)?
        {
            profiles.add(&text, |section| Some(section.trim()));
        }
        Ok(profiles)
    }

    pub(super) fn get(&self, name: &str) -> Option<&Profile> {
        self.merged.get(name)
    }

    fn add(&mut self, text: &str, profile_of: impl Fn(&str) -> Option<&str>) {
        let mut current: Option<String> = None;
        for line in text.lines() {
            // What is indented belongs to the setting above it (`s3 =`), and nothing here has such settings.
            if line.starts_with([' ', '\t', '#', ';']) || line.trim().is_empty() {
                continue;
            }
            if let Some(section) = line.strip_prefix('[') {
                let section = section.split_once(']').map_or("", |(section, _)| section);
                current = profile_of(section).map(str::to_owned);
                if let Some(name) = &current {
                    self.merged.entry(name.clone()).or_default();
                }
            } else if let (Some(name), Some((key, value))) = (&current, line.split_once('=')) {
                let profile = self.merged.entry(name.clone()).or_default();
                profile.settings.insert(key.trim().to_ascii_lowercase(), value.trim().to_owned());
            }
        }
    }
}

/// `[default]` and `[profile name]`, the name perhaps in quotes; other sections are no profiles.
fn config_section(section: &str) -> Option<&str> {
    let section = section.trim();
    if section == "default" {
        return Some(section);
    }
    let name = section.strip_prefix("profile")?;
    let is_apart = name.starts_with([' ', '\t', '"', '\'']);
    Some(name.trim().trim_matches(['"', '\''])).filter(|name| is_apart && !name.is_empty())
}

/// `~/` is the person's own folder.
fn in_home(path: &str, surroundings: &Surroundings) -> PathBuf {
    match (path.strip_prefix("~/"), surroundings.home()) {
        (Some(rest), Some(home)) => home.join(rest),
        _ => PathBuf::from(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;
    use std::path::Path;
    use std::sync::Arc;

    const CONFIG: &str = "\
# comment
[default]
region = eu-west-1
s3 =
  aws_access_key_id = nested
[profile dev]
Role_Arn=arn:aws:iam::1:role/dev
aws_access_key_id = from-config
[profile \"two words\"]
region = us-west-2
[sso-session corp]
region = never
[profiled]
region = never
";
    const CREDENTIALS: &str =
        "[default]\naws_access_key_id = AK\n\n[ dev ]\naws_access_key_id = AK=2\n; comment\n";

    fn profiles(variables: &'static [(&str, &str)]) -> Profiles {
        let find = move |name: &str| variables.iter().find(|(known, _)| *known == name);
        let surroundings = Surroundings {
            variables: Arc::new(move |name| find(name).map(|(_, value)| (*value).to_owned())),
            files: Arc::new(|path: &Path| match path.to_str().unwrap() {
                "/h/.aws/config" | "/h/else" => Ok(CONFIG.into()),
                "/h/.aws/credentials" => Ok(CREDENTIALS.into()),
                _ => Err(io::ErrorKind::NotFound.into()),
            }),
            ..Surroundings::of_process()
        };
        Profiles::read(&surroundings).unwrap()
    }

    #[test]
    fn profiles_are_read_from_both_files_and_the_credentials_file_wins() {
        let profiles = profiles(&[("HOME", "/h")]);
        let check = |profile: &str, setting: &str, expected: Option<&str>| {
            let found = profiles.get(profile).and_then(|profile| profile.get(setting));
            assert_eq!(found, expected, "{profile} {setting}");
        };
        check("default", "region", Some("eu-west-1"));
        check("default", "aws_access_key_id", Some("AK"));
        check("default", "s3", None);
        check("dev", "role_arn", Some("arn:aws:iam::1:role/dev"));
        check("dev", "aws_access_key_id", Some("AK=2"));
        check("two words", "region", Some("us-west-2"));
        for absent in ["corp", "sso-session corp", "profiled", "d"] {
            assert!(profiles.get(absent).is_none(), "{absent}");
        }
    }

    #[test]
    fn variables_move_the_files() {
        let moved =
            profiles(&[("HOME", "/h"), ("AWS_CONFIG_FILE", "~/else"), ("AWS_SHARED_CREDENTIALS_FILE", "/n")]);
        assert_eq!(moved.get("default").and_then(|profile| profile.get("region")), Some("eu-west-1"));
        assert_eq!(moved.get("default").and_then(|profile| profile.get("aws_access_key_id")), None);
        assert!(profiles(&[]).get("default").is_none(), "no folder of one's own, no files");
    }
}
