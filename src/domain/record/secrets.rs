//! Records ↔ Secrets: one for most, several for a large one, and only a reference where an earlier run has the same contents.

use aws_lc_rs::digest;
use base64::Engine;
use base64::prelude::BASE64_STANDARD as BASE64;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::packing::{pack, unpack};
use super::{Contents, Error, Journal, Record, VERSION, name, part_name};
use crate::domain::manifest::{MAX_OBJECTS_SIZE, Manifest, ObjectKey, Source, own_labels};
use crate::domain::name::{EnvironmentName, ProjectKey};
use crate::domain::run::RunNumber;

/// The most bytes of a record in one Secret. A Secret holds 1 MiB; the rest is for the journal.
pub const MAX_PART: usize = 900 * 1024;
/// The most Secrets of a record: what a bundle may render to fits even if nothing of it can be compressed.
pub const MAX_PARTS: usize = 10;
/// The most bytes of a journal, compressed.
pub(super) const MAX_JOURNAL: usize = 100 * 1024;
/// The most bytes that contents decompress to: objects, and stages with their settings.
const MAX_CONTENTS: u64 = 2 * MAX_OBJECTS_SIZE as u64;
/// The most bytes that a journal decompresses to.
const MAX_LOGS: u64 = 8 * 1024 * 1024;

/// The type of the Secrets.
const TYPE: &str = "graftling.dev/run";
/// The label with the number of the run.
const RUN_LABEL: &str = "graftling.dev/run";
const HEAD_FIELD: &str = "head";
const CONTENTS_FIELD: &str = "contents";
/// The entry of a record that holds what became of the run.
pub const JOURNAL_FIELD: &str = "journal";
/// The field manager of that entry: it comes later than the rest, and takes nothing of it away.
pub const JOURNAL_MANAGER: &str = "graftling-journal";

/// Whose records they are.
#[derive(Debug, Clone, Copy)]
pub struct Home<'a> {
    /// The environment.
    pub environment: &'a EnvironmentName,
    /// Its Project.
    pub project: &'a ProjectKey,
}

/// What the first Secret of a record says of the whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Head {
    version: String,
    /// The environment that it is of.
    pub environment: String,
    /// The run.
    pub run: u64,
    /// The revision.
    pub revision: String,
    /// When it was made.
    pub created: Timestamp,
    /// The run whose record has the contents: this one, or an earlier one with the same.
    pub contents: u64,
    /// How many Secrets the contents take.
    pub parts: usize,
    /// The names of the teardown stages, for who wants to know no more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub teardown: Vec<String>,
    /// A SHA-256 over all parts, in hexadecimal. It shows what was cut or mixed up, not who wrote it.
    sha256: String,
}

/// What a record's first Secret holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    /// What it says of the whole.
    pub head: Head,
    /// What became of the run; empty while nothing is known.
    pub journal: Journal,
    part: Vec<u8>,
}

/// The Secrets of a record, the first of which names the others. With `same_as`, an earlier run with the same contents, just that one.
///
/// # Errors
/// [`Error::TooLarge`].
pub fn secrets(record: &Record, same_as: Option<RunNumber>, home: &Home<'_>) -> Result<Vec<Manifest>, Error> {
    let packed = match same_as {
        Some(_) => Vec::new(),
        None => pack(&record.contents),
    };
    let parts: Vec<&[u8]> = packed.chunks(MAX_PART).collect();
    if parts.len() > MAX_PARTS {
        return Err(Error::TooLarge {
            run: record.run,
            bytes: packed.len(),
            limit: MAX_PART * MAX_PARTS,
        });
    }
    let head = Head {
        version: VERSION.to_owned(),
        environment: home.environment.to_string(),
        run: record.run.0,
        revision: record.revision.clone(),
        created: record.created,
        contents: same_as.unwrap_or(record.run).0,
        parts: parts.len(),
        teardown: record.contents.pipeline.teardown.iter().map(|stage| stage.name.clone()).collect(),
        sha256: sha256(&packed),
    };
    let head = json!(head).to_string();
    let first = json!({ HEAD_FIELD: BASE64.encode(head), CONTENTS_FIELD: BASE64.encode(parts.first().unwrap_or(&&[][..])) });
    let others = parts.iter().enumerate().skip(1).map(|(index, part)| {
        let data = json!({ CONTENTS_FIELD: BASE64.encode(part) });
        secret(record.run, &part_name(record.run, index + 1), data, home)
    });
    Ok(std::iter::once(secret(record.run, &name(record.run), first, home))
        .chain(others)
        .collect())
}

