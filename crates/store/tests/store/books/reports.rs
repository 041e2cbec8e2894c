//! Reports over days: whatever they are grouped by, they are the sums of the attempts.

use std::collections::BTreeMap;

use tollgate_store::books::{
    Books, DailyFilter, EntityKind, Group, Page, SpendRow, Status, Sum, SumQuery, Totals, day_of,
};

use super::{NOON, batch, engines, row};

pub(crate) const KINDS: [EntityKind; 8] = [
    EntityKind::Global,
    EntityKind::User,
    EntityKind::Team,
    EntityKind::Member,
    EntityKind::Organization,
    EntityKind::Project,
    EntityKind::EndUser,
    EntityKind::Tag,
];

const GROUPS: [Group; 6] =
    [Group::Day, Group::Entity, Group::ApiKey, Group::Model, Group::ModelGroup, Group::Provider];

fn one_of(chance: &mut fastrand::Rng, texts: &[&str]) -> String {
    texts[chance.usize(..texts.len())].to_owned()
}

/// An attempt of somebody, some day, with amounts that no float holds.
pub(crate) fn some(chance: &mut fastrand::Rng, number: u128) -> SpendRow {
    let tags = ["", "blue", "green", "blue"].into_iter().filter(|_| chance.bool());
    let tags = tags.map(str::to_owned).collect();
    let started_at = NOON + chance.i64(-2..3) * 43_200_000_000;
    SpendRow {
        api_key: one_of(chance, &["k1", "k2", ""]),
        user_id: one_of(chance, &["", "ann", "bob"]),
        team_id: one_of(chance, &["", "red"]),
        organization_id: one_of(chance, &["", "acme"]),
        project_id: one_of(chance, &["", "p"]),
        end_user: one_of(chance, &["", "c1", "c2"]),
        model: one_of(chance, &["gpt", "claude"]),
        model_group: one_of(chance, &["", "large"]),
        provider: one_of(chance, &["openai", "anthropic"]),
        started_at,
        ended_at: started_at + chance.i64(-1_000..5_000_000),
        status: if chance.u8(..4) == 0 { Status::Failure } else { Status::Success },
        status_code: if chance.bool() { 429 } else { 200 },
        prompt_tokens: chance.u64(..1_000),
        completion_tokens: chance.u64(..1_000),
        total_tokens: chance.u64(..2_000),
        cache_read_tokens: chance.u64(..100),
        cache_write_tokens: chance.u64(..100),
        cost: i128::from(chance.i64(i64::MIN..)),
        overhead: chance.u8(..5) == 0,
        tags,
        accounts: Vec::new(),
        ..row(number, 0)
    }
}

/// For whom an attempt counts, worked out another way than the gateway does.
fn ids(row: &SpendRow, kind: EntityKind) -> Vec<String> {
    let one = |id: &str| if id.is_empty() { vec![] } else { vec![id.to_owned()] };
    match kind {
        EntityKind::Global => vec![String::new()],
        EntityKind::User => one(&row.user_id),
        EntityKind::Team => one(&row.team_id),
        EntityKind::Member if row.user_id.is_empty() || row.team_id.is_empty() => vec![],
        EntityKind::Member => vec![format!("{}/{}", row.team_id, row.user_id)],
        EntityKind::Organization => one(&row.organization_id),
        EntityKind::Project => one(&row.project_id),
        EntityKind::EndUser => one(&row.end_user),
        EntityKind::Tag => {
            let mut tags: Vec<String> = row.tags.iter().filter(|tag| !tag.is_empty()).cloned().collect();
            tags.sort();
            tags.dedup();
            tags
        }
    }
}

pub(crate) fn expected(rows: &[SpendRow], kind: EntityKind, groups: &[Group]) -> Vec<Sum> {
    let mut sums: BTreeMap<Vec<String>, Totals> = BTreeMap::new();
    for row in rows {
        for id in ids(row, kind) {
            let keys = groups.iter().map(|group| match group {
                Group::Day => day_of(row.started_at),
                Group::Entity => id.clone(),
                Group::ApiKey => row.api_key.clone(),
                Group::Model => row.model.clone(),
                Group::ModelGroup => row.model_group.clone(),
                Group::Provider => row.provider.clone(),
            });
            sums.entry(keys.collect()).or_default().add(&Totals::of(row));
        }
    }
    sums.into_iter().map(|(keys, totals)| Sum { keys, totals }).collect()
}

pub(crate) async fn sums(books: &Books, entity: EntityKind, group_by: &[Group]) -> Vec<Sum> {
    let filter = DailyFilter { entity, ..DailyFilter::default() };
    books.sums(SumQuery { filter, group_by: group_by.to_vec(), ..SumQuery::default() }).await.unwrap()
}

