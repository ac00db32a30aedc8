//! What previews need and Helm does not have.

use serde_json::{Map, Value, json};

use super::arguments::Arguments;
use super::encoding::sha256;
use super::{Function, MANY, Undefined, function};
use crate::domain::name::check_label;
use crate::domain::render::emit::Fragment;

pub(super) const FUNCTIONS: &[Function] = &[
    function("dnsLabel", (1, 1), "{{dnsLabel TEXT}}", "TEXT as a DNS label: itself where it is one, else what can be kept of it and a hash, so that different texts stay different.", |args| {
        Ok(dns_label(&args.text(0)?).into())
    }),
    function("host", (1, 1), "{{host SERVICE}}", "The host of a further service of the environment: SERVICE-ENVIRONMENT.DOMAIN.", |args| {
        host(&args.text(0)?, args.context)
    }),
    function("image", (1, 3), "{{image REPOSITORY TAG DIGEST}}", "A checked image reference. TAG and DIGEST may be missing or empty, a digest may stand in the place of the tag; or one mapping with registry, repository, tag and digest.", image)
        .undefined(Undefined::AfterFirst),
    function("resources", (1, MANY), "{{resources \"cpu=REQUEST/LIMIT\"…}}", "Requests and limits of a container, such as \"cpu=100m/1\" \"memory=128Mi\" (a request only) \"ephemeral-storage=/1Gi\" (a limit only); or one mapping such as {cpu: 100m/1}.", resources)
        .gives_fragments(),
];

/// `<service>-<environment>.<domain>`: one label below the domain, so that one wildcard certificate covers it.
fn host(service: &str, context: &Value) -> Result<Value, String> {
    let part = |pointer: &str| context.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let label = format!("{service}-{}", part("/environment/name"));
    check_label(service)
        .and_then(|()| check_label(&label))
        .map_err(|rule| format!("the host label {label:?} {rule}"))?;
    Ok(format!("{label}.{}", part("/project/domain")).into())
}

/// A DNS label for any text: the text itself where it is one, else what can be kept of it and a hash, so that different texts
/// stay different.
pub(super) fn dns_label(text: &str) -> String {
    if check_label(text).is_ok() {
        return text.to_owned();
    }
    let mut label = String::new();
    for character in text.chars().flat_map(char::to_lowercase) {
        if character.is_ascii_alphanumeric() {
            label.push(character);
        } else if !label.is_empty() && !label.ends_with('-') {
            label.push('-');
        }
    }
    label.truncate(50);
    let hash = &sha256(text.as_bytes())[..10];
    let readable = label.trim_end_matches('-');
    if readable.is_empty() {
        format!("x-{hash}")
    } else {
        format!("{readable}-{hash}")
    }
}

// === image ===

fn image(args: &Arguments<'_>) -> Result<Value, String> {
    let optional = |value: &Value, index: usize| match value {
        Value::Null => Ok(String::new()),
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Err(format!(
            "the tag is the number {number}: write it between quotes, or 1.10 becomes 1.1"
        )),
        _ => Err(args.wrong(index, "text")),
    };
    let (repository, tag, digest) = if let Value::Object(parts) = args.value(0) {
        if args.len() > 1 {
            return Err("a mapping is all that it takes".into());
        }
        let part = |key: &str| optional(parts.get(key).unwrap_or(&Value::Null), 0).map_err(|message| format!("{key}: {message}"));
        let registry = part("registry")?;
        let repository = part("repository")?;
        let repository = if registry.is_empty() {
            repository
        } else {
            format!("{registry}/{repository}")
        };
        (repository, part("tag")?, part("digest")?)
    } else {
        (args.text(0)?, optional(args.value(1), 1)?, optional(args.value(2), 2)?)
    };
    let (tag, digest) = if digest.is_empty() && tag.contains(':') {
        (String::new(), tag)
    } else {
        (tag, digest)
    };
    reference(&repository, &tag, &digest).map(Value::from)
}

fn reference(repository: &str, tag: &str, digest: &str) -> Result<String, String> {
    let (name, own_digest) = repository.split_once('@').map_or((repository, ""), |(name, digest)| (name, digest));
    let (name, own_tag) = match name.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, tag),
        _ => (name, ""),
    };
    if (!own_tag.is_empty() && !tag.is_empty()) || (!own_digest.is_empty() && !digest.is_empty()) {
        return Err(format!("the repository {repository:?} already says which tag or digest"));
    }
    let tag = if tag.is_empty() { own_tag } else { tag };
    let digest = if digest.is_empty() { own_digest } else { digest };
    if !is_repository(name) {
        return Err(format!("{name:?} is not the name of an image repository such as ghcr.io/team/shop"));
    }
    if !tag.is_empty() && !is_tag(tag) {
        return Err(format!(
            "{tag:?} is not a tag: 1 to 128 letters, digits, '_', '.' and '-', and the first is neither '.' nor '-'"
        ));
    }
    if !digest.is_empty() && !is_digest(digest) {
        return Err(format!("{digest:?} is not a digest such as sha256: and 64 hexadecimal digits"));
    }
    let tag = if tag.is_empty() { String::new() } else { format!(":{tag}") };
    let digest = if digest.is_empty() { String::new() } else { format!("@{digest}") };
    Ok(format!("{name}{tag}{digest}"))
}

