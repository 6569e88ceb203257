//! Finds one value in a JSON text by its pointer (RFC 6901), without building a tree of the rest.
//!
//! The rules may not depend on what a foreign parser makes of odd texts: every replica must find the same value, in
//! this release and in the next. What is not JSON up to the value has no value there.

/// How deep what is passed over may be nested; deeper texts have no value.
const DEPTH_MAX: usize = 128;

/// Returns the scalar at a pointer as text: a string as it reads, a number, `true` and `false` as they are written.
/// Objects, lists and `null` have no text, and of two members of one name the first counts.
pub(super) fn text_at(json: &[u8], pointer: &str) -> Option<String> {
    let mut cursor = Cursor { rest: json };
    for token in pointer.split('/').skip(1) {
        let token = token.replace("~1", "/").replace("~0", "~");
        cursor.space();
        match cursor.rest.first()? {
            b'{' => cursor.enter_member(&token)?,
            b'[' => cursor.enter_item(&token)?,
            _ => return None,
        }
    }
    cursor.scalar()
}

/// What is left of the text.
struct Cursor<'a> {
    rest: &'a [u8],
}

impl Cursor<'_> {
    fn space(&mut self) {
        let end = self.rest.iter().position(|byte| !matches!(byte, b' ' | b'\t' | b'\n' | b'\r'));
        self.rest = &self.rest[end.unwrap_or(self.rest.len())..];
    }

    /// Passes over one byte, if it is there after spaces.
    fn eat(&mut self, byte: u8) -> Option<()> {
        self.space();
        self.rest = self.rest.strip_prefix(&[byte])?;
        Some(())
    }

    /// Goes to the value of a member of an object.
    fn enter_member(&mut self, name: &str) -> Option<()> {
        self.eat(b'{')?;
        loop {
            self.space();
            let found = self.string()?;
            self.eat(b':')?;
            if found == name {
                return Some(());
            }
            self.skip()?;
            self.eat(b',')?;
        }
    }

    /// Goes to an item of a list.
    fn enter_item(&mut self, index: &str) -> Option<()> {
        if index.len() > 1 && index.starts_with('0') {
            return None;
        }
        let index: usize = index.parse().ok()?;
        self.eat(b'[')?;
        for _ in 0..index {
            self.skip()?;
            self.eat(b',')?;
        }
        Some(())
    }

    fn scalar(&mut self) -> Option<String> {
        self.space();
        match self.rest.first()? {
            b'"' => self.string(),
            b'{' | b'[' => None,
            _ => {
                let word = self.word()?;
                (word != "null").then(|| word.to_owned())
            }
        }
    }

    /// Passes over one value of any kind.
    fn skip(&mut self) -> Option<()> {
        let mut depth = 0_usize;
        loop {
            self.space();
            match self.rest.first()? {
                b'"' => {
                    self.string()?;
                }
                b'{' | b'[' => {
                    depth += 1;
                    if depth > DEPTH_MAX {
                        return None;
                    }
                    self.rest = &self.rest[1..];
                    continue;
                }
                b'}' | b']' => {
                    depth = depth.checked_sub(1)?;
                    self.rest = &self.rest[1..];
                }
                b',' | b':' if depth > 0 => {
                    self.rest = &self.rest[1..];
                    continue;
                }
                _ => {
                    self.word()?;
                }
            }
            if depth == 0 {
                return Some(());
            }
        }
    }

    /// Reads a number, `true`, `false` or `null`, as it is written.
    fn word(&mut self) -> Option<&str> {
        let inner = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.');
        let end = self.rest.iter().position(|byte| !inner(byte)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        let word = std::str::from_utf8(word).ok()?;
        let number = word.starts_with(|first: char| first == '-' || first.is_ascii_digit());
        (number || matches!(word, "true" | "false" | "null")).then_some(word)
    }

    fn string(&mut self) -> Option<String> {
        self.rest = self.rest.strip_prefix(b"\"")?;
        let mut text = Vec::new();
        loop {
            let (byte, rest) = self.rest.split_first()?;
            self.rest = rest;
            match byte {
                b'"' => return String::from_utf8(text).ok(),
                b'\\' => {
                    let escaped = self.escaped()?;
                    text.extend_from_slice(escaped.encode_utf8(&mut [0; 4]).as_bytes());
                }
                _ => text.push(*byte),
            }
        }
    }

    fn escaped(&mut self) -> Option<char> {
        let (byte, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(match byte {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.unicode(),
            _ => return None,
        })
    }

    fn unicode(&mut self) -> Option<char> {
        let high = self.four_digits()?;
        if !(0xd800..0xdc00).contains(&high) {
            return char::from_u32(high);
        }
        self.rest = self.rest.strip_prefix(b"\\u")?;
        let low = self.four_digits()?;
        let pair = (0xdc00..0xe000).contains(&low);
        pair.then(|| char::from_u32(0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00)))?
    }

    fn four_digits(&mut self) -> Option<u32> {
        let digits = std::str::from_utf8(self.rest.get(..4)?).ok()?;
        let number = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        self.rest = &self.rest[4..];
        number.then(|| u32::from_str_radix(digits, 16).ok())?
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn at(json: &str, pointer: &str) -> Option<String> {
        text_at(json.as_bytes(), pointer)
    }

    #[test]
    fn values_are_found_by_their_pointer() {
        let json = r#" {"a" : {"b/c": [10, {"d~e": "x\n\u00e4\ud83d\ude00"}, -1.5e3, true, null]}, "a": 2} "#;
        assert_eq!(at(json, "/a/b~1c/0").as_deref(), Some("10"));
        assert_eq!(at(json, "/a/b~1c/1/d~0e").as_deref(), Some("x\nä😀"));
        assert_eq!(at(json, "/a/b~1c/2").as_deref(), Some("-1.5e3"));
        assert_eq!(at(json, "/a/b~1c/3").as_deref(), Some("true"));
        for nothing in ["/a/b~1c/4", "/a/b~1c/5", "/a/b~1c/01", "/a/b~1c", "/x", "/a/0", ""] {
            assert_eq!(at(json, nothing), None, "{nothing}");
        }
        assert_eq!(at("\"alone\"", "").as_deref(), Some("alone"));
    }

    #[test]
    fn what_is_no_json_has_no_value_and_does_no_harm() {
        let deep = format!("{}\"a\":1", "[".repeat(100_000));
        for wrong in [
            "",
            "{",
            "{\"a\"",
            "{\"a\":",
            "{\"a\":x}",
            "{\"b\":}\"a\":1}",
            "{a:1}",
            &deep,
            "{\"a\":\"\\ud800\"}",
        ] {
            assert_eq!(at(wrong, "/a"), None, "{wrong:.20}");
        }
    }

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "[a-z\"\\\\/~\u{e4}\n]{0,4}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("[a-c~/]{0,2}", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn it_finds_what_a_whole_parser_finds(value in values(), pretty: bool, path in "(/([a-c]|~0|~1|[0-3]){0,2}){0,3}") {
            let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) };
            let expected = value.pointer(&path).and_then(|found| match found {
                Value::Null | Value::Array(_) | Value::Object(_) => None,
                Value::String(text) => Some(text.clone()),
                other => Some(other.to_string()),
            });
            prop_assert_eq!(at(&text.expect("JSON"), &path), expected);
        }
    }
}
