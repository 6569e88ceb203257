//! The text of a join token: a secret that admits one node, and which authority to trust for it.
//!
//! `synodjoin_<64 hexadecimal digits of chance>_<64 of the SHA-256 of the authority's certificate>`. Whoever joins
//! talks to nobody but a node of that authority, so the secret is shown to nobody else. The state holds the
//! SHA-256 of the secret. A token is found by that hash and never compared byte by byte with what a stranger sent,
//! so how long it takes tells nothing about it.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use synod_domain::sources::Entropy;
use synod_domain::token::TokenHash;

use crate::identity::error::Error;
use crate::identity::keys::{draw_bytes, hex};

/// How long a join token is taken, unless said otherwise: long enough to carry it to another machine.
pub const TOKEN_LIFE: Duration = Duration::from_secs(15 * 60);

const PREFIX: &str = "synodjoin";

/// A join token. Its text comes from [`JoinText::reveal`] alone.
#[derive(Clone, PartialEq, Eq)]
pub struct JoinText {
    secret: [u8; 32],
    authority: [u8; 32],
}

impl fmt::Debug for JoinText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinText").field("authority", &hex(&self.authority)).finish_non_exhaustive()
    }
}

impl JoinText {
    /// Makes one for the cluster of the authority with this hash.
    pub fn make(authority: [u8; 32], entropy: &dyn Entropy) -> Self {
        Self { secret: draw_bytes(entropy), authority }
    }

    /// Returns the hash of the secret, by which the state knows the token.
    pub fn hash(&self) -> TokenHash {
        hash_of(&self.secret)
    }

    /// Returns the hash of the authority that it pins.
    pub fn authority(&self) -> [u8; 32] {
        self.authority
    }

    /// Returns its text, to be shown once. Whoever has it may join.
    pub fn reveal(&self) -> String {
        format!("{PREFIX}_{}_{}", hex(&self.secret), hex(&self.authority))
    }

    pub(super) fn secret(&self) -> &[u8; 32] {
        &self.secret
    }
}

/// Returns the hash by which the state knows a token of this secret.
pub(super) fn hash_of(secret: &[u8; 32]) -> TokenHash {
    Sha256::digest(secret).into()
}

impl FromStr for JoinText {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let mut parts = text.trim().split('_');
        if parts.next() != Some(PREFIX) {
            return Err(Error::Token("it does not begin with synodjoin_"));
        }
        let mut part = || parts.next().and_then(unhex).ok_or(Error::Token("it is not whole"));
        let (secret, authority) = (part()?, part()?);
        match parts.next() {
            None => Ok(Self { secret, authority }),
            Some(_) => Err(Error::Token("something follows it")),
        }
    }
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 2 * bytes.len() || !text.is_ascii() {
        return None;
    }
    for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
        let digits = std::str::from_utf8(digits).ok().filter(|digits| !digits.starts_with('+'))?;
        *byte = u8::from_str_radix(digits, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Counting(std::sync::atomic::AtomicU64);

    impl Entropy for Counting {
        fn draw(&self) -> u64 {
            self.0.fetch_add(0x0123_4567_89ab_cdef, std::sync::atomic::Ordering::Relaxed)
        }
    }

    #[test]
    fn a_join_token_reads_back_from_its_text_and_prints_no_secret() {
        let token = JoinText::make([7; 32], &Counting(5.into()));
        let text = token.reveal();
        assert_eq!(text.parse::<JoinText>().unwrap(), token);
        assert_eq!(format!(" {text}\n").parse::<JoinText>().unwrap(), token);
        assert_eq!(token.authority(), [7; 32]);
        assert!(!format!("{token:?}").contains(&hex(token.secret())));
    }

    #[test]
    fn what_is_no_join_token_is_refused_with_what_is_wrong() {
        let text = JoinText::make([7; 32], &Counting(5.into())).reveal();
        let signs = text.replace("00", "+0");
        let cases = [
            ("", "begin"),
            ("synod_admin_x", "begin"),
            (&text[..text.len() - 1], "whole"),
            (&format!("{text}_"), "follows"),
            ("synodjoin_ä_b", "whole"),
            (&signs, "whole"),
        ];
        for (case, why) in cases {
            let said = case.parse::<JoinText>().unwrap_err().to_string();
            assert!(said.contains(why), "{case}: {said}");
            assert!(said.contains("synod cluster token create"), "{said}");
        }
    }
}
