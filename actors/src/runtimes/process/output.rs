//! What a program writes to standard output: the result.
//!
//! JSON if it parses, else a JSON string of the text without its last line breaks, as `$(...)` gives it in a
//! shell. Bytes that are not UTF-8 become U+FFFD: losing an agent's whole answer over one byte serves nobody;
//! the attempt's log says that it happened.

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio_util::sync::CancellationToken;

use super::json::is_json;

/// The largest result on standard output. Each running attempt may hold this much in memory, and as a string it
/// may grow sixfold, which must stay below [`PAYLOAD_BYTES_MAX`](synod_domain::payload::PAYLOAD_BYTES_MAX).
/// Larger results belong into files.
pub const OUTPUT_BYTES_MAX: usize = 8 * 1024 * 1024;

/// How much room there is for the first read; it grows from there.
const READ_BYTES: usize = 8 * 1024;

/// Standard output as far as it came.
#[derive(Debug, Default)]
pub(super) struct Output {
    bytes: Vec<u8>,
    too_large: CancellationToken,
}

/// A result, and what its reader should know.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Parsed {
    /// JSON text.
    pub(super) result: Bytes,
    /// Whether bytes were replaced because they were not UTF-8.
    pub(super) lossy: bool,
}

impl Output {
    /// Reads until the end or until it is too much, which cancels [`Output::too_large`].
    pub(super) async fn fill(&mut self, stdout: impl AsyncRead + Unpin) {
        // One byte over the limit tells too much from just enough.
        let mut bounded = stdout.take(OUTPUT_BYTES_MAX as u64 + 1);
        self.bytes.reserve(READ_BYTES);
        // An error ends the output like an end-of-file: what came before it still counts.
        while let Ok(1..) = bounded.read_buf(&mut self.bytes).await {}
        if self.is_too_large() {
            self.too_large.cancel();
        }
    }

    /// Returns what is cancelled when there is too much.
    pub(super) fn too_large(&self) -> CancellationToken {
        self.too_large.clone()
    }

    /// Tells whether there was too much.
    pub(super) fn is_too_large(&self) -> bool {
        self.bytes.len() > OUTPUT_BYTES_MAX
    }

    /// Makes a result of it.
    pub(super) fn parse(self) -> Result<Parsed, serde_json::Error> {
        if is_json(&self.bytes) {
            let result = Bytes::from(self.bytes);
            let trimmed = result.trim_ascii();
            return Ok(Parsed { result: result.slice_ref(trimmed), lossy: false });
        }
        let lossy = std::str::from_utf8(&self.bytes).is_err();
        let text = String::from_utf8_lossy(&self.bytes);
        let result = serde_json::to_vec(text.trim_end_matches(['\n', '\r']))?;
        Ok(Parsed { result: result.into(), lossy })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(bytes: &[u8]) -> (String, bool) {
        let output = Output { bytes: bytes.to_vec(), ..Output::default() };
        let Parsed { result, lossy } = output.parse().expect("a result");
        (String::from_utf8(result.to_vec()).expect("UTF-8"), lossy)
    }

    #[test]
    fn json_stays_as_it_is_and_anything_else_becomes_a_string() {
        assert_eq!(parsed(b" {\"a\": 1}\n"), ("{\"a\": 1}".to_owned(), false));
        assert_eq!(parsed(b"hello \"you\"\n"), ("\"hello \\\"you\\\"\"".to_owned(), false));
        assert_eq!(parsed(b""), ("\"\"".to_owned(), false));
        assert_eq!(parsed(b"a\xffb"), ("\"a\u{fffd}b\"".to_owned(), true));
    }

    #[tokio::test]
    async fn output_of_exactly_the_limit_is_not_too_large() {
        let mut output = Output::default();
        output.fill(&vec![b'7'; OUTPUT_BYTES_MAX][..]).await;
        assert!(!output.is_too_large());
        let mut output = Output::default();
        output.fill(&vec![b'7'; OUTPUT_BYTES_MAX + 1][..]).await;
        assert!(output.is_too_large() && output.too_large().is_cancelled());
    }
}
