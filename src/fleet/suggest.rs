//! Finds the name that was probably meant.

/// Longer texts are no slips of a name; comparing costs the product of both lengths.
const COMPARED_BYTES_MAX: usize = 128;

/// Returns the known name closest to `given`, when it is close enough to be a slip.
pub(super) fn nearest<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let near = |name: &&str| distance(given, name) <= 1 + given.chars().count().max(name.chars().count()) / 4;
    if given.len() > COMPARED_BYTES_MAX {
        return None;
    }
    known.into_iter().filter(near).min_by_key(|name| distance(given, name))
}

/// Says "did you mean" when there is a close name, and lists what is known.
pub(super) fn help<'a>(given: &str, what: &str, known: impl IntoIterator<Item = &'a str> + Clone) -> String {
    let listed: Vec<&str> = known.clone().into_iter().collect();
    let all = match listed.len() {
        0 => format!("there are no {what}"),
        _ => format!("{what}: {}", listed.join(", ")),
    };
    match nearest(given, known) {
        Some(name) => format!("did you mean `{name}`? {all}"),
        None => all,
    }
}

/// Counts the letters to insert, delete, replace or swap with a neighbour; upper and lower case are the same.
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.to_lowercase().chars().collect();
    let b: Vec<char> = b.to_lowercase().chars().collect();
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            if i == 0 || j == 0 {
                rows[i][j] = i + j;
                continue;
            }
            let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut least = replaced.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = least;
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_recognised_and_other_words_are_not() {
        let known = ["command", "capabilities", "concurrency", "min"];
        assert_eq!(nearest("comand", known), Some("command"));
        assert_eq!(nearest("capabilites", known), Some("capabilities"));
        assert_eq!(nearest("imn", known), Some("min"));
        assert_eq!(nearest("colour", known), None);
    }
}
