//! The text of a token: `synod_<kind>_<43 characters of chance><6 of a checksum>`.
//!
//! The words at the beginning let a scanner find a token where it should not be; the checksum lets it be sure,
//! and lets a mistyped one be refused without a look at the state. The text is shown once and its SHA-256 kept.

use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use synod_domain::sources::Entropy;
use synod_domain::token::{TokenHash, TokenKind};

/// With what every token begins.
const PREFIX: &str = "synod_";

/// Digits of base 62, in the order of their values.
const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// How many of them hold 256 bits.
const CHANCE_LEN: usize = 43;

/// How many of them hold 32 bits.
const SUM_LEN: usize = 6;

/// A token's text. It shows itself only through [`TokenText::expose`], and is wiped from memory when dropped.
#[derive(Clone)]
pub struct TokenText(SecretString);

impl TokenText {
    /// Makes a new one from 256 bits of chance.
    pub fn make(kind: TokenKind, entropy: &dyn Entropy) -> Self {
        let mut chance = Zeroizing::new([0_u8; 32]);
        for part in chance.chunks_exact_mut(8) {
            part.copy_from_slice(&entropy.draw().to_be_bytes());
        }
        let mut text = Zeroizing::new(String::with_capacity(80));
        text.push_str(PREFIX);
        text.push_str(kind.as_str());
        text.push('_');
        push_base62(&mut text, &*chance, CHANCE_LEN);
        let sum = crc32fast::hash(text.as_bytes());
        push_base62(&mut text, &sum.to_be_bytes(), SUM_LEN);
        Self(SecretString::from(text.as_str()))
    }

    /// Returns the text, to be shown once.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// Returns what is kept of it.
    pub fn hash(&self) -> TokenHash {
        hash(self.expose())
    }
}

impl std::fmt::Debug for TokenText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TokenText")
    }
}

/// Returns the hash by which a text is known.
pub fn hash(text: &str) -> TokenHash {
    Sha256::digest(text.as_bytes()).into()
}

/// Tells whether a text has the form of a token of ours and the right checksum.
pub fn is_well_formed(text: &str) -> bool {
    let Some(rest) = text.strip_prefix(PREFIX) else { return false };
    let Some((kind, secret)) = rest.split_once('_') else { return false };
    let letters = !kind.is_empty() && kind.bytes().all(|byte| byte.is_ascii_lowercase());
    if !letters || secret.len() != CHANCE_LEN + SUM_LEN || !secret.is_ascii() {
        return false;
    }
    let (signed, sum) = text.split_at(text.len() - SUM_LEN);
    let mut expected = String::with_capacity(SUM_LEN);
    push_base62(&mut expected, &crc32fast::hash(signed.as_bytes()).to_be_bytes(), SUM_LEN);
    sum == expected
}

/// Writes the number that `bytes` are, highest first, in `len` digits of base 62.
fn push_base62(text: &mut String, bytes: &[u8], len: usize) {
    let mut number = Zeroizing::new(bytes.to_vec());
    let mut digits = Zeroizing::new(vec![0_u8; len]);
    for digit in digits.iter_mut().rev() {
        // Long division by 62; what is left over is the lowest digit.
        let mut rest = 0_u16;
        for byte in number.iter_mut() {
            let value = rest * 256 + u16::from(*byte);
            // Below 256, because the rest is below 62.
            *byte = u8::try_from(value / 62).unwrap_or(u8::MAX);
            rest = value % 62;
        }
        *digit = DIGITS[usize::from(rest)];
    }
    text.extend(digits.iter().map(|digit| char::from(*digit)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SeededEntropy;

    fn token(seed: u64) -> TokenText {
        TokenText::make(TokenKind::Worker, &SeededEntropy::from_seed(seed))
    }

    #[test]
    fn a_made_token_is_well_formed_and_no_two_are_alike() {
        let (one, other) = (token(1), token(2));
        assert!(one.expose().starts_with("synod_worker_"));
        assert_eq!(one.expose().len(), "synod_worker_".len() + CHANCE_LEN + SUM_LEN);
        assert!(is_well_formed(one.expose()) && is_well_formed(other.expose()));
        assert_ne!(one.expose(), other.expose());
        assert_ne!(one.hash(), other.hash());
    }

    #[test]
    fn a_change_of_any_character_is_noticed() {
        let made = token(3);
        for at in 0..made.expose().len() {
            let mut text: Vec<char> = made.expose().chars().collect();
            text[at] = if text[at] == 'x' { 'y' } else { 'x' };
            let text: String = text.into_iter().collect();
            assert!(!is_well_formed(&text), "{at}: {text}");
        }
        for wrong in ["", "synod_", "synod_admin_", "synod_admin_x", "synod__x", "older-static-token"] {
            assert!(!is_well_formed(wrong), "{wrong}");
        }
        assert!(!is_well_formed(&format!("{}x", made.expose())));
    }

    #[test]
    fn base_62_keeps_every_bit() {
        let write = |bytes: &[u8], len| {
            let mut text = String::new();
            push_base62(&mut text, bytes, len);
            text
        };
        assert_eq!(write(&[0; 4], SUM_LEN), "000000");
        assert_eq!(write(&61_u32.to_be_bytes(), SUM_LEN), "00000z");
        assert_eq!(write(&62_u32.to_be_bytes(), SUM_LEN), "000010");
        assert_eq!(write(&u32::MAX.to_be_bytes(), SUM_LEN), "4gfFC3");
        // 62^43 is above 2^256: the highest digit of the greatest number is not the highest there is.
        let greatest = write(&[0xff; 32], CHANCE_LEN);
        assert_eq!(greatest.len(), CHANCE_LEN);
        assert!(
            greatest < "z".repeat(CHANCE_LEN) && greatest > "r".repeat(CHANCE_LEN)
                || greatest.as_bytes()[0] > b'0'
        );
    }

    #[test]
    fn a_token_does_not_show_itself() {
        assert_eq!(format!("{:?}", token(4)), "TokenText");
    }
}