fn secret(run: RunNumber, name: &str, data: Value, home: &Home<'_>) -> Manifest {
    let namespace = home.environment.namespace();
    let key = ObjectKey {
        group: String::new(),
        version: "v1".to_owned(),
        kind: "Secret".to_owned(),
        namespace: Some(namespace.to_string()),
        name: name.to_owned(),
    };
    let mut body = key.to_value();
    for (label, value) in own_labels(home.environment, home.project) {
        body["metadata"]["labels"][label] = json!(value);
    }
    body["metadata"]["labels"][RUN_LABEL] = json!(run.to_string());
    body["type"] = json!(TYPE);
    body["data"] = data;
    let source = Source {
        file: "graftling".to_owned(),
        line: 1,
    };
    Manifest::new(key, body, source)
}

impl Stored {
    /// Reads the first Secret of a record, as the API server gives it.
    ///
    /// # Errors
    /// It is of another version or environment, or not as it was written.
    pub fn read(secret: &Value, environment: &EnvironmentName) -> Result<Self, Error> {
        let own = own_name(secret);
        let damaged = |reason: String| Error::Damaged { name: own.clone(), reason };
        let head = field(secret, HEAD_FIELD).map_err(damaged)?;
        let told: Value = serde_json::from_slice(&head).map_err(|_| damaged("its head is no JSON".to_owned()))?;
        let version = told.get("version").and_then(Value::as_str).unwrap_or_default();
        if version != VERSION {
            return Err(Error::OtherVersion {
                name: own,
                version: version.to_owned(),
            });
        }
        let head: Head = serde_json::from_value(told).map_err(|_| damaged("its head does not have the form of its version".to_owned()))?;
        if head.environment != environment.as_str() {
            return Err(Error::OtherEnvironment {
                name: own,
                environment: head.environment,
            });
        }
        if own != name(RunNumber(head.run)) {
            return Err(damaged(format!("it says that it is the record of run {}", head.run)));
        }
        if head.parts > MAX_PARTS || head.contents > head.run {
            return Err(damaged("its head says what cannot be".to_owned()));
        }
        let journal = match secret.pointer(&format!("/data/{JOURNAL_FIELD}")) {
            None => Journal::default(),
            Some(_) => Journal::read(&field(secret, JOURNAL_FIELD).map_err(damaged)?, MAX_LOGS).unwrap_or_default(),
        };
        Ok(Self {
            part: field(secret, CONTENTS_FIELD).map_err(damaged)?,
            head,
            journal,
        })
    }

    /// The run whose record has the contents, if it is another.
    pub fn elsewhere(&self) -> Option<RunNumber> {
        (self.head.contents != self.head.run).then_some(RunNumber(self.head.contents))
    }

    /// The names of the further Secrets that the contents take.
    pub fn further(&self) -> Vec<String> {
        (2..=self.head.parts)
            .map(|part| part_name(RunNumber(self.head.run), part))
            .collect()
    }

    /// The contents, from this Secret and the further ones in their order.
    ///
    /// # Errors
    /// A part is missing or not as it was written. Nothing is read of the rest then.
    pub fn contents(&self, further: &[Value]) -> Result<Contents, Error> {
        let own = name(RunNumber(self.head.run));
        let damaged = |reason: String| Error::Damaged { name: own.clone(), reason };
        let mut whole = self.part.clone();
        for (part, wanted) in further.iter().zip(self.further()) {
            if own_name(part) != wanted {
                return Err(damaged(format!("its part {wanted} is missing")));
            }
            whole.extend(field(part, CONTENTS_FIELD).map_err(|reason| Error::Damaged { name: wanted, reason })?);
        }
        if further.len() + 1 < self.head.parts {
            return Err(damaged("a part of it is missing".to_owned()));
        }
        if sha256(&whole) != self.head.sha256 {
            return Err(damaged("its checksum differs".to_owned()));
        }
        unpack(&whole, MAX_CONTENTS).map_err(damaged)
    }

    /// The whole record.
    pub fn record(&self, contents: Contents) -> Record {
        Record {
            run: RunNumber(self.head.run),
            revision: self.head.revision.clone(),
            created: self.head.created,
            contents,
        }
    }
}

fn own_name(secret: &Value) -> String {
    let name = secret.pointer("/metadata/name").and_then(Value::as_str);
    name.unwrap_or_default().to_owned()
}

/// An entry of a Secret, or what is wrong with it.
fn field(secret: &Value, field: &str) -> Result<Vec<u8>, String> {
    let text = secret.pointer(&format!("/data/{field}")).and_then(Value::as_str);
    let text = text.ok_or_else(|| format!("it has no {field}"))?;
    BASE64.decode(text).map_err(|_| format!("its {field} is no base64"))
}

fn sha256(bytes: &[u8]) -> String {
    let digest = digest::digest(&digest::SHA256, bytes);
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}
