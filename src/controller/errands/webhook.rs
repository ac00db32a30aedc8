//! Calls to somebody else's service, signed as by Standard Webhooks.
//!
//! Every delivery of a call bears `webhook-id`, `webhook-timestamp` and, where the stage names a Secret, `webhook-signature`:
//! `v1,` and the Base64 of the HMAC-SHA256 over `<id>.<timestamp>.<body>`. The id is the idempotency key, which is also sent as
//! `Idempotency-Key`: it is the same for every delivery of one try of a stage, whichever process makes it.

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Request, Url};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use super::Around;
use super::inside::headers;
use super::outside::{NoAnswer, Outside, Page};
use super::secrets::Secrets;
use crate::domain::errand::{Answer, shown_url, told};
use crate::domain::stage::webhook::{Body, WaitFor, Webhook, find, outcome};

/// What precedes the Base64 of a secret, as Standard Webhooks hands them out.
const SECRET_PREFIX: &str = "whsec_";
/// The most characters of an answer that a message shows.
const MAX_SHOWN: usize = 120;

/// Makes one delivery of a call.
pub(super) async fn call(outside: &Outside, secrets: &Secrets, around: &Around, webhook: &Webhook, key: &str) -> Answer {
    let delivered = async {
        let url = allowed(around, &webhook.url)?;
        let secret = match &webhook.secret {
            Some(secret) => Some(secrets.key(around, &secret.name, &secret.key).await?),
            None => None,
        };
        let request = request(&url, around, webhook, key, secret.as_ref())?;
        tracing::debug!(url = %shown_url(url.as_str()), key, "calling a webhook");
        outside.exchange(request, webhook.within).await
    };
    match delivered.await {
        Ok(page) => taken(webhook, &page),
        Err(NoAnswer::Lost(problem)) => Answer::bad(format!("{}: {problem}", shown_url(&webhook.url))),
        Err(reason) => reason.into(),
    }
}

/// Asks how a call that was taken goes on.
pub(super) async fn poll(outside: &Outside, around: &Around, webhook: &Webhook, url: Option<&str>) -> Answer {
    let Some(wait_for) = &webhook.wait_for else {
        return Answer::good("the call was taken");
    };
    let asked = async {
        let call = allowed(around, &webhook.url)?;
        let url = match url {
            Some(url) => same_origin(&call, url)?,
            None => call,
        };
        let mut request = Request::new(Method::GET, url);
        *request.headers_mut() = headers(&webhook.headers).map_err(NoAnswer::Refused)?;
        request.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/json"));
        outside.exchange(request, webhook.within).await
    };
    let page = match asked.await {
        Ok(page) => page,
        Err(reason) => return reason.into(),
    };
    if page.status != 200 {
        return Answer::bad(format!(
            "asked how the call goes on, and the answer was HTTP {}{}",
            page.status,
            words(&page.body)
        ));
    }
    let json: Option<Value> = serde_json::from_slice(&page.body).ok();
    match json.map(|json| outcome(wait_for, &json)) {
        Some(Ok(answer)) => answer,
        Some(Err(problem)) => Answer::bad(problem),
        None => Answer::bad("asked how the call goes on, and the answer was no JSON"),
    }
}

/// What the answer to a delivery is worth.
fn taken(webhook: &Webhook, page: &Page) -> Answer {
    let status = page.status;
    let said = || format!("HTTP {status}{}", words(&page.body));
    if webhook.success.contain(status) {
        return match &webhook.wait_for {
            Some(wait_for) => first_word(wait_for, page),
            None => Answer::good(format!("taken with HTTP {status}")),
        };
    }
    match status {
        300..=399 => Answer::failed(format!("HTTP {status}: redirects are not followed; write the URL that it leads to")),
        408 | 425 | 429 | 500..=599 => Answer::bad(said()),
        _ => Answer::failed(said()),
    }
}

/// A call that was taken may be over at once.
fn first_word(wait_for: &WaitFor, page: &Page) -> Answer {
    let json: Value = serde_json::from_slice(&page.body).unwrap_or(Value::Null);
    if let Ok(answer) = outcome(wait_for, &json)
        && answer.worth != crate::domain::errand::Worth::NotYet
    {
        return answer;
    }
    let mut answer = Answer::not_yet("the call was taken");
    if let Some(path) = &wait_for.status_url {
        let Some(url) = find(&json, path).and_then(Value::as_str) else {
            return Answer::failed(format!("the call was taken, but its answer has no URL at {path:?}"));
        };
        answer.next = Some(url.chars().take(2000).collect());
    }
    answer
}

