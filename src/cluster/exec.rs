//! Commands in containers of an environment, as its deployer.

use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, StatefulSet};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, Status};
use kube::api::{AttachParams, AttachedProcess};
use kube::{Api, Client, ResourceExt};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};

use super::Error;
use super::connection::within;
use super::services::{is_ready, list_pods};

/// A workload with pods.
#[derive(Debug, Clone, Copy)]
pub struct Workload<'a> {
    /// Where it is.
    pub namespace: &'a str,
    /// `Deployment`, `StatefulSet` or `DaemonSet`.
    pub kind: &'a str,
    /// Its name.
    pub name: &'a str,
}

/// A container in a pod.
#[derive(Debug, Clone, Copy)]
pub struct Container<'a> {
    /// The namespace of the pod.
    pub namespace: &'a str,
    /// The pod.
    pub pod: &'a str,
    /// The container. None: the first.
    pub container: Option<&'a str>,
}

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// Its exit code; -1 where the node tells none.
    pub code: i32,
    /// The end of what it wrote, errors before the rest.
    pub last_words: String,
}

/// The most bytes that are kept of each stream.
const MAX_KEPT: usize = 4096;

/// A ready pod of a workload, or why there is none.
///
/// # Errors
/// The API server did not answer, or `client` may not read there.
pub async fn ready_pod(client: &Client, workload: &Workload<'_>) -> Result<Result<String, String>, Error> {
    let Workload { kind, name, .. } = workload;
    let Some(selector) = selector(client, workload).await? else {
        return Ok(Err(format!("there is no {kind} {name:?}")));
    };
    let labels = selector.match_labels.unwrap_or_default();
    if labels.is_empty() || selector.match_expressions.is_some_and(|expressions| !expressions.is_empty()) {
        return Ok(Err(format!(
            "{kind} {name:?} selects its pods by more than labels, which is not followed"
        )));
    }
    let parts: Vec<String> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let pods = list_pods(client, workload.namespace, &parts.join(",")).await?;
    let count = pods.len();
    let ready = pods.into_iter().filter(is_ready).map(|pod| pod.name_any()).min();
    Ok(ready.ok_or_else(|| match count {
        0 => format!("{kind} {name:?} has no pod"),
        _ => format!("no pod of {kind} {name:?} is ready"),
    }))
}

async fn selector(client: &Client, workload: &Workload<'_>) -> Result<Option<LabelSelector>, Error> {
    let Workload { namespace, kind, name } = *workload;
    let what = format!("{kind} {namespace}/{name}");
    let read = async {
        let client = client.clone();
        Ok(match kind {
            "StatefulSet" => {
                let found = Api::<StatefulSet>::namespaced(client, namespace).get_opt(name).await?;
                found.and_then(|found| found.spec).map(|spec| spec.selector)
            }
            "DaemonSet" => {
                let found = Api::<DaemonSet>::namespaced(client, namespace).get_opt(name).await?;
                found.and_then(|found| found.spec).map(|spec| spec.selector)
            }
            _ => {
                let found = Api::<Deployment>::namespaced(client, namespace).get_opt(name).await?;
                found.and_then(|found| found.spec).map(|spec| spec.selector)
            }
        })
    };
    within(
        || format!("read {what}"),
        read,
        |source| Error::Read {
            what: what.clone(),
            source,
        },
    )
    .await
}

/// Runs a command and waits for its end, which it should come to by itself: when this is dropped, the command may run on.
///
/// # Errors
/// The command could not be started, or the connection to the node broke.
pub async fn run(client: &Client, at: Container<'_>, command: &[String]) -> Result<Ended, Error> {
    let mut process = start(client, at, command, false).await?;
    follow(&mut process).await
}

/// Runs a command, writes `input` to its standard input, and waits for its end.
///
/// The standard input is not closed before the command ends: it has to know by itself when it has everything.
///
/// # Errors
/// As [`run`].
pub async fn feed(client: &Client, at: Container<'_>, command: &[String], input: &[u8]) -> Result<Ended, Error> {
    let mut process = start(client, at, command, true).await?;
    let Some(mut stdin) = process.stdin() else {
        return follow(&mut process).await;
    };
    let writing = async {
        // A command that ended early takes no more; its exit code tells why.
        let _ = stdin.write_all(input).await;
        let _ = stdin.flush().await;
        // Kept open: closing it would end the connection.
        std::future::pending::<()>().await;
    };
    tokio::select! {
        ended = follow(&mut process) => ended,
        () = writing => Ok(Ended { code: -1, last_words: String::new() }),
    }
}

async fn start(client: &Client, at: Container<'_>, command: &[String], stdin: bool) -> Result<AttachedProcess, Error> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), at.namespace);
    let mut parameters = AttachParams::default().stdin(stdin).stdout(true).stderr(true);
    parameters.container = at.container.map(str::to_owned);
    parameters.max_stdin_buf_size = Some(64 * 1024);
    let what = format!("run a command in pod {}/{}", at.namespace, at.pod);
    within(
        || what.clone(),
        pods.exec(at.pod, command.iter().map(String::as_str), &parameters),
        |source| Error::Exec {
            what: what.clone(),
            source,
        },
    )
    .await
}

async fn follow(process: &mut AttachedProcess) -> Result<Ended, Error> {
    let status = process.take_status();
    let (stdout, stderr) = (process.stdout(), process.stderr());
    let ended = async {
        match status {
            Some(status) => status.await,
            None => None,
        }
    };
    // What is not read holds the rest up.
    let (status, stdout, stderr) = tokio::join!(ended, tail(stdout), tail(stderr));
    let words = format!("{} {}", stderr.trim(), stdout.trim());
    Ok(Ended {
        code: status.as_ref().map_or(-1, code),
        last_words: match (words.trim(), status) {
            ("", Some(status)) => status.message.unwrap_or_default(),
            (words, _) => words.to_owned(),
        },
    })
}

/// The end of a stream.
async fn tail(stream: Option<impl AsyncRead + Unpin>) -> String {
    let Some(mut stream) = stream else { return String::new() };
    let mut kept: Vec<u8> = Vec::new();
    let mut buffer = [0; 1024];
    while let Ok(count @ 1..) = stream.read(&mut buffer).await {
        kept.extend_from_slice(&buffer[..count]);
        let excess = kept.len().saturating_sub(MAX_KEPT);
        kept.drain(..excess);
    }
    String::from_utf8_lossy(&kept).into_owned()
}

fn code(status: &Status) -> i32 {
    if status.status.as_deref() == Some("Success") {
        return 0;
    }
    let causes = status.details.iter().flat_map(|details| details.causes.iter().flatten());
    let mut codes = causes.filter(|cause| cause.reason.as_deref() == Some("ExitCode"));
    codes.next().and_then(|cause| cause.message.as_deref()?.parse().ok()).unwrap_or(-1)
}
