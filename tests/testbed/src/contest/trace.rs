//! The requests of a measurement, one by one: to see where they and the time go. Nothing of it counts in the report.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::Error;
use super::record::Cell;
use crate::audit::AuditEvent;

/// Appends the requests of one measurement to a file, in the order in which they came in, with the time since its start.
pub(super) fn append(path: &Path, title: &str, begin: Instant, events: &[AuditEvent]) -> Result<(), Error> {
    let begin = Timestamp::now().checked_sub(begin.elapsed()).unwrap_or_default();
    let file = File::options().create(true).append(true).open(path);
    let written = file.and_then(|mut file| file.write_all(text(title, begin, events).as_bytes()));
    written.map_err(Error::io("write", path))
}

/// What stands above the requests of a measurement.
pub(super) fn title(cell: &Cell, sample: u32, wall: Option<Duration>) -> String {
    let wall = wall.map_or_else(String::new, |wall| format!(": {:.1} ms", wall.as_secs_f64() * 1000.0));
    format!(
        "{} with {} ({}), round {}, sample {sample}{wall}",
        cell.contender, cell.load, cell.series, cell.round
    )
}

fn text(title: &str, begin: Timestamp, events: &[AuditEvent]) -> String {
    let mut events: Vec<&AuditEvent> = events.iter().collect();
    events.sort_by_key(|event| event.request_received);
    let writes = events.iter().filter(|event| event.is_write()).count();
    let mut text = format!(
        "# {title}; {} requests, {writes} writes\n# ms since the start, ms taken\n",
        events.len()
    );
    events.iter().for_each(|event| text.push_str(&line(begin, event)));
    text.push('\n');
    text
}

fn line(begin: Timestamp, event: &AuditEvent) -> String {
    let milliseconds = |from: Timestamp, to: Timestamp| to.duration_since(from).as_secs_f64() * 1000.0;
    let slash = if event.subresource.is_empty() { "" } else { "/" };
    let resource = match event.resource.as_str() {
        "" => event.uri.clone(),
        resource => format!("{resource}{slash}{}", event.subresource),
    };
    let behalf = event
        .impersonated_user
        .as_deref()
        .map_or_else(String::new, |user| format!("  as {user}"));
    format!(
        "{:>8.1} {:>6.1}  {} {:<6} {resource} {}/{}{behalf}\n",
        milliseconds(begin, event.request_received),
        milliseconds(event.request_received, event.answered),
        event.code,
        event.verb,
        event.namespace,
        event.name,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(verb: &str, subresource: &str, received: i64) -> AuditEvent {
        let at = |milliseconds: i64| Timestamp::from_millisecond(milliseconds).unwrap_or_default();
        AuditEvent {
            user: "graftling".to_owned(),
            impersonated_user: None,
            verb: verb.to_owned(),
            api_group: String::new(),
            resource: "configmaps".to_owned(),
            subresource: subresource.to_owned(),
            namespace: "shop-a".to_owned(),
            name: "web".to_owned(),
            code: 201,
            request_received: at(received),
            answered: at(received + 4),
            user_agent: String::new(),
            uri: String::new(),
        }
    }

    #[test]
    fn requests_are_told_in_the_order_in_which_they_came_in_with_the_time_since_the_start() {
        let begin = Timestamp::from_millisecond(1_000).unwrap_or_default();
        let text = text("a sample", begin, &[event("patch", "status", 1_020), event("get", "", 1_005)]);
        assert_eq!(
            text,
            "# a sample; 2 requests, 1 writes\n# ms since the start, ms taken\n\
             \x20    5.0    4.0  201 get    configmaps shop-a/web\n\
             \x20   20.0    4.0  201 patch  configmaps/status shop-a/web\n\n"
        );
    }
}