fn request(url: &Url, around: &Around, webhook: &Webhook, key: &str, secret: Option<&SecretString>) -> Result<Request, NoAnswer> {
    let method: Method = webhook
        .method
        .parse()
        .map_err(|_| NoAnswer::Refused(format!("{:?} is no method", webhook.method)))?;
    let has_body = method != Method::GET;
    let (kind, body) = match &webhook.body {
        Body::Facts => ("application/json", around.facts.to_string()),
        Body::Json(value) => ("application/json", value.to_string()),
        Body::Text(text) => ("text/plain; charset=utf-8", text.clone()),
    };
    let body = if has_body { body } else { String::new() };
    let mut request = Request::new(method, url.clone());
    *request.headers_mut() = signed(key, Timestamp::now(), &body, secret)?;
    if has_body {
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    }
    for (name, value) in headers(&webhook.headers).map_err(NoAnswer::Refused)? {
        // What we say of the delivery is not for others to say.
        if let Some(name) = name.filter(|name| !is_own(name)) {
            request.headers_mut().insert(name, value);
        }
    }
    *request.body_mut() = has_body.then(|| body.into());
    Ok(request)
}

fn is_own(name: &HeaderName) -> bool {
    ["webhook-id", "webhook-timestamp", "webhook-signature", "idempotency-key"].contains(&name.as_str())
}

/// The headers that tell a delivery and prove where it is from.
pub(super) fn signed(key: &str, now: Timestamp, body: &str, secret: Option<&SecretString>) -> Result<HeaderMap, NoAnswer> {
    let seconds = now.as_second().to_string();
    let mut texts = vec![
        ("idempotency-key", key.to_owned()),
        ("webhook-id", key.to_owned()),
        ("webhook-timestamp", seconds.clone()),
    ];
    if let Some(secret) = secret {
        let tag = hmac::sign(&signing_key(secret)?, format!("{key}.{seconds}.{body}").as_bytes());
        texts.push(("webhook-signature", format!("v1,{}", STANDARD.encode(tag.as_ref()))));
    }
    let mut headers = HeaderMap::new();
    for (name, text) in texts {
        let value = HeaderValue::from_str(&text).map_err(|_| NoAnswer::Refused(format!("{name} cannot be sent")))?;
        headers.insert(HeaderName::from_static(name), value);
    }
    Ok(headers)
}

fn signing_key(secret: &SecretString) -> Result<hmac::Key, NoAnswer> {
    let text = secret.expose_secret();
    let bytes = match text.strip_prefix(SECRET_PREFIX) {
        Some(encoded) => STANDARD.decode(encoded).map_err(|_| {
            NoAnswer::Refused(format!(
                "the signing secret begins with {SECRET_PREFIX:?} but what follows is no Base64"
            ))
        })?,
        None => text.as_bytes().to_vec(),
    };
    Ok(hmac::Key::new(hmac::HMAC_SHA256, &bytes))
}

/// The URL of a call, if the Project allows its host.
fn allowed(around: &Around, url: &str) -> Result<Url, NoAnswer> {
    let parsed: Url = url
        .parse()
        .map_err(|_| NoAnswer::Refused(format!("{:?} is no URL", shown_url(url))))?;
    let host = parsed.host_str().unwrap_or_default();
    match around.outbound.webhooks.allow(host.trim_matches(['[', ']'])) {
        true => Ok(parsed),
        false => Err(NoAnswer::Refused(format!(
            "the Project does not allow calls to {host}: its field spec.policy.webhooks lists the hosts that stages may call"
        ))),
    }
}

/// A place that the other side named, if it is at the same scheme, host and port.
fn same_origin(call: &Url, named: &str) -> Result<Url, NoAnswer> {
    let joined = call
        .join(named)
        .map_err(|_| NoAnswer::Refused("the answer names a status URL that is none".to_owned()))?;
    match joined.origin() == call.origin() {
        true => Ok(joined),
        false => Err(NoAnswer::Refused(format!(
            "the answer names a status URL at {}, and only the one that was called is asked",
            shown_url(joined.origin().ascii_serialization().as_str())
        ))),
    }
}

fn words(body: &[u8]) -> String {
    match told(&String::from_utf8_lossy(body), MAX_SHOWN) {
        words if words.is_empty() => String::new(),
        words => format!(": {words}"),
    }
}

#[cfg(test)]
mod tests;
