//! Patterns over text: `*` stands for any run of characters, `?` for one, everything else for itself.
//!
//! A star also matches `/` and `.`: `/etc/*` covers everything below `/etc`, `tool.*` every tool. A pattern knows
//! nothing of paths: who asks about `/tmp/../etc/passwd` must say `/etc/passwd`.

/// The longest pattern, in bytes.
pub const PATTERN_BYTES_MAX: usize = 256;

/// Tells whether a text is more than itself when it is read as a pattern.
pub fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?'])
}

/// Returns what every text begins with that the pattern matches.
pub fn literal_prefix(pattern: &str) -> &str {
    pattern.split(['*', '?']).next().unwrap_or_default()
}

/// Tells whether a pattern asks for more than a beginning.
pub fn is_more_than_prefix(pattern: &str) -> bool {
    let rest = &pattern[literal_prefix(pattern).len()..];
    !rest.is_empty() && rest != "*"
}

/// Tells whether a pattern matches the whole text.
///
/// Only the last star is ever tried again, so the cost is at most the product of both lengths, and nothing is
/// allocated.
pub fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut at, mut from) = (0, 0);
    // Behind the last star, and how much of the text it has taken.
    let mut star: Option<(usize, usize)> = None;
    while from < text.len() {
        match pattern.get(at) {
            Some(b'*') => {
                at += 1;
                star = Some((at, from));
            }
            Some(b'?') => {
                at += 1;
                from = after_character(text, from);
            }
            Some(byte) if *byte == text[from] => {
                at += 1;
                from += 1;
            }
            Some(_) | None => match star {
                Some((behind, taken)) => {
                    let taken = after_character(text, taken);
                    (at, from) = (behind, taken);
                    star = Some((behind, taken));
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

/// Returns where the character ends that begins at `from`.
fn after_character(text: &[u8], from: usize) -> usize {
    let mut end = from + 1;
    while end < text.len() && text[end] & 0xc0 == 0x80 {
        end += 1;
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_and_question_marks_match_what_they_stand_for() {
        for (pattern, text) in [
            ("", ""),
            ("*", ""),
            ("tool.*", "tool.shell.execute"),
            ("/etc/*", "/etc/ssl/private/key"),
            ("*.key", "/etc/ssl/server.key"),
            ("a*b*c", "axxbxbxc"),
            ("gr?n", "grün"),
            ("**a", "bba"),
        ] {
            assert!(matches(pattern, text), "{pattern} does not match {text}");
        }
        for (pattern, text) in [
            ("", "a"),
            ("tool.*", "tool"),
            ("/etc/*", "/tmp/etc/x"),
            ("*.key", "server.keys"),
            ("a*b*c", "axxcxxb"),
            ("?", ""),
            ("?", "ab"),
        ] {
            assert!(!matches(pattern, text), "{pattern} matches {text}");
        }
    }

    #[test]
    fn the_literal_prefix_ends_at_the_first_sign() {
        assert_eq!(literal_prefix("tool.file.*"), "tool.file.");
        assert_eq!(literal_prefix("tool"), "tool");
        assert_eq!(literal_prefix("*"), "");
        assert!(!is_more_than_prefix("tool.*") && !is_more_than_prefix("tool") && is_more_than_prefix("a*b"));
    }

    #[test]
    fn many_stars_on_a_long_text_end_soon() {
        let pattern = "*a".repeat(100) + "b";
        assert!(!matches(&pattern, &"a".repeat(4096)));
    }
}
