//! From values to text in some notation, and back.

use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::arguments::Arguments;
use super::{Function, MANY, function};
use crate::domain::bundle::yaml;
use crate::domain::render::emit::Fragment;
use crate::domain::render::mark;

pub(super) const FUNCTIONS: &[Function] = &[
    function(
        "toYaml",
        (1, 1),
        "{{toYaml VALUE}}",
        "VALUE as YAML: in one line where it stands alone, in block style below indent and nindent.",
        |args| Ok(Fragment::Yaml(args.value(0).clone()).into_value()),
    )
    .gives_fragments(),
    function(
        "fromYaml",
        (1, 1),
        "{{fromYaml TEXT}}",
        "What TEXT says as YAML, read as Kubernetes reads it.",
        |args| yaml::read_one(&args.text(0)?).map_err(|error| format!("the text is not valid YAML: {}", error.message)),
    ),
    function("toJson", (1, 1), "{{toJson VALUE}}", "VALUE as JSON in one line.", |args| {
        Ok(Fragment::Json(args.value(0).clone()).into_value())
    })
    .gives_fragments(),
    function("fromJson", (1, 1), "{{fromJson TEXT}}", "What TEXT says as JSON.", |args| {
        serde_json::from_str(&args.text(0)?).map_err(|error| format!("the text is not valid JSON: {error}"))
    }),
    function(
        "quote",
        (1, MANY),
        "{{quote VALUE…}}",
        "VALUE as text between double quotes, escaped; several with a space between them.",
        |args| written(args, mark::quoted),
    )
    .gives_fragments(),
    function(
        "squote",
        (1, MANY),
        "{{squote VALUE…}}",
        "VALUE as text between single quotes; several with a space between them.",
        |args| {
            let quoted = written(args, |text| format!("'{}'", mark::plain(text)))?;
            let control = args
                .from(0)
                .filter_map(Value::as_str)
                .flat_map(str::chars)
                .find(|character| mark::is_raw_control(*character));
            match control {
                Some(control) => Err(format!("the control character {control:?} can only be written by {{{{quote …}}}}")),
                None => Ok(quoted),
            }
        },
    )
    .gives_fragments(),
    function("b64enc", (1, 1), "{{b64enc TEXT}}", "TEXT in Base64.", |args| {
        Ok(STANDARD.encode(args.text(0)?).into())
    }),
    function(
        "b64dec",
        (1, 1),
        "{{b64dec TEXT}}",
        "The text that TEXT is the Base64 of.",
        |args| {
            let bytes = STANDARD.decode(args.text(0)?).map_err(|_| "the text is not Base64")?;
            String::from_utf8(bytes)
                .map(Value::from)
                .map_err(|_| "what it decodes to is not text".to_owned())
        },
    ),
    function(
        "sha256sum",
        (1, 1),
        "{{sha256sum TEXT}}",
        "The SHA-256 of TEXT in 64 hexadecimal digits.",
        |args| Ok(sha256(args.text(0)?.as_bytes()).into()),
    ),
];

/// All 64 hexadecimal digits.
pub(super) fn sha256(bytes: &[u8]) -> String {
    hexadecimal(digest::digest(&digest::SHA256, bytes).as_ref())
}

pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn written(args: &Arguments<'_>, write: impl Fn(&str) -> String) -> Result<Value, String> {
    let texts: Vec<String> = (0..args.len())
        .map(|index| args.text(index).map(|text| write(&text)))
        .collect::<Result<_, _>>()?;
    Ok(Fragment::Marked(texts.join(" ")).into_value())
}
