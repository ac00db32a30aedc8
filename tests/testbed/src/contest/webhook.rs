//! The webhook load: deliveries of GitHub by a process of its own, to a server that has a Project of that repository and its environments.
//!
//! The stand-in of GitHub lives in this process, and answers the look-ups that valid deliveries cause.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use futures::future::try_join_all;
use serde_json::json;

use super::deliveries::{Answers, Kind, Order};
use super::measure::Warm;
use super::record::{Deliveries, Record};
use super::{Error, commands, content, stage};
use crate::github::FakeGithub;
use crate::subject::{Subject, WEBHOOK_SECRET, merge};
use crate::{Repository, control_plane};

/// The repository at the stand-in, and the Project of it.
const ID: u64 = 7;
const REPOSITORY: (&str, &str) = ("acme", "web");
const NAME: &str = "web";

/// So many branches have an environment, and are told of.
const BRANCHES: usize = 10;

/// Over so many connections deliveries come.
const CONNECTIONS: u32 = 32;

/// So long after it the server knows that the API server is away.
const NOTICED: Duration = Duration::from_secs(2);

/// Sends each kind of delivery as fast as it is answered, and valid ones at a steady rate: with the API server, and without it.
/// `generator` is the program that is [`super::deliveries::send`] when it is told to `deliver`.
pub(super) async fn measure(warm: &Warm, generator: &Path, per_second: u32, seconds: u32) -> Result<Vec<Record>, Error> {
    let subject = warm.stage.contender.subject();
    let subject = subject.ok_or_else(|| Error::Understand("who takes deliveries".to_owned()))?;
    let (for_server, _) = stage::halves(warm.cell.series);
    // The stand-in and the clock are not to take the contender's processor.
    stage::pin(&[std::process::id()], &for_server)?;
    let github = FakeGithub::start().await.map_err(Error::io("start", "a stand-in of GitHub"))?;
    let repository = Repository::create().map_err(Error::ChangeRepository)?;
    let order = Order {
        branches: project(subject, &github, &repository).await?,
        ..order(subject, seconds)?
    };
    warm.settle().await;
    let mut records = Vec::new();
    for api_server in [true, false] {
        if !api_server {
            let plane = warm.stage.plane;
            control_plane::blocking(move || plane.stop_api_server()).await;
            tokio::time::sleep(NOTICED).await;
        }
        let fast = Kind::ALL.map(|kind| (kind, None));
        for (kind, rate) in fast.into_iter().chain([(Kind::Valid, Some(per_second))]) {
            let order = Order {
                kind,
                per_second: rate,
                ..order.clone()
            };
            let sample = u32::try_from(records.len()).unwrap_or(u32::MAX);
            records.push(one(warm, generator, sample, order, api_server).await?);
        }
    }
    Ok(records)
}

async fn one(warm: &Warm, generator: &Path, sample: u32, order: Order, api_server: bool) -> Result<Record, Error> {
    let (for_server, _) = stage::halves(warm.cell.series);
    let text = serde_json::to_string(&order).map_err(|error| Error::Understand(error.to_string()))?;
    let mut command = Command::new(generator);
    command.args(["deliver", &text]);
    let marks = warm.marks();
    let printed = commands::on_processors(for_server, vec![command]).await?;
    let used = warm.used(marks);
    let answers: Answers = serde_json::from_str(&printed).map_err(|error| Error::Understand(error.to_string()))?;
    let mut record = warm.record(sample, 0, None, Some(used));
    record.deliveries = Some(Deliveries {
        kind: order.kind,
        per_second: order.per_second,
        api_server,
        answers,
    });
    Ok(record)
}

/// What all orders have in common.
fn order(subject: &Subject, seconds: u32) -> Result<Order, Error> {
    let server = subject.server().map_err(Error::UseGraftling)?;
    let address = server.webhook.trim_start_matches("http://").parse();
    let (owner, name) = REPOSITORY;
    Ok(Order {
        address: address.map_err(|_| Error::Understand(server.webhook.clone()))?,
        path: format!("/hooks/{}/{NAME}", subject.namespace()),
        secret: WEBHOOK_SECRET.to_owned(),
        id: ID,
        repository: format!("{owner}/{name}"),
        branches: Vec::new(),
        kind: Kind::Valid,
        per_second: None,
        seconds,
        connections: CONNECTIONS,
    })
}

/// Makes a repository at the stand-in and a Project of it, and waits until its environments are ready: then there is nothing to do about a
/// push that was seen. Answers with the branches and their revisions.
async fn project(subject: &Subject, github: &FakeGithub, repository: &Repository) -> Result<Vec<(String, String)>, Error> {
    let names: Vec<String> = (0..BRANCHES).map(|number| format!("feature/{number}")).collect();
    let files = [("a", "1")];
    let pushes: Vec<(&str, &[(&str, &str)])> = names.iter().map(|name| (name.as_str(), &files[..])).collect();
    let revisions = repository.push_many(&pushes).map_err(Error::ChangeRepository)?;
    let (owner, name) = REPOSITORY;
    github.add_repository(owner, name, ID, &repository.path(), "main");
    github.freeze(ID);
    let version = "graftling.dev/v1alpha1";
    let host = json!({ "provider": "github", "url": github.url(), "webhook": { "secret": { "name": "webhook" } } });
    let mut spec = json!({
        "gitHostRef": { "name": NAME },
        "repository": format!("{owner}/{name}"),
        "branches": { "exclude": ["main"] },
    });
    merge(&mut spec, content::project());
    let applied = async {
        subject.apply(version, "GitHost", NAME, json!({ "spec": host })).await?;
        subject.apply(version, "Project", NAME, json!({ "spec": spec })).await?;
        let ready = names
            .iter()
            .zip(&revisions)
            .map(|(branch, revision)| subject.wait_ready(branch, revision));
        try_join_all(ready).await
    };
    applied.await.map_err(Error::UseGraftling)?;
    Ok(names.into_iter().zip(revisions).collect())
}
