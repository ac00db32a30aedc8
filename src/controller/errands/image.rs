//! Whether an image is in its registry, by the OCI distribution interface: a HEAD of its manifest.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderValue, WWW_AUTHENTICATE};
use reqwest::{Method, Request, Url};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use super::Around;
use super::outside::{NoAnswer, Outside, Page};
use super::secrets::{Credentials, Secrets};
use crate::domain::errand::Answer;
use crate::domain::stage::check::LONGEST_ANSWER;
use crate::domain::stage::wait::{Image, Reference};

/// Every kind of manifest that a runtime pulls.
const MANIFESTS: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
                         application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json";

/// Asks for an image.
pub(super) async fn ask(outside: &Outside, secrets: &Secrets, around: &Around, image: &Image) -> Answer {
    let reference: Reference = match image.reference.parse() {
        Ok(reference) => reference,
        Err(error) => return Answer::never(format!("{:?} {error}", image.reference)),
    };
    let host = reference.registry.split(':').next().unwrap_or_default();
    if !around.outbound.registries.allow(host) {
        return Answer::never(format!(
            "the Project does not allow the registry {host}: its field spec.policy.registries lists those that stages may ask"
        ));
    }
    let credentials = match &image.pull_secret {
        Some(name) => match secrets.credentials(around, name, &reference.registry).await {
            Ok(credentials) => Some(credentials),
            Err(reason) => return reason.into(),
        },
        None => None,
    };
    let registry = Registry {
        outside,
        reference: &reference,
        credentials,
    };
    match registry.head().await {
        Ok(page) => judge(&reference, page.status),
        Err(reason) => reason.into(),
    }
}

fn judge(reference: &Reference, status: u16) -> Answer {
    match status {
        200..=299 => Answer::good(format!("{reference} is there")),
        404 => Answer::not_yet(format!("{reference} is not there yet")),
        // Registries say this of what is missing as well.
        401 | 403 => Answer::not_yet(format!(
            "{reference} is not there yet, or not for these credentials: the registry answered HTTP {status}"
        )),
        429 => Answer::not_yet("the registry's limit of requests is used up"),
        300..=399 => Answer::never(format!("the registry answered HTTP {status}, and redirects are not followed")),
        _ => Answer::bad(format!("the registry answered HTTP {status} for {reference}")),
    }
}

struct Registry<'a> {
    outside: &'a Outside,
    reference: &'a Reference,
    credentials: Option<Credentials>,
}

impl Registry<'_> {
    /// The answer to a HEAD of the manifest, with a token if the registry wants one.
    async fn head(&self) -> Result<Page, NoAnswer> {
        // A registry inside that is named by the platform engineer may be one without TLS.
        let https = self.manifest("https", None).await;
        let (scheme, page) = match https {
            Err(NoAnswer::Lost(_)) if self.outside.is_trusted(self.reference.host()) => ("http", self.manifest("http", None).await?),
            other => ("https", other?),
        };
        if page.status != 401 {
            return Ok(page);
        }
        match self.authorization(&page).await? {
            Some(authorization) => self.manifest(scheme, Some(&authorization)).await,
            None => Ok(page),
        }
    }

    async fn manifest(&self, scheme: &str, authorization: Option<&SecretString>) -> Result<Page, NoAnswer> {
        let Reference { repository, version, .. } = self.reference;
        let url = format!("{scheme}://{}/v2/{repository}/manifests/{version}", self.reference.host());
        let url: Url = url.parse().map_err(|_| NoAnswer::Refused(format!("{url:?} is no URL")))?;
        let mut request = Request::new(Method::HEAD, url);
        request.headers_mut().insert(ACCEPT, HeaderValue::from_static(MANIFESTS));
        authorize(&mut request, authorization)?;
        self.outside.exchange(request, LONGEST_ANSWER).await
    }

    /// What the registry wants to see, from its refusal: credentials themselves, or a token that somebody gives for them.
    async fn authorization(&self, refused: &Page) -> Result<Option<SecretString>, NoAnswer> {
        let challenges = refused.headers.get_all(WWW_AUTHENTICATE).iter();
        let texts: Vec<&str> = challenges.filter_map(|value| value.to_str().ok()).collect();
        if let Some(challenge) = texts.iter().find_map(|text| bearer(text)) {
            return self.token(&challenge).await.map(Some);
        }
        let wants_basic = texts.iter().any(|text| text.to_ascii_lowercase().starts_with("basic"));
        Ok(self.credentials.as_ref().filter(|_| wants_basic).map(basic))
    }

    async fn token(&self, challenge: &Bearer) -> Result<SecretString, NoAnswer> {
        let broken = |what: &str| NoAnswer::Lost(format!("the registry's token service {what}"));
        let mut url: Url = challenge.realm.parse().map_err(|_| broken("has no usable URL"))?;
        // Credentials go to the registry's own token service: whoever can answer as the registry can have them anyway, but not in the open.
        let own_host = self.reference.host().split(':').next() == url.host_str();
        if self.credentials.is_some() && url.scheme() != "https" && !own_host {
            return Err(NoAnswer::Refused(
                "the registry's token service would get the credentials by plain http".to_owned(),
            ));
        }
        if let Some(service) = &challenge.service {
            url.query_pairs_mut().append_pair("service", service);
        }
        let scope = format!("repository:{}:pull", self.reference.repository);
        url.query_pairs_mut().append_pair("scope", &scope);
        let mut request = Request::new(Method::GET, url);
        authorize(&mut request, self.credentials.as_ref().map(basic).as_ref())?;
        let page = self.outside.exchange(request, LONGEST_ANSWER).await?;
        if page.status != 200 {
            return Err(broken(&format!("answered HTTP {}", page.status)));
        }
        let answer: Value = serde_json::from_slice(&page.body).map_err(|_| broken("gave no JSON"))?;
        let token = answer.get("token").or_else(|| answer.get("access_token")).and_then(Value::as_str);
        let token = token.ok_or_else(|| broken("gave no token"))?;
        Ok(format!("Bearer {token}").into())
    }
}

/// A challenge by which a registry says where tokens are given.
#[derive(Debug, PartialEq, Eq)]
struct Bearer {
    realm: String,
    service: Option<String>,
}

/// Reads `Bearer realm="…",service="…",scope="…"`.
fn bearer(challenge: &str) -> Option<Bearer> {
    let (scheme, mut rest) = challenge.trim().split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return None;
    }
    let (mut realm, mut service) = (None, None);
    while let Some((name, after)) = rest.split_once('=') {
        let (value, next) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => after.split_once(',').unwrap_or((after, "")),
        };
        match name.trim().trim_start_matches(',').trim().to_ascii_lowercase().as_str() {
            "realm" => realm = Some(value.to_owned()),
            "service" => service = Some(value.to_owned()),
            _ => {}
        }
        rest = next;
    }
    Some(Bearer { realm: realm?, service })
}

fn basic(credentials: &Credentials) -> SecretString {
    let pair = format!("{}:{}", credentials.username, credentials.password.expose_secret());
    format!("Basic {}", STANDARD.encode(pair)).into()
}

fn authorize(request: &mut Request, authorization: Option<&SecretString>) -> Result<(), NoAnswer> {
    let Some(authorization) = authorization else { return Ok(()) };
    let value = HeaderValue::from_str(authorization.expose_secret());
    let mut value = value.map_err(|_| NoAnswer::Refused("the credentials for the registry cannot be sent in a header".to_owned()))?;
    value.set_sensitive(true);
    request.headers_mut().insert(AUTHORIZATION, value);
    Ok(())
}

#[cfg(test)]
mod tests;
