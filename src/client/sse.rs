//! Server-sent events: from bytes to frames.
//!
//! The format is that of the HTML standard, section 9.2: lines that end in CR, LF or both, fields before a
//! colon, a frame at each empty line. Pure; whoever reads bytes gives them here, in pieces of any size.

/// The most bytes of one frame. An event with the largest payload stays far below; more is no event of ours.
pub(super) const FRAME_BYTES_MAX: usize = 16 * 1024 * 1024;

/// One frame: what stood between two empty lines.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Frame {
    /// The last id that was given, in this frame or before.
    pub(super) id: Option<String>,
    /// Its type, if it names one.
    pub(super) event: Option<String>,
    /// Its lines of data, joined.
    pub(super) data: String,
    /// How many milliseconds to wait before connecting again, if it says so.
    pub(super) retry_ms: Option<u64>,
}

/// Says that a frame is longer than any of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooLong;

/// Reads a stream.
#[derive(Debug, Default)]
pub(super) struct Reader {
    line: Vec<u8>,
    /// Whether the last byte was a CR: an LF behind it belongs to it.
    after_return: bool,
    begun: bool,
    data: Option<String>,
    event: Option<String>,
    id: Option<String>,
    retry_ms: Option<u64>,
}

impl Reader {
    /// Takes bytes in and returns the frames that they complete.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Result<Vec<Frame>, TooLong> {
        let mut frames = Vec::new();
        for byte in bytes {
            let after_return = std::mem::replace(&mut self.after_return, *byte == b'\r');
            match byte {
                b'\n' if after_return => {}
                b'\n' | b'\r' => frames.extend(self.end_line()),
                byte => self.line.push(*byte),
            }
            let held = self.line.len() + self.data.as_ref().map_or(0, String::len);
            if held > FRAME_BYTES_MAX {
                return Err(TooLong);
            }
        }
        Ok(frames)
    }

    fn end_line(&mut self) -> Option<Frame> {
        let line = std::mem::take(&mut self.line);
        let text = String::from_utf8_lossy(&line);
        let begun = std::mem::replace(&mut self.begun, true);
        let text = if begun { &*text } else { text.trim_start_matches('\u{feff}') };
        if text.is_empty() {
            return self.end_frame();
        }
        let (field, value) = text.split_once(':').unwrap_or((text, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "data" => match &mut self.data {
                Some(data) => {
                    data.push('\n');
                    data.push_str(value);
                }
                None => self.data = Some(value.to_owned()),
            },
            "event" => self.event = Some(value.to_owned()),
            "id" if !value.contains('\0') => self.id = Some(value.to_owned()),
            "retry" => self.retry_ms = value.parse().ok().or(self.retry_ms),
            // A comment begins with the colon; what is not known is to be ignored.
            _ => {}
        }
        None
    }

    fn end_frame(&mut self) -> Option<Frame> {
        let event = self.event.take();
        let retry_ms = self.retry_ms.take();
        let data = self.data.take();
        if data.is_none() && retry_ms.is_none() {
            return None;
        }
        Some(Frame { id: self.id.clone(), event, data: data.unwrap_or_default(), retry_ms })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(pieces: &[&str]) -> Vec<Frame> {
        let mut reader = Reader::default();
        pieces.iter().flat_map(|piece| reader.take(piece.as_bytes()).expect("short")).collect()
    }

    fn frame(id: Option<&str>, event: Option<&str>, data: &str) -> Frame {
        Frame {
            id: id.map(str::to_owned),
            event: event.map(str::to_owned),
            data: data.to_owned(),
            retry_ms: None,
        }
    }

    const TEXT: &str =
        "\u{feff}: hello\n\nid: 7.0\nevent: task_submitted\ndata: {\"a\":\ndata:1}\n\ndata: x\n\n";

    #[test]
    fn fields_comments_and_lines_of_data_are_read() {
        let expected =
            [frame(Some("7.0"), Some("task_submitted"), "{\"a\":\n1}"), frame(Some("7.0"), None, "x")];
        assert_eq!(frames(&[TEXT]), expected);
    }

    #[test]
    fn pieces_may_end_anywhere_and_lines_in_any_of_three_ways() {
        let whole = frames(&[TEXT]);
        for ending in ["\n", "\r", "\r\n"] {
            let text = TEXT.replace('\n', ending);
            for at in (0..text.len()).filter(|at| text.is_char_boundary(*at)) {
                let (left, right) = text.split_at(at);
                assert_eq!(frames(&[left, right]), whole, "{ending:?} at {at}");
            }
        }
    }

    #[test]
    fn a_frame_cut_off_by_the_end_is_not_told() {
        assert_eq!(frames(&["data: half\n"]), []);
    }

    #[test]
    fn a_frame_without_data_is_none_unless_it_says_when_to_come_back() {
        assert_eq!(frames(&["event: ping\n\n"]), []);
        let told = frames(&["retry: 250\n\nretry: soon\ndata\n\n"]);
        assert_eq!(told[0].retry_ms, Some(250));
        assert_eq!(told[1], frame(None, None, ""));
    }

    #[test]
    fn a_frame_without_end_is_refused_and_not_kept() {
        let mut reader = Reader::default();
        let piece = vec![b'x'; FRAME_BYTES_MAX / 4 + 1];
        let taken: Vec<bool> = (0..4).map(|_| reader.take(&piece).is_ok()).collect();
        assert_eq!(taken, [true, true, true, false]);
    }
}
