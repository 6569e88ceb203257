//! Tells JSON from text without building it in memory.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// Tells whether the bytes are one JSON value that every later reader will accept.
///
/// Stricter than skipping over it (serde's `IgnoredAny`): text must be UTF-8, numbers in range, nesting within
/// the parser's bound; what passes here never fails in `serde_json::from_slice::<Value>` later.
pub(super) fn is_json(bytes: &[u8]) -> bool {
    serde_json::from_slice::<Checked>(bytes).is_ok()
}

/// Any value, looked at and forgotten.
struct Checked;

impl<'de> Deserialize<'de> for Checked {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Look)
    }
}

struct Look;

impl<'de> Visitor<'de> for Look {
    type Value = Checked;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Checked, E> {
        Ok(Checked)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Checked, E> {
        Ok(Checked)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Checked, E> {
        Ok(Checked)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Checked, E> {
        Ok(Checked)
    }

    fn visit_str<E>(self, _: &str) -> Result<Checked, E> {
        Ok(Checked)
    }

    fn visit_unit<E>(self) -> Result<Checked, E> {
        Ok(Checked)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Checked, A::Error> {
        while items.next_element::<Checked>()?.is_some() {}
        Ok(Checked)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Checked, A::Error> {
        while fields.next_entry::<Checked, Checked>()?.is_some() {}
        Ok(Checked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_agrees_with_the_full_parser() {
        let deep = "[".repeat(500) + &"]".repeat(500);
        let cases: [&[u8]; 14] = [
            b"{\"a\":[1,-2,3.5,null,true,\"x\"]}",
            b" 7 \n",
            b"\"text\"",
            b"null",
            b"",
            b"hello",
            b"{\"a\":1} trailing",
            b"{\"a\":1",
            b"1e999",
            b"\"\xff\"",
            b"[1,]",
            b"{1:2}",
            b"18446744073709551616",
            deep.as_bytes(),
        ];
        for case in cases {
            let full = serde_json::from_slice::<serde_json::Value>(case).is_ok();
            assert_eq!(is_json(case), full, "{:?}", String::from_utf8_lossy(case));
        }
    }
}