#[tokio::test]
async fn sums_of_any_grouping_are_the_sums_of_the_attempts() {
    for engine in engines::all().await {
        let mut chance = fastrand::Rng::with_seed(7);
        let rows: Vec<SpendRow> = (0..400).map(|number| some(&mut chance, number)).collect();
        for (number, part) in rows.chunks(60).enumerate() {
            engine.books.post(batch(number as u64, part.to_vec())).await.unwrap();
        }
        for kind in KINDS {
            for subset in 0..1_u32 << GROUPS.len() {
                let groups: Vec<Group> = GROUPS
                    .into_iter()
                    .enumerate()
                    .filter(|(place, _)| subset & (1 << place) != 0)
                    .map(|(_, group)| group)
                    .collect();
                let found = sums(&engine.books, kind, &groups).await;
                assert_eq!(found, expected(&rows, kind, &groups), "{} {kind:?} {groups:?}", engine.name);
            }
        }
    }
}

#[tokio::test]
async fn a_report_is_narrowed_to_days_keys_and_entities() {
    for engine in engines::all().await {
        let mut chance = fastrand::Rng::with_seed(8);
        let rows: Vec<SpendRow> = (0..1_000).map(|number| some(&mut chance, number)).collect();
        engine.books.post(batch(1, rows.clone())).await.unwrap();
        let text = |text: &str| vec![text.to_owned()];
        let filter = DailyFilter {
            entity: EntityKind::User,
            entity_ids: vec!["ann".to_owned(), "nobody".to_owned()],
            from_day: Some("2026-11-22".to_owned()),
            to_day: Some("2026-11-22".to_owned()),
            api_keys: text("k1"),
            models: text("gpt"),
            model_groups: text("large"),
            providers: text("openai"),
            ..DailyFilter::default()
        };
        let kept: Vec<SpendRow> = rows
            .iter()
            .filter(|row| row.user_id == "ann" && day_of(row.started_at) == "2026-11-22")
            .filter(|row| (row.api_key.as_str(), row.model.as_str()) == ("k1", "gpt"))
            .filter(|row| (row.model_group.as_str(), row.provider.as_str()) == ("large", "openai"))
            .cloned()
            .collect();
        assert!(!kept.is_empty());
        let query = SumQuery { filter, ..SumQuery::default() };
        let found = engine.books.sums(query).await.unwrap();
        assert_eq!(found, expected(&kept, EntityKind::User, &[]), "{}", engine.name);
        let others =
            DailyFilter { entity: EntityKind::User, without_ids: text("ann"), ..DailyFilter::default() };
        let query = SumQuery { filter: others, group_by: vec![Group::Entity], ..SumQuery::default() };
        let found = engine.books.sums(query).await.unwrap();
        assert_eq!(found.iter().map(|sum| sum.keys.join("")).collect::<Vec<_>>(), ["bob"]);
    }
}

#[tokio::test]
async fn the_dearest_come_first_if_wanted_and_nothing_is_a_sum_of_nothing() {
    for engine in engines::all().await {
        let books = &engine.books;
        assert_eq!(sums(books, EntityKind::Global, &[]).await, [Sum::default()], "{}", engine.name);
        assert_eq!(sums(books, EntityKind::Global, &[Group::Day]).await, []);
        let by =
            |number: u128, key: &str, cost: i128| SpendRow { api_key: key.to_owned(), ..row(number, cost) };
        let large = i128::from(i64::MAX);
        // 64 bits do not hold the dearest one.
        let rows =
            vec![by(1, "cheap", 5), by(2, "dear", large), by(3, "dear", large), by(4, "middle", large)];
        books.post(batch(1, rows)).await.unwrap();
        let group_by = vec![Group::ApiKey];
        let query = SumQuery { group_by, by_spend: true, limit: Some(2), ..SumQuery::default() };
        let found = books.sums(query).await.unwrap();
        let found: Vec<_> = found.iter().map(|sum| (sum.keys.join(""), sum.totals.spend)).collect();
        assert_eq!(found, [("dear".to_owned(), 2 * large), ("middle".to_owned(), large)]);
    }
}

#[tokio::test]
async fn the_rows_of_days_come_newest_first_page_by_page() {
    for engine in engines::all().await {
        let books = &engine.books;
        let day =
            |number: u128, day: i64| SpendRow { started_at: NOON + day * 86_400_000_000, ..row(number, 7) };
        books.post(batch(1, vec![day(1, 0), day(2, 1), day(3, 1), day(4, 2)])).await.unwrap();
        let filter = DailyFilter { entity: EntityKind::Team, ..DailyFilter::default() };
        let first = books.daily(filter.clone(), Page { offset: 0, limit: 2 }).await.unwrap();
        let shown = |rows: &[tollgate_store::books::DailyRow]| -> Vec<(String, u64, i128)> {
            rows.iter().map(|row| (row.day.clone(), row.totals.requests, row.totals.spend)).collect()
        };
        let expect = [("2026-11-24".to_owned(), 1, 7), ("2026-11-23".to_owned(), 2, 14)];
        assert_eq!((shown(&first.rows), first.total), (expect.to_vec(), 3), "{}", engine.name);
        let row = first.rows.first().unwrap();
        assert_eq!((row.entity_id.as_str(), row.api_key.as_str()), ("red", "key-hash"));
        assert_eq!((row.model.as_str(), row.model_group.as_str()), ("gpt-4o-2024-08-06", "gpt-4o"));
        let rest = books.daily(filter, Page { offset: 2, limit: 2 }).await.unwrap();
        assert_eq!(shown(&rest.rows), [("2026-11-22".to_owned(), 1, 7)]);
    }
}
