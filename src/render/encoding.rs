//! Values as bytes, between a worker and its parent.
//!
//! JSON would do, but its numbers lose their last bit when they are read, and reading must not trust the other side: a worker has
//! handled hostile input, so what it says is read within limits on size, depth and count.

use std::io;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Number, Value};

/// How deep values nest at most: YAML documents end at 64.
const MAX_DEPTH: usize = 128;
/// How many values a message holds at most: each takes some ten times its bytes once it is read.
const MAX_VALUES: usize = 1_000_000;

const NULL: u8 = 0;
const FALSE: u8 = 1;
const TRUE: u8 = 2;
const UNSIGNED: u8 = 3;
const SIGNED: u8 = 4;
const FLOAT: u8 = 5;
const TEXT: u8 = 6;
const LIST: u8 = 7;
const MAPPING: u8 = 8;

/// Adds `message` to `bytes`.
///
/// # Errors
/// It has a form that JSON does not know.
pub(super) fn encode(message: &impl Serialize, bytes: &mut Vec<u8>) -> io::Result<()> {
    put(&serde_json::to_value(message)?, bytes);
    Ok(())
}

/// Takes a message off the front of `bytes`.
///
/// # Errors
/// There is none, or it exceeds a limit.
pub(super) fn decode<T: DeserializeOwned>(bytes: &mut &[u8]) -> io::Result<T> {
    let mut reader = Reader { bytes, left: MAX_VALUES };
    let value = reader.value(0)?;
    *bytes = reader.bytes;
    Ok(serde_json::from_value(value)?)
}

fn put(value: &Value, bytes: &mut Vec<u8>) {
    match value {
        Value::Null => bytes.push(NULL),
        Value::Bool(false) => bytes.push(FALSE),
        Value::Bool(true) => bytes.push(TRUE),
        Value::Number(number) => put_number(number, bytes),
        Value::String(text) => {
            bytes.push(TEXT);
            put_text(text, bytes);
        }
        Value::Array(items) => {
            bytes.push(LIST);
            put_length(items.len(), bytes);
            items.iter().for_each(|item| put(item, bytes));
        }
        Value::Object(entries) => {
            bytes.push(MAPPING);
            put_length(entries.len(), bytes);
            for (key, entry) in entries {
                put_text(key, bytes);
                put(entry, bytes);
            }
        }
    }
}

fn put_number(number: &Number, bytes: &mut Vec<u8>) {
    let (kind, number) = match (number.as_u64(), number.as_i64()) {
        (Some(unsigned), _) => (UNSIGNED, unsigned.to_le_bytes()),
        (None, Some(signed)) => (SIGNED, signed.to_le_bytes()),
        (None, None) => (FLOAT, number.as_f64().unwrap_or_default().to_le_bytes()),
    };
    bytes.push(kind);
    bytes.extend(number);
}

fn put_text(text: &str, bytes: &mut Vec<u8>) {
    put_length(text.len(), bytes);
    bytes.extend_from_slice(text.as_bytes());
}

/// Seven bits a byte, the last one below 128: most lengths are small.
fn put_length(mut length: usize, bytes: &mut Vec<u8>) {
    while length >= 128 {
        bytes.push((length % 128) as u8 | 128);
        length /= 128;
    }
    bytes.push(length as u8);
}

struct Reader<'a> {
    bytes: &'a [u8],
    left: usize,
}

impl<'a> Reader<'a> {
    fn value(&mut self, depth: usize) -> io::Result<Value> {
        self.left = self.left.checked_sub(1).ok_or_else(|| invalid("too many values"))?;
        if depth > MAX_DEPTH {
            return Err(invalid("too deep"));
        }
        Ok(match self.take(1)?[0] {
            NULL => Value::Null,
            FALSE => Value::Bool(false),
            TRUE => Value::Bool(true),
            UNSIGNED => u64::from_le_bytes(self.number()?).into(),
            SIGNED => i64::from_le_bytes(self.number()?).into(),
            FLOAT => f64::from_le_bytes(self.number()?).into(),
            TEXT => Value::String(self.text()?),
            LIST => {
                let length = self.length()?;
                let items: io::Result<Vec<Value>> = (0..length).map(|_| self.value(depth + 1)).collect();
                Value::Array(items?)
            }
            MAPPING => {
                let length = self.length()?;
                let entries: io::Result<Map<String, Value>> = (0..length).map(|_| Ok((self.text()?, self.value(depth + 1)?))).collect();
                Value::Object(entries?)
            }
            _ => return Err(invalid("an unknown kind of value")),
        })
    }

    fn take(&mut self, length: usize) -> io::Result<&'a [u8]> {
        let (taken, rest) = self.bytes.split_at_checked(length).ok_or_else(|| invalid("too short"))?;
        self.bytes = rest;
        Ok(taken)
    }

    fn number(&mut self) -> io::Result<[u8; 8]> {
        self.take(8)?.try_into().map_err(|_| invalid("too short"))
    }

    fn text(&mut self) -> io::Result<String> {
        let length = self.length()?;
        let text = std::str::from_utf8(self.take(length)?).map_err(|_| invalid("not UTF-8"))?;
        Ok(text.to_owned())
    }

    fn length(&mut self) -> io::Result<usize> {
        let mut length = 0;
        for shift in (0..28).step_by(7) {
            let byte = usize::from(self.take(1)?[0]);
            length |= (byte & 127) << shift;
            if byte < 128 {
                return Ok(length);
            }
        }
        Err(invalid("a length beyond all limits"))
    }
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the message is not valid: {what}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a message that cannot be read is the test's failure")]

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            ".{0,200}".prop_map(Value::from),
        ];
        leaf.prop_recursive(6, 64, 8, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
                prop::collection::btree_map(".{0,8}", inner, 0..8).prop_map(|entries| Value::Object(entries.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn every_value_comes_back_as_it_was(value in value()) {
            let mut bytes = Vec::new();
            encode(&value, &mut bytes).unwrap();
            bytes.push(77);
            let mut rest = bytes.as_slice();
            prop_assert_eq!(decode::<Value>(&mut rest).unwrap(), value);
            prop_assert_eq!(rest, [77]);
        }

        #[test]
        fn threat_t28_any_bytes_are_a_value_or_an_error(bytes in prop::collection::vec(prop_oneof![0u8..9, any::<u8>()], 0..200)) {
            let _ = decode::<Value>(&mut bytes.as_slice());
        }
    }

    #[test]
    fn threat_t28_a_message_that_would_fill_the_memory_is_refused() {
        let deep = [vec![LIST, 1].repeat(MAX_DEPTH + 1), vec![NULL]].concat();
        assert!(decode::<Value>(&mut deep.as_slice()).unwrap_err().to_string().ends_with("too deep"));
        let mut many = Vec::new();
        encode(&vec![json!(null); MAX_VALUES], &mut many).unwrap();
        assert!(
            decode::<Value>(&mut many.as_slice())
                .unwrap_err()
                .to_string()
                .ends_with("too many values")
        );
        let boastful = [LIST, 255, 255, 255, 127];
        assert!(
            decode::<Value>(&mut boastful.as_slice())
                .unwrap_err()
                .to_string()
                .ends_with("too short")
        );
    }
}
