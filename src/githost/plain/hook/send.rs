//! Tells graftling about one push: what the hook runs.

use std::fs;
use std::io::{BufRead, Write};
use std::time::Duration;

use aws_lc_rs::rand;
use reqwest::{Client, StatusCode, Url, redirect};
use secrecy::SecretString;

use super::{HookError, HookSettings};
use crate::domain::git::Provider;
use crate::githost::plain::payload::{DELIVERY, EVENT, MAX_UPDATES, Push, Update, VERSION};
use crate::githost::signature;

/// `git push` waits for the hook, so it has to be short.
const TIMEOUT: Duration = Duration::from_secs(5);
const ATTEMPTS: u32 = 2;

/// What a hook sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sent {
    /// How many branches the delivery spoke of; with none, nothing was sent.
    pub branches: usize,
    /// How many further branches are left to the next sweep, because a delivery has a limit.
    pub left_to_sweep: usize,
}

/// [`send`] for a hook: what goes wrong becomes one line on `warnings`, and nothing else.
pub async fn run(input: impl BufRead, settings: &HookSettings, warnings: &mut dyn Write) {
    if let Err(error) = send(input, settings).await {
        let mut line = format!("graftling: warning: {error}");
        let mut cause = std::error::Error::source(&error);
        while let Some(source) = cause {
            line += &format!(": {source}");
            cause = source.source();
        }
        let line = line.replace(['\n', '\r'], " ");
        // Nobody is left to tell when standard error is closed.
        let _ = writeln!(warnings, "{line}; the push is not affected, and the next sweep finds it");
    }
}

/// Sends one signed delivery with every branch that `input` names, in the form that Git gives to a post-receive hook.
///
/// Takes at most five seconds and two attempts, the second only when the first got no answer or a server error.
pub async fn send(input: impl BufRead, settings: &HookSettings) -> Result<Sent, HookError> {
    let mut updates = read_updates(input)?;
    let left_to_sweep = updates.len().saturating_sub(MAX_UPDATES);
    updates.truncate(MAX_UPDATES);
    let sent = Sent {
        branches: updates.len(),
        left_to_sweep,
    };
    if updates.is_empty() {
        return Ok(sent);
    }
    let push = Push {
        version: VERSION,
        repository: settings.repository.to_string(),
        updates,
    };
    let body = serde_json::to_vec(&push).map_err(|error| HookError::PrepareRequest { source: error.into() })?;
    post(settings, &read_secret(settings)?, body).await?;
    Ok(sent)
}

/// The updated branches among lines of `<before> <after> <ref>`. A ref that is not UTF-8 is left out, as nothing can be named after it.
fn read_updates(input: impl BufRead) -> Result<Vec<Update>, HookError> {
    let mut updates = Vec::new();
    for (number, line) in input.split(b'\n').enumerate() {
        let number = number + 1;
        let line = line.map_err(|source| HookError::ReadUpdates {
            line: number,
            source: Some(source),
        })?;
        let mut words = line.splitn(3, |byte| *byte == b' ').map(std::str::from_utf8);
        match (words.next(), words.next(), words.next()) {
            (Some(Ok(before)), Some(Ok(after)), Some(Ok(full_ref))) if full_ref.starts_with("refs/heads/") => updates.push(Update {
                r#ref: full_ref.to_owned(),
                before: before.to_owned(),
                after: after.to_owned(),
            }),
            (Some(_), Some(_), Some(_)) => {}
            _ => {
                return Err(HookError::ReadUpdates {
                    line: number,
                    source: None,
                });
            }
        }
    }
    Ok(updates)
}

fn read_secret(settings: &HookSettings) -> Result<SecretString, HookError> {
    let text = fs::read_to_string(&settings.secret_file).map_err(|source| HookError::ReadSecret {
        path: settings.secret_file.clone(),
        source,
    })?;
    match text.trim() {
        "" => Err(HookError::EmptySecret),
        secret => Ok(secret.to_owned().into()),
    }
}

async fn post(settings: &HookSettings, secret: &SecretString, body: Vec<u8>) -> Result<(), HookError> {
    let prepare = |source: Box<dyn std::error::Error + Send + Sync>| HookError::PrepareRequest { source };
    let url = Url::parse(&settings.url).map_err(|error| prepare(error.into()))?;
    let client = Client::builder()
        .timeout(TIMEOUT / ATTEMPTS)
        // A redirected POST would become a GET without the body.
        .redirect(redirect::Policy::none())
        .build()
        .map_err(|error| prepare(error.into()))?;
    let request = client
        .post(url)
        .header("content-type", "application/json")
        .header(EVENT, "push")
        .header(DELIVERY, random_id())
        .header(signature::header_name(Provider::Git), signature::sign(secret, &body))
        .body(body)
        .build()
        .map_err(|error| prepare(error.into()))?;
    let mut result = attempt(&client, &request).await;
    for _ in 1..ATTEMPTS {
        let is_worthwhile = match &result {
            Ok(()) => false,
            Err(HookError::AcceptHint { status }) => *status >= 500,
            Err(_) => true,
        };
        if is_worthwhile {
            result = attempt(&client, &request).await;
        }
    }
    result
}

async fn attempt(client: &Client, request: &reqwest::Request) -> Result<(), HookError> {
    let lost = |source: Box<dyn std::error::Error + Send + Sync>| HookError::PostHint { source };
    let request = request.try_clone().ok_or_else(|| lost("the body cannot be sent twice".into()))?;
    let response = client.execute(request).await.map_err(|error| lost(error.without_url().into()))?;
    match response.status() {
        status if status.is_success() => Ok(()),
        status => Err(HookError::AcceptHint {
            status: StatusCode::as_u16(&status),
        }),
    }
}

/// 128 random bits. Should the system have none to give, the delivery has no identifier, which is for logs only.
fn random_id() -> String {
    let mut bytes = [0; 16];
    match rand::fill(&mut bytes) {
        Ok(()) => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
        Err(_) => String::new(),
    }
}
