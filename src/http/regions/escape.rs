//! Names and cursors as parts of addresses.
//!
//! The name of a region may hold a slash or a plus, and a cursor is whatever another region wrote. Promises that what is
//! escaped stands for itself wherever in a query it is put, and reads back as it was.

/// Writes a text so that every byte but letters, digits and `-._~` is two digits behind a percent sign.
pub(in crate::http) fn escaped(text: &str) -> String {
    let mut written = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            written.push(char::from(byte));
        } else {
            written.push_str(&format!("%{byte:02X}"));
        }
    }
    written
}

/// Reads what [`escaped`] wrote; what is not escaped stands for itself. `None` when it is no text.
pub(super) fn unescaped(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        if *byte != b'%' {
            bytes.push(*byte);
            continue;
        }
        let digits = rest.get(..2).and_then(|digits| std::str::from_utf8(digits).ok())?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = &rest[2..];
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_escaped_reads_back_and_needs_no_more_care() {
        for text in ["", "eu", "eu/west", "a.b/c:d@e+f", "100%&x=y?,#", "größe"] {
            let written = escaped(text);
            assert!(
                written.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~%".contains(&byte)),
                "{written}"
            );
            assert_eq!(unescaped(&written).as_deref(), Some(text));
        }
        assert_eq!(escaped("eu/west"), "eu%2Fwest");
        assert_eq!(
            unescaped("eu/west+1").as_deref(),
            Some("eu/west+1"),
            "what was read once reads the same again"
        );
        for broken in ["%", "%2", "%zz", "%ff"] {
            assert_eq!(unescaped(broken), None, "{broken}");
        }
    }
}
