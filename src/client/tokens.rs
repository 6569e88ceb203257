//! Verbs about tokens.

use super::ask::Ask;
use super::{Client, Error};
use crate::api::{NewToken, Page, PageQuery, RotateToken, Token, TokenWithSecret};

impl Client {
    /// Makes a token. Its secret is in the answer and nowhere else, so the request is not repeated.
    ///
    /// # Errors
    /// When the node cannot be asked or refuses.
    pub async fn create_token(&self, token: &NewToken) -> Result<TokenWithSecret, Error> {
        self.send(Ask::post(["tokens"]).body(token)?).await
    }

    /// Lists tokens, without their secrets, a page at a time.
    ///
    /// # Errors
    /// When the node cannot be asked or refuses.
    pub async fn tokens(&self, page: &PageQuery) -> Result<Page<Token>, Error> {
        self.send(Ask::get(["tokens"]).with_fields(page)?).await
    }

    /// Reads a token, without its secret.
    ///
    /// # Errors
    /// When there is none, or the node cannot be asked or refuses.
    pub async fn token(&self, token: &str) -> Result<Token, Error> {
        self.send(Ask::get(["tokens", token])).await
    }

    /// Gives a token a new secret. It is in the answer and nowhere else, so the request is not repeated.
    ///
    /// # Errors
    /// When there is none, or the node cannot be asked or refuses.
    pub async fn rotate_token(&self, token: &str, rotate: &RotateToken) -> Result<TokenWithSecret, Error> {
        self.send(Ask::post(["tokens", token, "rotate"]).body(rotate)?).await
    }

    /// Revokes a token: it is valid no more.
    ///
    /// # Errors
    /// When there is none, or the node cannot be asked or refuses.
    pub async fn revoke_token(&self, token: &str) -> Result<(), Error> {
        self.tell(self.delete(["tokens", token])).await
    }
}
