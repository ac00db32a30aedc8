//! Standard output, and the forms in which objects are written to it.

use std::io::Write;

use serde::Serialize;

/// Why something could not be printed.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    /// Standard output did not take it.
    #[error("could not write to standard output")]
    Write(#[source] std::io::Error),
    /// It has no JSON form.
    #[error("could not write JSON")]
    SerialiseJson(#[source] serde_json::Error),
    /// It has no YAML form.
    #[error("could not write YAML")]
    SerialiseYaml(#[source] serde_saphyr::SerializeError),
}

/// Writes `text` to standard output, whole.
pub fn print(text: &str) -> Result<(), OutputError> {
    let mut output = std::io::stdout().lock();
    output
        .write_all(text.as_bytes())
        .and_then(|()| output.flush())
        .map_err(OutputError::Write)
}

/// One object as indented JSON, with a line end.
pub fn json(object: &impl Serialize) -> Result<String, OutputError> {
    let mut text = serde_json::to_string_pretty(object).map_err(OutputError::SerialiseJson)?;
    text.push('\n');
    Ok(text)
}

/// One object as a YAML document without a separator, with a line end.
pub fn yaml(object: &impl Serialize) -> Result<String, OutputError> {
    let mut text = serde_saphyr::to_string(object).map_err(OutputError::SerialiseYaml)?;
    if !text.ends_with('\n') {
        text.push('\n');
    }
    Ok(text)
}