fn is_repository(name: &str) -> bool {
    let (host, path) = match name.split_once('/') {
        Some((first, rest)) if first.contains(['.', ':']) || first == "localhost" => (Some(first), rest),
        _ => (None, name),
    };
    name.len() <= 255 && host.is_none_or(is_registry) && path.split('/').all(is_component)
}

fn is_registry(host: &str) -> bool {
    let (name, port) = host.split_once(':').map_or((host, "1"), |(name, port)| (name, port));
    let is_label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    name.split('.').all(is_label) && port.parse::<u16>().is_ok_and(|port| port > 0)
}

/// Lower-case letters and digits, and between them one `.`, one or two `_`, or any number of `-`.
fn is_component(component: &str) -> bool {
    let is_alphanumeric = |character: char| character.is_ascii_lowercase() || character.is_ascii_digit();
    component.starts_with(is_alphanumeric)
        && component.ends_with(is_alphanumeric)
        && component
            .split(is_alphanumeric)
            .all(|between| matches!(between, "" | "." | "_" | "__") || between.chars().all(|character| character == '-'))
}

fn is_tag(tag: &str) -> bool {
    tag.len() <= 128 && !tag.starts_with(['.', '-']) && tag.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
}

fn is_digest(digest: &str) -> bool {
    let length = match digest.split_once(':') {
        Some(("sha256", _)) => 64,
        Some(("sha512", _)) => 128,
        _ => return false,
    };
    let digits = &digest[7..];
    digits.len() == length && digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

// === resources ===

fn resources(args: &Arguments<'_>) -> Result<Value, String> {
    let mut requests = Map::new();
    let mut limits = Map::new();
    for (name, amounts) in amounts(args)? {
        let (request, limit) = amounts.split_once('/').unwrap_or((&amounts, ""));
        let request_number = quantity(&name, request)?;
        let limit_number = quantity(&name, limit)?;
        match (request_number, limit_number) {
            (None, None) => return Err(format!("{name} has neither a request nor a limit: write {name}=REQUEST/LIMIT")),
            (Some(request_number), Some(limit_number)) if request_number > limit_number => {
                return Err(format!("{name} requests {request}, which is more than its limit of {limit}"));
            }
            _ => {}
        }
        for (amounts, amount) in [(&mut requests, request), (&mut limits, limit)] {
            if !amount.is_empty() && amounts.insert(name.clone(), amount.into()).is_some() {
                return Err(format!("{name} is given twice"));
            }
        }
    }
    let parts = [("requests", requests), ("limits", limits)];
    let present = parts.into_iter().filter(|(_, amounts)| !amounts.is_empty());
    let value: Map<String, Value> = present.map(|(name, amounts)| (name.to_owned(), json!(amounts))).collect();
    Ok(Fragment::Yaml(value.into()).into_value())
}

/// What is wanted of each resource, such as `100m/1`.
fn amounts(args: &Arguments<'_>) -> Result<Vec<(String, String)>, String> {
    if let Value::Object(amounts) = args.value(0) {
        let text = |name: &String, value: &Value| match value {
            Value::String(text) => Ok(text.clone()),
            Value::Number(number) => Ok(number.to_string()),
            _ => Err(format!("{name} should be text such as 100m/1")),
        };
        return amounts.iter().map(|(name, value)| Ok((name.clone(), text(name, value)?))).collect();
    }
    (0..args.len())
        .map(|index| {
            let text = args.text(index)?;
            let (name, amounts) = text
                .split_once('=')
                .filter(|(name, _)| !name.is_empty())
                .ok_or_else(|| format!("{text:?} should be like cpu=100m/1"))?;
            Ok((name.to_owned(), amounts.to_owned()))
        })
        .collect()
}

/// A quantity of Kubernetes as a number, `None` for none.
fn quantity(name: &str, text: &str) -> Result<Option<f64>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    let end = text
        .find(|character: char| !character.is_ascii_digit() && character != '.')
        .unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let factor = match suffix {
        "n" => 1e-9,
        "u" => 1e-6,
        "m" => 1e-3,
        "" => 1.0,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "T" => 1e12,
        "P" => 1e15,
        "E" => 1e18,
        "Ki" => 1024.0,
        "Mi" => 1024.0_f64.powi(2),
        "Gi" => 1024.0_f64.powi(3),
        "Ti" => 1024.0_f64.powi(4),
        "Pi" => 1024.0_f64.powi(5),
        "Ei" => 1024.0_f64.powi(6),
        _ => return Err(format!("{name}: {text:?} is not a quantity such as 100m, 2 or 128Mi")),
    };
    let number = number
        .parse::<f64>()
        .map_err(|_| format!("{name}: {text:?} is not a quantity such as 100m, 2 or 128Mi"))?;
    Ok(Some(number * factor))
}
