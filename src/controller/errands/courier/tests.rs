#![allow(clippy::unwrap_used, reason = "a failed step is the test's failure")]

use super::super::tests::server::{Server, http};
use super::*;
use crate::controller::settings::ArchiveHost;
use crate::domain::notification::Format;

fn receiver(url: String) -> Receiver {
    Receiver {
        name: "ci".to_owned(),
        target: Target::Url(url),
        secret: None,
        format: Format::CloudEvents,
        kinds: Default::default(),
    }
}

/// A courier that may go to a server on loopback, in a cluster that is not there.
fn courier(server: &Server) -> Courier {
    let hosts = vec![ArchiveHost {
        host: "127.0.0.1".to_owned(),
        port: server.address.port(),
    }];
    let config = kube::Config::new("http://127.0.0.1:1".parse().unwrap());
    let settings = OutboundSettings {
        hosts,
        ..OutboundSettings::default()
    };
    Courier::new(&settings, Client::try_from(config).unwrap()).unwrap()
}

fn allowed(hosts: &[&str]) -> Outbound {
    let hosts: Vec<String> = hosts.iter().map(ToString::to_string).collect();
    Outbound::new(&hosts, None).unwrap()
}

const LETTER: Letter<'static> = Letter {
    id: "uid.1.pipelinerun-started",
    kind: "application/cloudevents+json",
    body: "{}",
};

async fn answered(reply: &'static str, status: u16) -> Result<(), Undelivered> {
    let server = Server::start(move |_| http(status, reply, "")).await;
    let to = receiver(format!("http://{}/x?token=s3cret", server.address));
    courier(&server).deliver("team", &allowed(&["127.0.0.1"]), &to, &LETTER).await
}

#[tokio::test]
async fn feature_e4_a_delivery_bears_its_identifier_and_media_type_and_any_2xx_takes_it() {
    let server = Server::start(|_| http(204, "", "")).await;
    let to = receiver(format!("http://{}/x?token=s3cret", server.address));
    courier(&server)
        .deliver("team", &allowed(&["127.0.0.1"]), &to, &LETTER)
        .await
        .unwrap();
    let request = server.requests().remove(0).to_ascii_lowercase();
    assert!(request.starts_with("post /x?token=s3cret "), "{request}");
    assert!(request.contains("webhook-id: uid.1.pipelinerun-started\r\n"), "{request}");
    assert!(request.contains("content-type: application/cloudevents+json\r\n"), "{request}");
}

#[tokio::test]
async fn feature_e4_what_an_answer_is_worth_follows_from_its_status() {
    let class = async |status| match answered("", status).await {
        Ok(()) => "taken",
        Err(Undelivered::Refused(_)) => "refused",
        Err(Undelivered::Later { class, .. }) => match class {
            Class::Transient => "again",
            Class::RateLimited(_) => "slower",
            Class::NeedsAttention => "attention",
        },
    };
    for (status, wanted) in [
        (202, "taken"),
        (302, "again"),
        (400, "refused"),
        (401, "again"),
        (404, "again"),
        (410, "again"),
        (422, "refused"),
        (429, "slower"),
        (503, "again"),
    ] {
        assert_eq!(class(status).await, wanted, "{status}");
    }
}

#[tokio::test]
async fn threat_t31_an_event_goes_only_where_the_project_allows_and_its_url_is_told_to_nobody() {
    let server = Server::start(|_| http(204, "", "")).await;
    let to = receiver(format!("http://{}/x?token=s3cret", server.address));
    let refused = courier(&server)
        .deliver("team", &allowed(&["hooks.example.com"]), &to, &LETTER)
        .await
        .unwrap_err();
    assert!(!refused.to_string().contains("s3cret"), "{refused}");
    let metadata = receiver("http://169.254.169.254/latest?s3cret".to_owned());
    let refused = courier(&server)
        .deliver("team", &allowed(&["**"]), &metadata, &LETTER)
        .await
        .unwrap_err();
    assert!(!refused.to_string().contains("s3cret"), "{refused}");
    assert!(server.requests().is_empty());
}
