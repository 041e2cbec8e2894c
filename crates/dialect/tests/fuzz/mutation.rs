//! Changes inputs the way that broken and hostile ones differ from good ones.
//!
//! An input is text around JSON: a body is one value, a stream has one in each of its lines. Values are changed as trees,
//! so that what comes out is often still JSON and reaches what lies behind the parser; the pieces of a stream change
//! places; and sometimes bytes are hit blindly. The same dice make the same mutants.

use serde_json::{Map, Value, json};

/// Longest mutant; what a decoder does with more is `Limits`' business.
const BYTES_MAX: usize = 64 << 10;
/// Changes to one input at most.
const CHANGES_MAX: usize = 4;
/// Copies of a value where one is repeated.
const COPIES_MAX: usize = 6;

/// Small deterministic numbers.
pub(crate) struct Dice(u64);

impl Dice {
    /// Dice that fall the same for the same seed.
    pub(crate) fn new(seed: &str) -> Self {
        Self(fold(seed.as_bytes()))
    }

    /// A number below `sides`, 0 for no sides.
    pub(crate) fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides.max(1)
    }

    /// One of the items.
    fn pick<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        items.get(self.roll(items.len()))
    }
}

/// A number for some bytes, the same in every build (FNV-1a).
pub(crate) fn fold(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// A piece of an input.
#[derive(Debug, Clone)]
enum Piece {
    Text(Vec<u8>),
    Json(Value),
}

/// What mutants of a corpus are made with: values and names that its files have.
pub(crate) struct Mutator {
    values: Vec<Value>,
    names: Vec<String>,
    lines: Vec<Vec<u8>>,
}

impl Mutator {
    /// Learns from the files of a corpus.
    pub(crate) fn new<'a>(files: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut learned = Self { values: odd_values(), names: Vec::new(), lines: Vec::new() };
        for file in files {
            learned.lines.extend(file.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec));
            for piece in pieces(file) {
                if let Piece::Json(value) = piece {
                    learned.learn(&value);
                }
            }
        }
        learned.names.sort();
        learned.names.dedup();
        learned
    }

    fn learn(&mut self, value: &Value) {
        match value {
            Value::Object(members) => {
                self.names.extend(members.keys().cloned());
                members.values().for_each(|value| self.learn(value));
            }
            Value::Array(items) => items.iter().for_each(|item| self.learn(item)),
            _ => {}
        }
        self.values.push(value.clone());
    }

    /// Another input near this one.
    pub(crate) fn mutate(&self, input: &[u8], dice: &mut Dice) -> Vec<u8> {
        let mut pieces = pieces(input);
        for _ in 0..=dice.roll(CHANGES_MAX) {
            let place = dice.roll(pieces.len());
            match pieces.get_mut(place) {
                Some(Piece::Json(value)) if dice.roll(8) > 0 => self.change_within(value, dice),
                _ if dice.roll(2) == 0 => self.move_pieces(&mut pieces, dice),
                _ => {}
            }
        }
        let mut mutant = joined(&pieces, dice.roll(10) == 0);
        if dice.roll(5) == 0 {
            self.hit(&mut mutant, dice);
        }
        mutant.truncate(BYTES_MAX);
        mutant
    }

    /// Changes something in a value, how deep it may be.
    fn change_within(&self, value: &mut Value, dice: &mut Dice) {
        let inner = match value {
            Value::Object(members) if dice.roll(5) > 0 => {
                let at = dice.roll(members.len());
                members.values_mut().nth(at)
            }
            Value::Array(items) if dice.roll(5) > 0 => {
                let at = dice.roll(items.len());
                items.get_mut(at)
            }
            _ => None,
        };
        match inner {
            Some(inner) => self.change_within(inner, dice),
            None => self.change(value, dice),
        }
    }

    fn change(&self, value: &mut Value, dice: &mut Dice) {
        let other = dice.pick(&self.values).cloned().unwrap_or_default();
        match value {
            Value::Object(members) => self.change_object(members, other, dice),
            Value::Array(items) => change_array(items, other, dice),
            Value::String(text) if dice.roll(3) == 0 => change_text(text, dice),
            _ => match dice.roll(4) {
                0 => *value = json!([value.take()]),
                1 => {
                    let name = dice.pick(&self.names).cloned().unwrap_or_default();
                    *value = json!({ name: value.take() });
                }
                _ => *value = other,
            },
        }
    }

    fn change_object(&self, members: &mut Map<String, Value>, other: Value, dice: &mut Dice) {
        let name = members.keys().nth(dice.roll(members.len())).cloned().unwrap_or_default();
        let new_name = dice.pick(&self.names).cloned().unwrap_or_default();
        match dice.roll(4) {
            0 => drop(members.shift_remove(&name)),
            1 => drop(members.insert(new_name, other)),
            2 => drop(members.insert(name, other)),
            _ => {
                if let Some(value) = members.shift_remove(&name) {
                    members.insert(new_name, value);
                }
            }
        }
    }

    /// Pieces are left out, doubled, exchanged, or come from another file.
    fn move_pieces(&self, pieces: &mut Vec<Piece>, dice: &mut Dice) {
        let (one, other) = (dice.roll(pieces.len()), dice.roll(pieces.len()));
        match dice.roll(5) {
            0 if pieces.len() > 1 => drop(pieces.remove(one)),
            1 => {
                if let Some(piece) = pieces.get(one).cloned() {
                    pieces.insert(other, piece);
                }
            }
            2 if pieces.len() > 1 => pieces.swap(one, other),
            3 => pieces.truncate(one + 1),
            _ => {
                let line = dice.pick(&self.lines).cloned().unwrap_or_default();
                pieces.insert(one, Piece::Text(line));
            }
        }
    }

    /// Bytes change, come or go.
    fn hit(&self, bytes: &mut Vec<u8>, dice: &mut Dice) {
        const ODD: [&[u8]; 12] = [
            b"\0",
            b"\r",
            b"\n",
            b"\r\n\r\n",
            b"\xff",
            b"\xe2\x82",
            b"\xef\xbb\xbf",
            b"\\ud83d",
            b"\"",
            b"{",
            b"]",
            b"1e999",
        ];
        for _ in 0..=dice.roll(3) {
            let at = dice.roll(bytes.len());
            let end = (at + dice.roll(16)).min(bytes.len());
            match dice.roll(5) {
                0 => drop(bytes.drain(at..end)),
                1 => bytes.truncate(at),
                2 => {
                    let copy = bytes.get(at..end).unwrap_or_default().to_vec();
                    bytes.splice(at..at, copy);
                }
                3 => {
                    let odd = ODD.get(dice.roll(ODD.len())).copied().unwrap_or_default();
                    bytes.splice(at..at, odd.iter().copied());
                }
                _ => {
                    let bit = 1 << dice.roll(8);
                    if let Some(byte) = bytes.get_mut(at) {
                        *byte ^= bit;
                    }
                }
            }
        }
    }
}

