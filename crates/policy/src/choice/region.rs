//! Which places lie within which.
//!
//! A place is a provider's own name of a region (`eu-west-1`, `europe-west4`, `westeurope`) or a family of them: `eu`
//! (with its like `europe`) and `us`. `eu` means the European Union: London and Zurich carry `eu-` or `europe-` in
//! their names and are not in it. **Invariant:** a name that is not known belongs to no family.

/// A family of regions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    Eu,
    Us,
}

/// Regions whose names begin with `eu-` or `europe-` and that are outside of the European Union (AWS and Google Cloud,
/// their lists of regions): London and Zurich.
const OUTSIDE_EU: [&str; 4] = ["eu-west-2", "eu-central-2", "europe-west2", "europe-west6"];

/// Azure's regions in the European Union (Azure's list of regions), whose names have no common prefix.
const AZURE_EU: [&str; 14] = [
    "westeurope",
    "northeurope",
    "austriaeast",
    "belgiumcentral",
    "denmarkeast",
    "francecentral",
    "francesouth",
    "germanynorth",
    "germanywestcentral",
    "italynorth",
    "polandcentral",
    "spaincentral",
    "swedencentral",
    "swedensouth",
];

/// Azure's regions in the United States (the same list); its government's begin with `usgov` and `usdod`.
const AZURE_US: [&str; 9] = [
    "eastus",
    "eastus2",
    "centralus",
    "northcentralus",
    "southcentralus",
    "westcentralus",
    "westus",
    "westus2",
    "westus3",
];

/// Whether a deployment at `place` fulfils a request for `wanted`: the same name, or one of the family asked for.
/// Case, blanks and underscores do not matter (`West Europe` is `westeurope`).
pub fn admits(wanted: &str, place: &str) -> bool {
    is_same(wanted, place) || family_by_name(wanted).is_some_and(|family| family_of(place) == Some(family))
}

/// A place that is asked for, held against one place after the other: neighbours in a group often are in one region.
pub(super) struct Wanted<'a> {
    name: &'a str,
    last: Option<(&'a str, bool)>,
}

impl<'a> Wanted<'a> {
    pub(super) fn new(name: &'a str) -> Self {
        Self { name, last: None }
    }

    /// As [`admits`].
    pub(super) fn admits(&mut self, place: &'a str) -> bool {
        match self.last {
            Some((last, is_admitted)) if last == place => is_admitted,
            _ => self.last.insert((place, admits(self.name, place))).1,
        }
    }
}

/// The family that `name` itself names.
fn family_by_name(name: &str) -> Option<Family> {
    match name {
        _ if is_same(name, "eu") || is_same(name, "europe") => Some(Family::Eu),
        _ if is_same(name, "us") => Some(Family::Us),
        _ => None,
    }
}

/// The family that a region belongs to.
fn family_of(place: &str) -> Option<Family> {
    let is_one_of = |names: &[&str]| names.iter().any(|name| is_same(name, place));
    if family_by_name(place).is_some() {
        return family_by_name(place);
    }
    if is_one_of(&OUTSIDE_EU) {
        return None;
    }
    if begins_with(place, "eu-") || begins_with(place, "europe-") || is_one_of(&AZURE_EU) {
        return Some(Family::Eu);
    }
    let is_government = begins_with(place, "usgov") || begins_with(place, "usdod");
    (begins_with(place, "us-") || is_government || is_one_of(&AZURE_US)).then_some(Family::Us)
}

fn letters(name: &str) -> impl Iterator<Item = char> {
    name.chars().filter(|letter| !matches!(letter, ' ' | '_')).map(|letter| letter.to_ascii_lowercase())
}

fn is_same(one: &str, two: &str) -> bool {
    letters(one).eq(letters(two))
}

fn begins_with(name: &str, prefix: &str) -> bool {
    let mut letters = letters(name);
    prefix.chars().all(|letter| letters.next() == Some(letter))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_admits_its_regions_under_the_names_of_all_providers() {
        let check = |wanted: &str, place: &str, expect: bool| {
            assert_eq!(admits(wanted, place), expect, "{wanted} admits {place}");
        };
        for place in ["eu", "EU", "europe", "eu-west-1", "eu-north-1", "europe-west4", "europe-southwest1"] {
            check("eu", place, true);
            check("us", place, false);
        }
        for place in ["westeurope", "West Europe", "northeurope", "swedencentral", "germanywestcentral"] {
            check("eu", place, true);
            check("europe", place, true);
            check("us", place, false);
        }
        for place in
            ["us", "us-east-1", "us-gov-west-1", "us-central1", "eastus", "East US 2", "usgovvirginia"]
        {
            check("us", place, true);
            check("eu", place, false);
        }
        for place in
            ["eu-west-2", "eu-central-2", "europe-west2", "europe-west6", "uksouth", "switzerlandnorth"]
        {
            check("eu", place, false);
        }
        for place in ["ap-southeast-1", "australiaeast", "usa", "eurasia", "global", ""] {
            check("eu", place, false);
            check("us", place, false);
        }
    }

    #[test]
    fn a_region_admits_itself_alone() {
        let check = |wanted: &str, place: &str, expect: bool| {
            assert_eq!(admits(wanted, place), expect, "{wanted} admits {place}");
        };
        check("eu-west-1", "eu-west-1", true);
        check("EU-West-1", "eu-west-1", true);
        check("eu-west-1", "eu-west-2", false);
        check("eu-west-1", "eu", false);
        check("westeurope", "West Europe", true);
        check("uksouth", "UK South", true);
        check("my-own-place", "my-own-place", true);
        check("my-own-place", "another", false);
    }

    #[test]
    fn one_place_after_the_other_is_held_against_the_same_wish() {
        let mut wanted = Wanted::new("eu");
        let places = ["eastus", "eastus", "eu-west-1", "eu-west-1", "eastus", "westeurope", ""];
        let admitted = places.map(|place| wanted.admits(place));
        assert_eq!(admitted, [false, false, true, true, false, true, false]);
    }
}
