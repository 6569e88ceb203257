//! A page that shows what happened in a world: one file, to look at in a browser.
//!
//! Nodes on a ring with the wires between them, who leads, what waits and who works, and the faults on a time line.
//! Promises the same bytes for the same history, and that the page fetches nothing: all it needs is in it.

mod film;
mod spans;
mod work;

use crate::history::Record;
use crate::report::Report;

pub use film::Film;

/// The page without what is in it.
const PAGE: &str = include_str!("page.html");
/// How it looks.
const STYLE: &str = include_str!("page.css");
/// How it moves.
const SCRIPT: &str = include_str!("page.js");

/// Makes the page of a history; `replay` is the command that makes the same one.
///
/// # Errors
/// When what happened cannot be written as JSON.
pub fn page(history: &[Record], report: &Report, replay: &str) -> Result<String, serde_json::Error> {
    let film = serde_json::to_string(&Film::of(history, report, replay))?;
    // Nothing in a text may end the script that it stands in.
    let film = film.replace('<', "\\u003c");
    Ok(PAGE.replace("/*STYLE*/", STYLE).replace("/*SCRIPT*/", SCRIPT).replace("/*FILM*/null", &film))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::history::Fact;
    use crate::report::Report;
    use crate::trace;

    use super::*;

    #[test]
    fn no_text_of_a_world_ends_the_script_and_nothing_is_fetched() {
        let evil = "</script><script src=//evil>/*STYLE*/";
        let facts = [
            Fact::Began { seed: 1, duration: Duration::from_secs(1), faults: true, nodes: 3 },
            Fact::Panicked { message: evil.to_owned() },
        ];
        let record = |fact| Record { at: Duration::ZERO, node: None, fact };
        let history: Vec<Record> = facts.into_iter().map(record).collect();
        let report = Report::of(&history, &trace::text(&history));
        let page = page(&history, &report, "synod simulate").unwrap();
        assert_eq!(page.matches("<script").count(), 1);
        assert_eq!(page.matches("</script").count(), 1);
        assert!(page.contains("evil>/*STYLE*/"), "a text is shown as it is");
        for word in ["http:", "https:", "@import", "url(", "fetch(", "<link", "<img"] {
            assert!(!page.contains(word), "{word}");
        }
    }
}
