//! Any JSON, carried as the text it came as.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::openapi::schema::{Object, Schema};
use utoipa::openapi::{RefOr, schema::SchemaType};
use utoipa::{PartialSchema, ToSchema};

/// Any JSON value, kept as its text: it is neither read nor changed on its way.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Json(pub Box<RawValue>);

impl Json {
    /// Returns the text.
    pub fn text(&self) -> &str {
        self.0.get()
    }

    /// Wraps a text that is JSON; `None` when it is not.
    pub fn from_text(text: String) -> Option<Self> {
        RawValue::from_string(text).ok().map(Self)
    }

    /// Wraps what stored bytes hold: JSON as it is, other text as a JSON string.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        if let Some(json) = Self::from_text(text.clone().into_owned()) {
            return json;
        }
        // A string is always JSON.
        Self::of(&text).unwrap_or_else(|_| Self(RawValue::NULL.to_owned()))
    }

    /// Writes a value as JSON.
    ///
    /// # Errors
    /// When it has a shape that JSON has not, such as a map whose keys are no texts.
    pub fn of(value: &impl Serialize) -> Result<Self, serde_json::Error> {
        serde_json::value::to_raw_value(value).map(Self)
    }
}

impl Default for Json {
    /// The JSON `null`.
    fn default() -> Self {
        Self(RawValue::NULL.to_owned())
    }
}

impl PartialEq for Json {
    fn eq(&self, other: &Self) -> bool {
        self.text() == other.text()
    }
}

impl PartialSchema for Json {
    fn schema() -> RefOr<Schema> {
        RefOr::T(Schema::Object(Object::with_type(SchemaType::AnyValue)))
    }
}

impl ToSchema for Json {
    fn name() -> Cow<'static, str> {
        "Json".into()
    }
}
