//! Verbs about webhooks.

use reqwest::Method;

use super::ask::Ask;
use super::{Client, Error};
use crate::api::{
    ChangeWebhook, NewWebhook, Page, PageQuery, RedeliverWebhook, RotateWebhook, Webhook, WebhookDelivery,
    WebhookDeliveryFilter, WebhookWithSecret,
};

impl Client {
    /// Makes a webhook. Its secret is in the answer and nowhere else, so the request is not repeated.
    ///
    /// # Errors
    /// When it cannot be told anything there, or the node cannot be asked or refuses.
    pub async fn create_webhook(&self, webhook: &NewWebhook) -> Result<WebhookWithSecret, Error> {
        self.send(Ask::post(["webhooks"]).body(webhook)?).await
    }

    /// Lists webhooks with how they stand, oldest first, a page at a time.
    ///
    /// # Errors
    /// When the node cannot be asked or refuses.
    pub async fn webhooks(&self, page: &PageQuery) -> Result<Page<Webhook>, Error> {
        self.send(Ask::get(["webhooks"]).with_fields(page)?).await
    }

    /// Reads a webhook with how it stands.
    ///
    /// # Errors
    /// When there is none, or the node cannot be asked or refuses.
    pub async fn webhook(&self, webhook: &str) -> Result<Webhook, Error> {
        self.send(Ask::get(["webhooks", webhook])).await
    }

    /// Changes a webhook; what is left out stays.
    ///
    /// # Errors
    /// When there is none, or the node cannot be asked or refuses.
    pub async fn change_webhook(&self, webhook: &str, change: &ChangeWebhook) -> Result<Webhook, Error> {
        let ask = Ask::new(Method::PATCH, ["webhooks", webhook]);
        self.send(ask.keyed(self.new_key()).body(change)?).await
    }

    /// Removes a webhook with all that is still to be told it.
    ///
    /// # Errors
    /// When there is none, or the node cannot be asked or refuses.
    pub async fn remove_webhook(&self, webhook: &str) -> Result<(), Error> {
        self.tell(self.delete(["webhooks", webhook])).await
    }

    /// Gives a webhook a new secret. It is in the answer and nowhere else, so the request is not repeated.
    ///
    /// # Errors
    /// When there is none, or the node cannot be asked or refuses.
    pub async fn rotate_webhook(
        &self,
        webhook: &str,
        rotate: &RotateWebhook,
    ) -> Result<WebhookWithSecret, Error> {
        self.send(Ask::post(["webhooks", webhook, "rotate"]).body(rotate)?).await
    }

    /// Has a message told that says nothing but that it comes.
    ///
    /// # Errors
    /// When there is none, or the node cannot be asked or refuses.
    pub async fn test_webhook(&self, webhook: &str) -> Result<Webhook, Error> {
        self.send(self.post(["webhooks", webhook, "test"])).await
    }

    /// Lists the messages of a webhook that are still to be told or were given up, in order, a page at a time.
    ///
    /// # Errors
    /// When there is none, or the node cannot be asked or refuses.
    pub async fn webhook_deliveries(
        &self,
        webhook: &str,
        filter: &WebhookDeliveryFilter,
        page: &PageQuery,
    ) -> Result<Page<WebhookDelivery>, Error> {
        let ask = Ask::get(["webhooks", webhook, "deliveries"]);
        self.send(ask.with_fields(filter)?.with_fields(page)?).await
    }

    /// Tries messages again that were given up, or one.
    ///
    /// # Errors
    /// When there is no such webhook or message, or the node cannot be asked or refuses.
    pub async fn redeliver_webhook(&self, webhook: &str, which: &RedeliverWebhook) -> Result<Webhook, Error> {
        self.send(self.post(["webhooks", webhook, "redeliver"]).body(which)?).await
    }
}
