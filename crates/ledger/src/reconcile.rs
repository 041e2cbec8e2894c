//! A provider's invoice against what was booked, by day and model.
//!
//! Pure. Owns the form of an invoice: CSV (RFC 4180) whose first line names its columns, in any order and whatever their
//! case: `date` (`2026-11-22`, UTC; a time behind it is left out), `model` (the provider's name of it) and `amount` (US
//! dollars); others are left out. Lines of the same day and model are added up.
//!
//! **Invariant:** money is read and compared exactly. **Invariant:** every line is in the comparison, or is an error.

use std::collections::BTreeMap;
use tollgate_catalog::PicoDollars;

/// Most lines of an invoice.
pub const LINES_MAX: usize = 100_000;

/// What is wrong with an invoice.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct InvoiceError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub what: String,
}

/// Amounts by day and model.
pub type Amounts = BTreeMap<(String, String), PicoDollars>;

/// A day and a model of which the invoice says something else than the books.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The day, as `2026-11-22`.
    pub day: String,
    /// The provider's model.
    pub model: String,
    /// What was booked.
    pub booked: PicoDollars,
    /// What the provider asks for.
    pub invoiced: PicoDollars,
}

/// Reads an invoice.
///
/// # Errors
/// The line that is wrong, and why.
pub fn read_invoice(text: &str) -> Result<Amounts, InvoiceError> {
    let mut lines = text.trim_start_matches('\u{feff}').lines().enumerate();
    let wrong = |line: usize, what: &str| InvoiceError { line: line + 1, what: what.to_owned() };
    let (_, head) = lines.next().ok_or_else(|| wrong(0, "the invoice is empty"))?;
    let names = cells(head).ok_or_else(|| wrong(0, "a quote is not closed"))?;
    let column = |name: &str| {
        let place = names.iter().position(|other| other.trim().eq_ignore_ascii_case(name));
        place.ok_or_else(|| wrong(0, &format!("there is no column '{name}'")))
    };
    let (date, model, amount) = (column("date")?, column("model")?, column("amount")?);
    let mut amounts = Amounts::new();
    for (line, text) in lines.filter(|(_, text)| !text.trim().is_empty()) {
        if line > LINES_MAX {
            return Err(wrong(line, "there are too many lines"));
        }
        let cells = cells(text).ok_or_else(|| wrong(line, "a quote is not closed"))?;
        let cell = |place: usize| cells.get(place).map(|cell| cell.trim());
        let day = cell(date).and_then(day).ok_or_else(|| wrong(line, "its date is no day"))?;
        let model = cell(model).filter(|model| !model.is_empty());
        let model = model.ok_or_else(|| wrong(line, "it names no model"))?;
        let paid = cell(amount).map(|text| text.trim_start_matches('$'));
        let paid = paid.and_then(dollars).ok_or_else(|| wrong(line, "its amount is none of US dollars"))?;
        let sum = amounts.entry((day, model.to_owned())).or_default();
        *sum = sum.saturating_add(paid);
    }
    Ok(amounts)
}

/// An amount, which is negative for what is given back.
fn dollars(text: &str) -> Option<PicoDollars> {
    match text.strip_prefix('-') {
        Some(text) => PicoDollars::parse_dollars(text).ok().map(|amount| PicoDollars(-amount.0)),
        None => PicoDollars::parse_dollars(text).ok(),
    }
}

fn day(text: &str) -> Option<String> {
    let day = text.get(..10)?;
    let is_day = day.bytes().enumerate().all(|(place, byte)| match place {
        4 | 7 => byte == b'-',
        _ => byte.is_ascii_digit(),
    });
    is_day.then(|| day.to_owned())
}

/// The cells of a line; none where a quote is not closed.
fn cells(line: &str) -> Option<Vec<String>> {
    let mut cells = vec![String::new()];
    let (mut is_quoted, mut letters) = (false, line.chars().peekable());
    while let Some(letter) = letters.next() {
        match letter {
            '"' if is_quoted && letters.peek() == Some(&'"') => {
                letters.next();
                cells.last_mut()?.push('"');
            }
            '"' => is_quoted = !is_quoted,
            ',' if !is_quoted => cells.push(String::new()),
            '\r' if !is_quoted => {}
            letter => cells.last_mut()?.push(letter),
        }
    }
    (!is_quoted).then_some(cells)
}

/// Where an invoice and the books differ by more than `tolerance`, by day and model.
pub fn differences(booked: &Amounts, invoiced: &Amounts, tolerance: PicoDollars) -> Vec<Difference> {
    let mut days: Vec<&(String, String)> = booked.keys().chain(invoiced.keys()).collect();
    days.sort_unstable();
    days.dedup();
    let of = |amounts: &Amounts, key: &(String, String)| amounts.get(key).copied().unwrap_or_default();
    let rows = days.into_iter().map(|key| Difference {
        day: key.0.clone(),
        model: key.1.clone(),
        booked: of(booked, key),
        invoiced: of(invoiced, key),
    });
    rows.filter(|row| row.difference().0.abs() > tolerance.0).collect()
}

impl Difference {
    /// How much more the provider asks for than was booked.
    pub fn difference(&self) -> PicoDollars {
        self.invoiced.saturating_sub(self.booked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invoice_is_read_whatever_the_order_of_its_columns() {
        let text = "\u{feff}Model,Line,DATE,amount\r\ngpt-4o,1,2026-11-22,\"$1.50\"\r\n\"a \"\"b\"\", c\",2,\
                    2026-11-22T10:00:00Z,0.000001\n\ngpt-4o,3,2026-11-22,-0.5\n";
        let amounts = read_invoice(text).unwrap();
        let of = |model: &str| amounts[&("2026-11-22".to_owned(), model.to_owned())];
        assert_eq!(
            (of("gpt-4o"), of("a \"b\", c")),
            (PicoDollars(1_000_000_000_000), PicoDollars(1_000_000))
        );
    }

    #[test]
    fn a_line_that_cannot_be_read_is_named() {
        let check =
            |text: &str, line: usize| assert_eq!(read_invoice(text).unwrap_err().line, line, "{text}");
        check("", 1);
        check("date,model\n", 1);
        check("date,model,amount\n22.11.2026,m,1\n", 2);
        check("date,model,amount\n2026-11-22,,1\n", 2);
        check("date,model,amount\n2026-11-22,m,1\n2026-11-22,m,many\n", 3);
        check("date,model,amount\n2026-11-22,\"m,1\n", 2);
    }

    #[test]
    fn differences_are_told_by_day_and_model_beyond_a_tolerance() {
        let key = |day: &str, model: &str| (day.to_owned(), model.to_owned());
        let booked = Amounts::from([(key("1", "a"), PicoDollars(10)), (key("1", "b"), PicoDollars(5))]);
        let invoiced = Amounts::from([(key("1", "a"), PicoDollars(12)), (key("2", "a"), PicoDollars(7))]);
        let found = differences(&booked, &invoiced, PicoDollars(2));
        let told: Vec<_> = found.iter().map(|row| (row.day.as_str(), row.difference().0)).collect();
        assert_eq!(told, [("1", -5), ("2", 7)]);
        assert_eq!(differences(&booked, &booked, PicoDollars::ZERO), []);
    }
}
