//! Tables for people: columns in line, numbers to the right, one line a row.
//!
//! **Invariant:** a row is one line, whatever is in it: what would end the line, or steer a terminal, is not printed as it
//! is. No cell is cut: what is longer than the terminal is for the terminal to show.

/// How a column stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// A table.
#[derive(Debug)]
pub(super) struct Table {
    columns: Vec<(&'static str, Side)>,
    rows: Vec<Vec<String>>,
}

/// What stands where there is nothing.
pub(super) const NOTHING: &str = "-";

impl Table {
    /// Without rows.
    pub(super) fn new(columns: &[(&'static str, Side)]) -> Self {
        Self { columns: columns.to_vec(), rows: Vec::new() }
    }

    /// With one more row; an empty cell is shown as a dash.
    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let tidy = |cell: String| if cell.is_empty() { NOTHING.to_owned() } else { printable(&cell) };
        self.rows.push(cells.into_iter().map(tidy).collect());
    }

    /// Whether it has rows.
    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Its lines, the names of the columns first.
    pub(super) fn lines(&self) -> String {
        let width = |column: usize, name: &str| {
            let cells = self.rows.iter().filter_map(|row| row.get(column)).map(|cell| length(cell));
            cells.chain([length(name)]).max().unwrap_or(0)
        };
        let widths: Vec<usize> =
            self.columns.iter().enumerate().map(|(column, (name, _))| width(column, name)).collect();
        let head: Vec<String> = self.columns.iter().map(|(name, _)| name.to_uppercase()).collect();
        let mut lines = vec![self.line(&head, &widths)];
        lines.extend(self.rows.iter().map(|row| self.line(row, &widths)));
        lines.join("\n")
    }

    fn line(&self, cells: &[String], widths: &[usize]) -> String {
        let mut line = String::new();
        for ((cell, width), (_, side)) in cells.iter().zip(widths).zip(&self.columns) {
            if !line.is_empty() {
                line.push_str("  ");
            }
            let space = " ".repeat(width.saturating_sub(length(cell)));
            match side {
                Side::Left => line.extend([cell.as_str(), space.as_str()]),
                Side::Right => line.extend([space.as_str(), cell.as_str()]),
            }
        }
        line.truncate(line.trim_end().len());
        line
    }
}

/// Names and values below each other; those that are empty are left out.
pub(super) fn pairs(rows: &[(&str, String)]) -> String {
    let rows = rows.iter().filter(|(_, value)| !value.is_empty());
    let width = rows.clone().map(|(name, _)| length(name)).max().unwrap_or(0);
    let line = |(name, value): &(&str, String)| format!("{name:<width$}  {}", printable(value));
    rows.map(line).collect::<Vec<_>>().join("\n")
}

/// Characters, which are columns but for those of East Asia: good for names.
fn length(text: &str) -> usize {
    text.chars().count()
}

/// Without what would end the line or steer the terminal.
pub(super) fn printable(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { '\u{fffd}' } else { letter }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_in_line_and_rows_are_one_line() {
        let mut table = Table::new(&[("team", Side::Left), ("spend", Side::Right), ("id", Side::Left)]);
        assert!(table.is_empty());
        table.row(["research".to_owned(), "$1,200.00".to_owned(), "a".to_owned()]);
        table.row(["é\n\u{1b}[31m".to_owned(), "$0.50".to_owned(), String::new()]);
        assert_eq!(
            table.lines(),
            "TEAM          SPEND  ID\n\
             research  $1,200.00  a\n\
             é\u{fffd}\u{fffd}[31m       $0.50  -"
        );
    }

    #[test]
    fn pairs_leave_out_what_is_empty() {
        let rows = [("alias", "web".to_owned()), ("user", String::new()), ("spend", "$1.00".to_owned())];
        assert_eq!(pairs(&rows), "alias  web\nspend  $1.00");
    }
}