fn change_array(items: &mut Vec<Value>, other: Value, dice: &mut Dice) {
    let (at, place) = (dice.roll(items.len()), dice.roll(items.len() + 1));
    match dice.roll(4) {
        0 if !items.is_empty() => drop(items.remove(at)),
        1 => items.insert(place, other),
        2 if place < items.len() => items.swap(at, place),
        _ => {
            let copies = 1 + dice.roll(COPIES_MAX);
            if let Some(item) = items.get(at).cloned() {
                (0..copies).for_each(|_| items.insert(at, item.clone()));
            }
        }
    }
}

fn change_text(text: &mut String, dice: &mut Dice) {
    let cut =
        (0..=text.len()).filter(|at| text.is_char_boundary(*at)).nth(dice.roll(text.len())).unwrap_or(0);
    match dice.roll(4) {
        0 => text.truncate(cut),
        1 => text.insert_str(cut, "\u{1F600}\u{0}\u{2028}\"\\ "),
        2 => text.push_str(&text.clone()),
        _ => *text = text.to_uppercase(),
    }
}

/// Values that readers stumble over.
fn odd_values() -> Vec<Value> {
    vec![
        Value::Null,
        json!(true),
        json!(false),
        json!(0),
        json!(1),
        json!(-1),
        json!(0.5),
        json!(2.0),
        json!(u64::MAX),
        json!(i64::MIN),
        json!(1e300),
        json!(1_u64 << 53),
        json!(""),
        json!(" "),
        json!("0"),
        json!("\u{0}\u{1F600}"),
        json!("../x?y#z"),
        json!("data:;base64,"),
        json!("{\"input\": \"x\"}"),
        json!([]),
        json!([[]]),
        json!([null]),
        json!({}),
        json!({ "type": "text" }),
    ]
}

/// Cuts an input into the JSON values of its lines and what stands between them; one value where it is all JSON.
fn pieces(input: &[u8]) -> Vec<Piece> {
    if let Ok(value) = serde_json::from_slice(input) {
        return vec![Piece::Json(value)];
    }
    let mut pieces = Vec::new();
    for line in input.split_inclusive(|byte| *byte == b'\n') {
        let end = line.trim_ascii_end().len();
        let begin = line.iter().position(|byte| *byte == b'{').unwrap_or(end);
        match serde_json::from_slice(line.get(begin..end).unwrap_or_default()) {
            Ok(value) => {
                pieces.push(Piece::Text(line.get(..begin).unwrap_or_default().to_vec()));
                pieces.push(Piece::Json(value));
                pieces.push(Piece::Text(line.get(end..).unwrap_or_default().to_vec()));
            }
            Err(_) => pieces.push(Piece::Text(line.to_vec())),
        }
    }
    pieces
}

/// Puts pieces together; `wide` writes white space into a body where JSON allows it.
fn joined(pieces: &[Piece], wide: bool) -> Vec<u8> {
    let mut bytes = Vec::new();
    for piece in pieces {
        match piece {
            Piece::Text(text) => bytes.extend_from_slice(text),
            Piece::Json(value) if wide && pieces.len() == 1 => {
                bytes.extend_from_slice(&serde_json::to_vec_pretty(value).unwrap_or_default());
            }
            Piece::Json(value) => bytes.extend_from_slice(value.to_string().as_bytes()),
        }
    }
    bytes
}
