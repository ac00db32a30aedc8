//! An environment is ready once its URL answers, asked through a loopback listener that plays the ingress.
#![allow(clippy::unwrap_used, reason = "a step that fails is the test's failure")]

use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use graftling::api::environment::Phase;
use kube::ResourceExt;
use serde_json::json;
use testbed::wait;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::world::{LONG, Options, World, ready_reason};

/// An ingress that answers everything with one status, and remembers what it was asked: `GET /path host`.
struct Ingress {
    port: u16,
    status: Arc<AtomicU16>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Ingress {
    async fn start(status: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let ingress = Self {
            port: listener.local_addr().unwrap().port(),
            status: Arc::new(AtomicU16::new(status)),
            asked: Arc::default(),
        };
        let (status, asked) = (ingress.status.clone(), ingress.asked.clone());
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = vec![0; 4096];
                let length = stream.read(&mut request).await.unwrap_or_default();
                let text = String::from_utf8_lossy(&request[..length]).into_owned();
                let host = text
                    .lines()
                    .find_map(|line| line.to_lowercase().strip_prefix("host: ").map(str::to_owned));
                let line = text.lines().next().unwrap_or_default().replace(" HTTP/1.1", "");
                asked.lock().unwrap().push(format!("{line} {}", host.unwrap_or_default()));
                let status = status.load(Ordering::SeqCst);
                let answer =
                    format!("HTTP/1.1 {status} Answer\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        ingress
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn feature_s6_an_environment_is_ready_once_its_url_answers_as_the_project_wants() {
    let ingress = Ingress::start(503).await;
    let options = Options {
        arguments: vec![format!("--ingress-address=127.0.0.1:{}", ingress.port)],
        ..Options::default()
    };
    let probe = json!({ "scheme": "http", "probe": { "path": "/healthz?full=1", "statuses": ["200-299"], "timeout": "2s" } });
    let (world, repository) = World::shop("probe", options, probe).await;
    let revision = repository.commit("feature/a", &[("a", "1")]).unwrap();
    let told = |words: &'static [&'static str]| {
        let world = &world;
        async move {
            wait::until(format!("feature/a that tells {words:?}"), LONG, || async {
                let status = world
                    .environment("feature/a")
                    .await
                    .ok_or("no Environment".to_owned())?
                    .status
                    .unwrap_or_default();
                let message = status.message.clone().unwrap_or_default();
                let is_told = status.phase == Some(Phase::Deploying) && words.iter().all(|word| message.contains(word));
                if is_told {
                    Ok(status)
                } else {
                    Err(format!("{:?}: {message}", status.phase))
                }
            })
            .await
        }
    };
    let status = told(&["everything runs", "503", "spec.probe"]).await;
    assert_eq!(ready_reason(&status.conditions), "UrlNotAnswering");
    assert!(status.history.is_empty(), "it was never ready: {:?}", status.history);

    // A redirect is an answer, and nobody follows it.
    ingress.status.store(302, Ordering::SeqCst);
    told(&["everything runs", "302"]).await;
    ingress.status.store(204, Ordering::SeqCst);
    let environment = world.wait_for("feature/a", Phase::Ready, &revision).await;
    let wanted = format!("GET /healthz?full=1 {}.preview.example.com", environment.name_any());
    let asked = ingress.asked();
    assert!(asked.iter().all(|one| *one == wanted), "{asked:?}");

    // What is ready and does not change is not asked again.
    let before = ingress.asked().len();
    // The time that is waited is what is measured.
    tokio::time::sleep(Duration::from_secs(8)).await;
    assert_eq!(ingress.asked().len(), before);

    // The next revision is asked for anew.
    let second = repository.commit("feature/a", &[("a", "2")]).unwrap();
    world.wait_for("feature/a", Phase::Ready, &second).await;
    assert!(ingress.asked().len() > before);
}
