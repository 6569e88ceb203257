//! Where the items of an entry come from, as it is written.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::Value;

/// Makes one task for each item; exactly one of `glob`, `lines_of` and `list`.
#[derive(Debug, Clone, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a map with glob, lines_of or list")]
pub(in super::super) struct ForEach {
    /// The files that a pattern finds, as paths relative to its root, sorted.
    #[serde(default, deserialize_with = "text_or_map")]
    #[schemars(with = "Option<TextOr<GlobSource>>")]
    pub(in super::super) glob: Option<GlobSource>,
    /// The lines of a text file, or the matches of a pattern in it.
    #[serde(default, deserialize_with = "text_or_map")]
    #[schemars(with = "Option<TextOr<LinesSource>>")]
    pub(in super::super) lines_of: Option<LinesSource>,
    /// The items themselves; templates are allowed in their texts.
    pub(in super::super) list: Option<Vec<Value>>,
    /// Whether no item at all is fine. Default: it is an error.
    #[serde(default)]
    pub(in super::super) allow_empty: bool,
}

/// Which files: `**` stands for any number of folders, `*` and `?` never for a `/`.
#[derive(Debug, Clone, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a pattern such as **/*.rs, or a map with pattern")]
#[schemars(rename = "Glob")]
pub(in super::super) struct GlobSource {
    /// Which files, for example `**/*.rs`; templates are allowed.
    pub(in super::super) pattern: String,
    /// Files and folders to leave out; a folder that is left out is not looked into. A pattern without `/`
    /// is left out at every depth. Templates are allowed.
    #[serde(default)]
    pub(in super::super) exclude: Vec<String>,
    /// Where to look, relative to the fleet file's folder, which is also the default; templates are allowed.
    pub(in super::super) root: Option<String>,
    /// Whether to look into folders whose name begins with a dot. Default false.
    #[serde(default)]
    pub(in super::super) hidden: bool,
}

/// Which file, and what of it.
#[derive(Debug, Clone, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a path, or a map with file")]
#[schemars(rename = "Lines")]
pub(in super::super) struct LinesSource {
    /// The file, relative to the fleet file's folder; UTF-8; templates are allowed.
    pub(in super::super) file: String,
    /// A regular expression, matched in the whole file with `^` and `$` at each line. Each match is an item:
    /// a map of its named groups, or its text when it has none. Without it each line that is not blank is an item.
    pub(in super::super) pattern: Option<String>,
}

/// A type that a single text may stand for.
trait FromText {
    const EXPECTING: &'static str;
    fn from_text(text: &str) -> Self;
}

impl FromText for GlobSource {
    const EXPECTING: &'static str = "a pattern such as **/*.rs, or a map with pattern";

    fn from_text(text: &str) -> Self {
        Self { pattern: text.to_owned(), exclude: Vec::new(), root: None, hidden: false }
    }
}

impl FromText for LinesSource {
    const EXPECTING: &'static str = "a path, or a map with file";

    fn from_text(text: &str) -> Self {
        Self { file: text.to_owned(), pattern: None }
    }
}

/// Decodes a text as the short form of `T`, and a map as `T` itself.
///
/// Not an untagged enum: that would lose the place and the cause of an error inside the map.
fn text_or_map<'de, D: Deserializer<'de>, T: FromText + Deserialize<'de>>(
    from: D,
) -> Result<Option<T>, D::Error> {
    from.deserialize_any(TextOrMap(PhantomData))
}

struct TextOrMap<T>(PhantomData<T>);

impl<'de, T: FromText + Deserialize<'de>> Visitor<'de> for TextOrMap<T> {
    type Value = Option<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::EXPECTING)
    }

    fn visit_unit<E: Error>(self) -> Result<Option<T>, E> {
        Ok(None)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Option<T>, E> {
        Ok(Some(T::from_text(text)))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Option<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(Some)
    }
}

/// The schema of a short form: a text, or what the text stands for.
struct TextOr<T>(PhantomData<T>);

impl<T: JsonSchema> JsonSchema for TextOr<T> {
    fn schema_name() -> Cow<'static, str> {
        format!("TextOr{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let long = generator.subschema_for::<T>();
        json_schema!({ "anyOf": [{ "type": "string" }, long] })
    }
}
