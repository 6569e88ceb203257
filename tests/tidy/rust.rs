//! Reads Rust just well enough: what is code, what is a test, and where a word stands.

/// Replaces comments and the content of texts by blanks; lines and columns stay.
pub(crate) fn code(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let end = match (chars[at], chars.get(at + 1)) {
            ('/', Some('/')) => line_end(&chars, at),
            ('/', Some('*')) => comment_end(&chars, at),
            ('"', _) => text_end(&chars, at),
            ('r', Some('"' | '#')) if !follows_word(&chars, at) => raw_end(&chars, at).unwrap_or(at + 1),
            ('\'', _) => char_end(&chars, at).unwrap_or(at + 1),
            _ => at + 1,
        };
        if end == at + 1 {
            out.push(chars[at]);
        } else {
            out.extend(chars[at..end].iter().map(|c| if *c == '\n' { '\n' } else { ' ' }));
        }
        at = end;
    }
    out
}

fn follows_word(chars: &[char], at: usize) -> bool {
    // `br"` is a raw text too; any other letter before the r makes it a part of a name.
    at > 0 && is_word(chars[at - 1]) && !(chars[at - 1] == 'b' && (at < 2 || !is_word(chars[at - 2])))
}

fn line_end(chars: &[char], at: usize) -> usize {
    chars[at..].iter().position(|c| *c == '\n').map_or(chars.len(), |length| at + length)
}

fn comment_end(chars: &[char], mut at: usize) -> usize {
    let mut depth = 0;
    while at < chars.len() {
        match (chars[at], chars.get(at + 1)) {
            ('/', Some('*')) => (depth, at) = (depth + 1, at + 2),
            ('*', Some('/')) => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    chars.len()
}

fn text_end(chars: &[char], at: usize) -> usize {
    let mut at = at + 1;
    while at < chars.len() && chars[at] != '"' {
        at += if chars[at] == '\\' { 2 } else { 1 };
    }
    (at + 1).min(chars.len())
}

fn raw_end(chars: &[char], at: usize) -> Option<usize> {
    let hashes = chars[at + 1..].iter().take_while(|c| **c == '#').count();
    let open = at + 1 + hashes;
    if chars.get(open) != Some(&'"') {
        return None;
    }
    let mut end = open + 1;
    while end < chars.len() {
        let closes = chars[end] == '"'
            && chars[end + 1..].iter().take(hashes).filter(|c| **c == '#').count() == hashes;
        end += 1;
        if closes {
            return Some(end + hashes);
        }
    }
    Some(chars.len())
}

/// Returns the end of a character; `None` for a lifetime.
fn char_end(chars: &[char], at: usize) -> Option<usize> {
    if chars.get(at + 1) == Some(&'\\') {
        let close = chars[at + 3..].iter().position(|c| *c == '\'')?;
        return Some(at + 3 + close + 1);
    }
    (chars.get(at + 2) == Some(&'\'')).then_some(at + 3)
}

/// Blanks every item under `#[cfg(test)]`; takes what [`code`] returned.
pub(crate) fn without_tests(code: &str) -> String {
    let mut out = code.to_owned();
    for (start, end) in test_items(code) {
        let blank: String = out[start..end].chars().map(|c| if c == '\n' { '\n' } else { ' ' }).collect();
        // What is code is nearly always ASCII; where it is not, the blank is shorter and lines still agree.
        out.replace_range(start..end, &format!("{blank}{}", " ".repeat(end - start - blank.len())));
    }
    out
}

/// Returns the names of modules in files of their own that are tests: `#[cfg(test)] mod laws;`.
pub(crate) fn test_modules(code: &str) -> Vec<String> {
    let modules = test_items(code).into_iter().filter_map(|(start, end)| {
        let declared = code[start..end].strip_suffix(';')?;
        let name = declared.rsplit_once("mod ")?.1.trim();
        Some(name.to_owned())
    });
    modules.collect()
}

fn test_items(code: &str) -> Vec<(usize, usize)> {
    let mut items = Vec::new();
    let mut from = 0;
    while let Some(found) = code[from..].find("#[cfg(test)]") {
        let start = from + found;
        let end = item_end(code, start + "#[cfg(test)]".len());
        items.push((start, end));
        from = end;
    }
    items
}

/// Returns where the item that begins at `at` ends: its `;`, or the brace that closes its body.
fn item_end(code: &str, at: usize) -> usize {
    let (mut braces, mut others) = (0_usize, 0_usize);
    for (offset, byte) in code.as_bytes()[at..].iter().enumerate() {
        match byte {
            b'(' | b'[' => others += 1,
            b')' | b']' => others = others.saturating_sub(1),
            b'{' => braces += 1,
            b'}' => braces = braces.saturating_sub(1),
            _ => {}
        }
        let ends = match byte {
            b';' => braces == 0 && others == 0,
            b'}' => braces == 0,
            _ => false,
        };
        if ends {
            return at + offset + 1;
        }
    }
    code.len()
}

pub(crate) const fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// Returns the lines, from 1, where `needle` stands and is no part of a longer name.
pub(crate) fn lines_with(text: &str, needle: &str) -> Vec<usize> {
    let (first, last) = (needle.starts_with(is_word), needle.ends_with(is_word));
    let stands = |line: &str| {
        line.match_indices(needle).any(|(at, _)| {
            let before = line[..at].chars().next_back().is_some_and(is_word);
            let after = line[at + needle.len()..].chars().next().is_some_and(is_word);
            !(first && before || last && after)
        })
    };
    text.lines().enumerate().filter(|(_, line)| stands(line)).map(|(number, _)| number + 1).collect()
}

/// Returns the names of all functions.
pub(crate) fn functions(code: &str) -> Vec<String> {
    let after = code.match_indices("fn ").map(|(at, _)| &code[at + 3..]);
    after.map(|rest| rest.chars().take_while(|c| is_word(*c)).collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_texts_are_no_code() {
        let text = "let a = \"x // y\"; // z\n/* /* b */ c */ let d = 'e';\nlet f: &'g str = r#\"h\"i\"#;";
        let code = code(text);
        for gone in ["x", "y", "z", "b", "c", "'e'", "h", "i\""] {
            assert!(!code.contains(gone), "{gone} is still in {code}");
        }
        for kept in ["let a =", "let d =", "let f: &'g str ="] {
            assert!(code.contains(kept), "{kept} is not in {code}");
        }
        assert_eq!(code.lines().count(), text.lines().count());
    }

    #[test]
    fn escaped_quotes_do_not_end_a_text_or_a_character() {
        let code = code(r#"f("a\"b", '\'', '"', b'\\'); g();"#);
        assert!(code.contains("g();"), "{code}");
        assert!(!code.contains('b') || !code.contains("\\\"b"), "{code}");
    }

    #[test]
    fn items_for_tests_are_blanked_and_the_rest_stays() {
        let text = "fn a() {}\n#[cfg(test)]\n#[path = \"p.rs\"]\nmod t {\n fn b() { c() }\n}\nfn d() {}\n#[cfg(test)]\nmod laws;\n";
        let code = code(text);
        let rest = without_tests(&code);
        assert!(rest.contains("fn a") && rest.contains("fn d"), "{rest}");
        assert!(!rest.contains("fn b") && !rest.contains("laws"), "{rest}");
        assert_eq!(test_modules(&code), ["laws"]);
    }

    #[test]
    fn a_word_is_not_found_inside_another() {
        assert_eq!(lines_with("sled_state\nuse sled::Db\nunsled", "sled"), [2]);
        assert_eq!(lines_with("a.unwrap()\na.unwrap_or()", ".unwrap()"), [1]);
    }
}
