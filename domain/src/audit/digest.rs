//! The digest of a row: SHA-256 over what it says of itself to serde.
//!
//! Every value is given with a byte for its kind, and everything that has a length with its length, so that no two
//! values give the same bytes. Field names count for nothing: rows are formats, and their fields stay where they are.
//! The codec of the disk is left out on purpose: a digest outlives it.

use std::fmt;

use serde::ser::{self, Serialize};
use sha2::{Digest, Sha256};

use crate::audit::Hash;

/// Returns the digest of a value; none of one that cannot be written, which no row is.
pub fn digest_of(value: &impl Serialize) -> Option<Hash> {
    let mut digester = Digester(Sha256::new());
    value.serialize(&mut digester).ok()?;
    Some(digester.0.finalize().into())
}

struct Digester(Sha256);

/// Says that a value cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Unwritable(String);

impl ser::Error for Unwritable {
    fn custom<T: fmt::Display>(why: T) -> Self {
        Self(why.to_string())
    }
}

impl Digester {
    fn put(&mut self, kind: u8, bytes: &[u8]) {
        self.0.update([kind]);
        self.0.update(bytes);
    }

    fn put_sized(&mut self, kind: u8, bytes: &[u8]) {
        self.put(kind, &(bytes.len() as u64).to_be_bytes());
        self.0.update(bytes);
    }

    fn begin(&mut self, kind: u8, len: usize) {
        self.put(kind, &(len as u64).to_be_bytes());
    }
}

macro_rules! numbers {
    ($($method:ident: $type:ty as $wide:ty => $kind:literal;)*) => {$(
        fn $method(self, value: $type) -> Result<(), Unwritable> {
            self.put($kind, &<$wide>::from(value).to_be_bytes());
            Ok(())
        }
    )*};
}

impl ser::Serializer for &mut Digester {
    type Ok = ();
    type Error = Unwritable;
    type SerializeSeq = Self;
    type SerializeTuple = Self;
    type SerializeTupleStruct = Self;
    type SerializeTupleVariant = Self;
    type SerializeMap = Self;
    type SerializeStruct = Self;
    type SerializeStructVariant = Self;

    numbers! {
        serialize_bool: bool as u8 => b'b';
        serialize_i8: i8 as i128 => b'i';
        serialize_i16: i16 as i128 => b'i';
        serialize_i32: i32 as i128 => b'i';
        serialize_i64: i64 as i128 => b'i';
        serialize_i128: i128 as i128 => b'i';
        serialize_u8: u8 as u128 => b'u';
        serialize_u16: u16 as u128 => b'u';
        serialize_u32: u32 as u128 => b'u';
        serialize_u64: u64 as u128 => b'u';
        serialize_u128: u128 as u128 => b'u';
        serialize_char: char as u32 => b'c';
    }

    fn serialize_f32(self, value: f32) -> Result<(), Unwritable> {
        self.serialize_f64(f64::from(value))
    }

    fn serialize_f64(self, value: f64) -> Result<(), Unwritable> {
        self.put(b'f', &value.to_bits().to_be_bytes());
        Ok(())
    }

    fn serialize_str(self, value: &str) -> Result<(), Unwritable> {
        self.put_sized(b's', value.as_bytes());
        Ok(())
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<(), Unwritable> {
        self.put_sized(b'y', value);
        Ok(())
    }

    fn serialize_none(self) -> Result<(), Unwritable> {
        self.put(b'n', &[]);
        Ok(())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Unwritable> {
        self.put(b'o', &[]);
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), Unwritable> {
        self.put(b'0', &[]);
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Unwritable> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(self, _: &'static str, number: u32, _: &'static str) -> Result<(), Unwritable> {
        self.put(b'v', &number.to_be_bytes());
        Ok(())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), Unwritable> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        number: u32,
        _: &'static str,
        value: &T,
    ) -> Result<(), Unwritable> {
        self.put(b'v', &number.to_be_bytes());
        value.serialize(self)
    }

    fn serialize_seq(self, len: Option<usize>) -> Result<Self, Unwritable> {
        let len = len.ok_or_else(|| ser::Error::custom("a list of unknown length"))?;
        self.begin(b'l', len);
        Ok(self)
    }

    fn serialize_tuple(self, len: usize) -> Result<Self, Unwritable> {
        self.begin(b't', len);
        Ok(self)
    }

    fn serialize_tuple_struct(self, _: &'static str, len: usize) -> Result<Self, Unwritable> {
        self.serialize_tuple(len)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        number: u32,
        _: &'static str,
        len: usize,
    ) -> Result<Self, Unwritable> {
        self.put(b'v', &number.to_be_bytes());
        self.serialize_tuple(len)
    }

    fn serialize_map(self, len: Option<usize>) -> Result<Self, Unwritable> {
        let len = len.ok_or_else(|| ser::Error::custom("a map of unknown length"))?;
        self.begin(b'm', len);
        Ok(self)
    }

    fn serialize_struct(self, _: &'static str, len: usize) -> Result<Self, Unwritable> {
        self.serialize_tuple(len)
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        number: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Self, Unwritable> {
        self.serialize_tuple_variant(name, number, variant, len)
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}

macro_rules! parts {
    ($($trait:ident: $method:ident;)*) => {$(
        impl ser::$trait for &mut Digester {
            type Ok = ();
            type Error = Unwritable;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unwritable> {
                value.serialize(&mut **self)
            }

            fn end(self) -> Result<(), Unwritable> {
                Ok(())
            }
        }
    )*};
}

macro_rules! fields {
    ($($trait:ident;)*) => {$(
        impl ser::$trait for &mut Digester {
            type Ok = ();
            type Error = Unwritable;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                _: &'static str,
                value: &T,
            ) -> Result<(), Unwritable> {
                value.serialize(&mut **self)
            }

            fn end(self) -> Result<(), Unwritable> {
                Ok(())
            }
        }
    )*};
}

parts! {
    SerializeSeq: serialize_element;
    SerializeTuple: serialize_element;
    SerializeTupleStruct: serialize_field;
    SerializeTupleVariant: serialize_field;
}

fields! {
    SerializeStruct;
    SerializeStructVariant;
}

impl ser::SerializeMap for &mut Digester {
    type Ok = ();
    type Error = Unwritable;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Unwritable> {
        key.serialize(&mut **self)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unwritable> {
        value.serialize(&mut **self)
    }

    fn end(self) -> Result<(), Unwritable> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn values_that_differ_have_digests_that_differ() {
        let map: BTreeMap<&str, u32> = [("a", 1), ("b", 2)].into();
        let digests = [
            digest_of(&("ab", "c")),
            digest_of(&("a", "bc")),
            digest_of(&vec!["a", "bc"]),
            digest_of(&Some("a")),
            digest_of(&"a"),
            digest_of(&None::<u8>),
            digest_of(&1_u8),
            digest_of(&1_i8),
            digest_of(&true),
            digest_of(&map),
            digest_of(&1.5_f64),
        ];
        for (place, one) in digests.iter().enumerate() {
            assert!(one.is_some());
            assert!(!digests[..place].contains(one), "{place}");
        }
        assert_eq!(digest_of(&map), digest_of(&map.clone()));
    }
}
