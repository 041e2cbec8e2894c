//! The packed catalogue: binary searches over the index and the text that the build made of `data/models.json`.
//!
//! Owns reading that form (`build.rs` documents it). Leaves the meaning of a model's fields to its parent.
//!
//! **Invariant:** nothing is parsed, copied or allocated before the first look-up, and a look-up reads a few pages
//! of the binary's file: the fields it probes, the keys it compares, the one object that it returns.

static INDEX: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/models.idx"));
static TEXT: &str = include_str!(concat!(env!("OUT_DIR"), "/models.txt"));

/// Numbers before the models: how many models, how many providers.
const COUNTS: usize = 2;
/// Numbers of one model or provider.
const ROW: usize = 4;

/// The number at `place`, counted in numbers; zero beyond the end, which no valid index reaches.
fn number(place: usize) -> usize {
    INDEX
        .get(place * 4..place * 4 + 4)
        .and_then(|bytes| bytes.try_into().ok())
        .map_or(0, |bytes| u32::from_le_bytes(bytes) as usize)
}

/// The text whose offset and length stand at `place`.
fn text(place: usize) -> &'static str {
    let from = number(place);
    TEXT.get(from..from + number(place + 1)).unwrap_or_default()
}

fn models() -> usize {
    number(0)
}

fn providers_at() -> usize {
    COUNTS + ROW * models()
}

fn members_at() -> usize {
    providers_at() + ROW * number(1)
}

/// The key of the model at that place in key order.
pub(super) fn key(model: usize) -> &'static str {
    text(COUNTS + ROW * model)
}

/// The JSON object of the model at that place in key order.
pub(super) fn raw(model: usize) -> &'static str {
    text(COUNTS + ROW * model + 2)
}

/// Every model's place, in key order.
pub(super) fn places() -> impl Iterator<Item = usize> {
    0..models()
}

/// Where the model of exactly that key is.
pub(super) fn find(wanted: &str) -> Option<usize> {
    search(models(), |place| key(place).cmp(wanted))
}

/// The places of the models whose `litellm_provider` is exactly that.
pub(super) fn members(provider: &str) -> impl Iterator<Item = usize> + use<> {
    let row = search(number(1), |place| text(providers_at() + ROW * place).cmp(provider));
    let (first, count) = row.map_or((0, 0), |place| {
        let at = providers_at() + ROW * place;
        (number(at + 2), number(at + 3))
    });
    let members = members_at();
    (first..first + count).map(move |member| number(members + member))
}

/// Every provider name of the catalogue, in order.
pub(super) fn provider_names() -> impl Iterator<Item = &'static str> {
    (0..number(1)).map(|place| text(providers_at() + ROW * place))
}

/// Binary search over `0..count`.
fn search(count: usize, order: impl Fn(usize) -> std::cmp::Ordering) -> Option<usize> {
    let (mut low, mut high) = (0, count);
    while low < high {
        let middle = low + (high - low) / 2;
        match order(middle) {
            std::cmp::Ordering::Less => low = middle + 1,
            std::cmp::Ordering::Greater => high = middle,
            std::cmp::Ordering::Equal => return Some(middle),
        }
    }
    None
}
