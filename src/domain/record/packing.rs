//! Values ↔ compressed bytes: the same bytes for the same value, and never more of them than asked for.

use std::io::{self, Read, Write};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A value as compressed JSON. Writing to memory cannot fail, and what is packed are our own types: keys are text.
pub(crate) fn pack<T: Serialize>(value: &T) -> Vec<u8> {
    let json = serde_json::to_vec(value).unwrap_or_default();
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    let packed = encoder.write_all(&json).and_then(|()| encoder.finish());
    packed.unwrap_or_default()
}

/// A value from compressed JSON of at most `limit` bytes.
///
/// # Errors
/// What is wrong with the bytes, worded to follow a name.
pub(crate) fn unpack<T: DeserializeOwned>(bytes: &[u8], limit: u64) -> Result<T, String> {
    let mut json = Vec::new();
    let read = GzDecoder::new(bytes).take(limit + 1).read_to_end(&mut json);
    read.map_err(|error: io::Error| format!("it cannot be decompressed: {error}"))?;
    if json.len() as u64 > limit {
        return Err(format!("it decompresses to more than {limit} bytes"));
    }
    // An error of serde's would quote what it stumbled on, which may be a Secret's value.
    serde_json::from_slice(&json).map_err(|error| match error.classify() {
        serde_json::error::Category::Eof => "it is cut off".to_owned(),
        serde_json::error::Category::Data => "it does not have the form of its version".to_owned(),
        serde_json::error::Category::Syntax | serde_json::error::Category::Io => "it is no JSON".to_owned(),
    })
}
