//! Signatures by the scheme of Standard Webhooks: HMAC-SHA256 over the id, the time and the body.
//!
//! The id is signed with the body so that a message cannot be passed off as another one, and the time so that an old one
//! cannot be sent again later. A receiver takes a message that one of the signatures fits; there are two while a secret is
//! being rotated.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use synod_domain::webhook::WebhookSecret;

/// With what the text of a secret begins; what follows is base64.
pub const SECRET_PREFIX: &str = "whsec_";

/// Returns a secret as receivers are given it.
pub fn secret_text(secret: &WebhookSecret) -> String {
    format!("{SECRET_PREFIX}{}", STANDARD.encode(secret.0))
}

/// Returns the signature of a message: `v1,` and base64.
pub fn sign(secret: &WebhookSecret, id: &str, seconds: u64, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, &secret.0);
    let mut signed = hmac::Context::with_key(&key);
    signed.update(format!("{id}.{seconds}.").as_bytes());
    signed.update(body);
    format!("v1,{}", STANDARD.encode(signed.sign()))
}

/// Returns the signatures of a message, one for each secret, apart by spaces.
pub fn signatures<'a>(
    secrets: impl Iterator<Item = &'a WebhookSecret>,
    id: &str,
    seconds: u64,
    body: &[u8],
) -> String {
    let all: Vec<String> = secrets.map(|secret| sign(secret, id, seconds, body)).collect();
    all.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification of Standard Webhooks, whose secret has 24 bytes: padded with zeros to the block of
    /// the hash, a longer one with zeros at its end gives the same.
    #[test]
    fn a_message_is_signed_as_the_scheme_says() {
        let mut secret = WebhookSecret([0; 32]);
        let given = STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").expect("base64");
        secret.0[..given.len()].copy_from_slice(&given);
        let body = br#"{"test": 2432232314}"#;
        let signed = sign(&secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body);
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn whatever_is_changed_changes_the_signature() {
        let secret = WebhookSecret([7; 32]);
        let signed = sign(&secret, "id", 1, b"body");
        for other in [
            sign(&WebhookSecret([8; 32]), "id", 1, b"body"),
            sign(&secret, "ie", 1, b"body"),
            sign(&secret, "id", 2, b"body"),
            sign(&secret, "id", 1, b"bodz"),
        ] {
            assert_ne!(signed, other);
        }
        let both = signatures([&secret, &WebhookSecret([8; 32])].into_iter(), "id", 1, b"body");
        assert_eq!(both.split(' ').next(), Some(signed.as_str()));
        assert_eq!(both.split(' ').count(), 2);
    }

    #[test]
    fn a_secret_is_given_as_text_that_says_what_it_is() {
        let text = secret_text(&WebhookSecret([0; 32]));
        assert_eq!(text, format!("whsec_{}=", "A".repeat(43)));
    }
}
