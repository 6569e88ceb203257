//! Verbs about circuit breakers.

use super::ask::Ask;
use super::{Client, Error};
use crate::api::{Breaker, Page, PageQuery, PutBreaker, ResetBreaker, TripBreaker};

impl Client {
    /// Lists the breakers.
    ///
    /// # Errors
    /// When the node cannot be asked or refuses.
    pub async fn breakers(&self, page: &PageQuery) -> Result<Page<Breaker>, Error> {
        self.send(Ask::get(["breakers"]).with_fields(page)?).await
    }

    /// Looks at the breaker of `pool/NAME` or `type/NAME`.
    ///
    /// # Errors
    /// When the node cannot be asked, or there is none.
    pub async fn breaker(&self, of: &str) -> Result<Breaker, Error> {
        self.send(Ask::get(["breakers", of])).await
    }

    /// Makes a breaker, or changes when it opens and closes.
    ///
    /// # Errors
    /// When the node cannot be asked or refuses.
    pub async fn put_breaker(&self, of: &str, settings: &PutBreaker) -> Result<Breaker, Error> {
        self.send(self.put(["breakers", of]).body(settings)?).await
    }

    /// Removes a breaker; what it held back goes on.
    ///
    /// # Errors
    /// When the node cannot be asked or refuses.
    pub async fn remove_breaker(&self, of: &str) -> Result<(), Error> {
        self.tell(self.delete(["breakers", of])).await
    }

    /// Closes a breaker by hand.
    ///
    /// # Errors
    /// When the node cannot be asked, or there is none.
    pub async fn reset_breaker(&self, reset: &ResetBreaker) -> Result<Breaker, Error> {
        self.send(self.post(["breakers", "reset"]).body(reset)?).await
    }

    /// Opens a breaker by hand.
    ///
    /// # Errors
    /// When the node cannot be asked, or there is none.
    pub async fn trip_breaker(&self, trip: &TripBreaker) -> Result<Breaker, Error> {
        self.send(self.post(["breakers", "trip"]).body(trip)?).await
    }
}
