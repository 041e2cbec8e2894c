//! `/tag/*`.

use crate::support::{at, check, clock, kept, recording, wall};
use serde_json::Value;
use tollgate_identity::form::tag as form;
use tollgate_identity::reply::tag as reply;

#[test]
fn a_tag_is_made_told_of_and_listed_with_those_that_requests_have() {
    let time = "2026-11-22T11:01:21.740Z";
    let new = recording("tag_new");
    let drafts = at(time, |context| form::new(&new.request, context).unwrap());
    assert!(drafts.others.is_empty());
    let tag = kept(&drafts.record);
    check(&new, &reply::created(&tag, &clock(time)), &[]);

    let info = recording("tag_info");
    let names = at(time, |context| form::asked(&info.request, context).unwrap());
    let rows = names.into_iter().map(|name| (name, reply::row(&tag, None, &clock(time)))).collect();
    check(&info, &reply::info(rows), &[]);

    let (first, last) = (wall("2026-11-22T11:00:42.885Z"), wall("2026-11-22T11:01:15.866Z"));
    let rows: Value = [
        reply::row(&tag, None, &clock(time)),
        reply::dynamic("User-Agent: Python-urllib/3.11", first, last),
        reply::dynamic("User-Agent: Python-urllib", first, last),
    ]
    .into_iter()
    .collect();
    check(&recording("tag_list"), &rows, &[]);
}
