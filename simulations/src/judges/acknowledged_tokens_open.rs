//! A token whose making or rotation was acknowledged opens the node in every life after it.
//!
//! Source: domain, laws of tokens. Whoever was told that a token exists must get in after a crash, too. A token
//! that is being changed is not looked at until the change is answered.

use crate::history::{Fact, Record};
use crate::judges::{Judge, Verdict, broken};

pub(super) const JUDGE: Judge = Judge {
    name: "acknowledged tokens open",
    says: "at every look, the last acknowledged text of each token is taken",
    look,
};

fn look(history: &[Record]) -> Verdict {
    let mut checked = 0;
    for (place, record) in history.iter().enumerate() {
        match record.fact {
            Fact::Token { token, opens: false } => {
                return broken(place, None, format!("{token} was acknowledged and does not open"));
            }
            Fact::Token { opens: true, .. } => checked += 1,
            _ => {}
        }
    }
    Ok(checked)
}

#[cfg(test)]
mod tests {
    use synod::node::domain::id::TokenId;

    use crate::judges::histories::*;

    use super::*;

    #[test]
    fn a_token_that_does_not_open_is_found() {
        let token = |opens| Fact::Token { token: TokenId::from_raw(1), opens };
        assert_eq!(look(&history([token(true), token(true)])), Ok(2));
        assert!(look(&history([token(true), token(false)])).is_err());
    }
}
