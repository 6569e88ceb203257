//! What stands in one place of a table.

use comfy_table::Color;
use synod_domain::time::Timestamp;

use crate::cli::print;

/// How something is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Tone {
    /// Nothing special.
    Plain,
    /// As it should be.
    Good,
    /// Going on.
    Busy,
    /// Somebody should look.
    Bad,
    /// Of little interest.
    Faint,
}

/// What stands in one place of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) struct Cell {
    pub(in crate::cli) text: String,
    pub(in crate::cli) tone: Tone,
}

impl Cell {
    /// A text whose control characters are shown and not obeyed, on one line.
    pub(in crate::cli) fn toned(text: impl AsRef<str>, tone: Tone) -> Self {
        let text = print::harmless(text.as_ref()).replace(['\n', '\t'], " ");
        Self { text, tone }
    }

    pub(super) fn shown(self, colour: bool) -> comfy_table::Cell {
        let cell = comfy_table::Cell::new(self.text);
        if !colour {
            return cell;
        }
        match self.tone {
            Tone::Plain => cell,
            Tone::Good => cell.fg(Color::Green),
            Tone::Busy => cell.fg(Color::Cyan),
            Tone::Bad => cell.fg(Color::Red),
            Tone::Faint => cell.fg(Color::DarkGrey),
        }
    }
}

impl<T: AsRef<str>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::toned(text, Tone::Plain)
    }
}

/// Says how long ago a time was, roughly; `-` when there is none or it is not understood.
pub(in crate::cli) fn age(now: Timestamp, time: Option<&str>) -> String {
    let parsed = time.and_then(|time| time.parse::<jiff::Timestamp>().ok());
    let Some(then) = parsed.and_then(|time| u64::try_from(time.as_millisecond()).ok()) else {
        return "-".to_owned();
    };
    let seconds = now.since(Timestamp::from_millis(then)).as_secs();
    match seconds {
        0..=119 => format!("{seconds}s"),
        120..=7_199 => format!("{}m", seconds / 60),
        7_200..=172_799 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_rough_and_what_is_no_time_is_a_dash() {
        let now = Timestamp::from_millis(1_000_000_000_000);
        let at = |seconds: i64| {
            let then =
                jiff::Timestamp::from_millisecond(1_000_000_000_000 - seconds * 1_000).expect("a time");
            age(now, Some(&then.to_string()))
        };
        assert_eq!([at(0), at(119), at(120), at(7_200), at(172_800)], ["0s", "119s", "2m", "2h", "2d"]);
        assert_eq!(at(-5), "0s", "a clock that is ahead");
        assert_eq!((age(now, None), age(now, Some("soon"))), ("-".to_owned(), "-".to_owned()));
    }

    #[test]
    fn a_cell_stays_on_its_line_and_obeys_nothing() {
        assert_eq!(Cell::from("a\nb\u{1b}[31m").text, "a b\\u{1b}[31m");
    }
}
