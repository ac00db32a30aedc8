//! GitHosts that change or go while their Secrets are read.
#![allow(clippy::unwrap_used, reason = "what cannot be set up is the test's failure")]

use kube::runtime::reflector::store;
use kube::runtime::reflector::store::Writer;
use kube::runtime::watcher::Event;
use serde_json::json;
use tokio::sync::Semaphore;

use super::*;

/// An API server that has every Secret, and tells of it once somebody lets it.
struct Held {
    hosts: Hosts,
    endpoints: Endpoints,
    writer: Writer<GitHostObject>,
    asked: Arc<Semaphore>,
    told: Arc<Semaphore>,
}

impl Held {
    fn new() -> Self {
        let (asked, told) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
        let (asking, telling) = (asked.clone(), told.clone());
        let service = tower::service_fn(move |_: http::Request<kube::client::Body>| {
            let (asking, telling) = (asking.clone(), telling.clone());
            async move {
                asking.add_permits(1);
                telling.acquire().await.unwrap().forget();
                let secret =
                    json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "webhook" }, "data": { "secret": "czNjcmV0" } });
                Ok::<_, std::io::Error>(http::Response::new(kube::client::Body::from(secret.to_string().into_bytes())))
            }
        });
        let (existing, writer) = store();
        let endpoints = Endpoints::default();
        Self {
            hosts: Hosts::new(Client::new(service, "default"), endpoints.clone(), Some(existing)),
            endpoints,
            writer,
            asked,
            told,
        }
    }

    /// The watch shows it.
    fn show(&mut self, object: &GitHostObject) {
        self.writer.apply_watcher_event(&Event::Apply(object.clone()));
    }

    /// The watch shows that it is gone, and the table is told.
    fn remove(&mut self, object: &GitHostObject) {
        self.writer.apply_watcher_event(&Event::Delete(object.clone()));
        self.hosts.remove(object);
    }

    /// Where the connection leads, and whether deliveries are taken.
    fn known(&self) -> (Option<String>, bool) {
        let key = key(&git_host("a", 1)).unwrap();
        (
            self.hosts.get(&key).map(|connected| connected.url),
            self.endpoints.get(&key).is_some(),
        )
    }
}

fn url(generation: i64) -> String {
    format!("file:///srv/{generation}")
}

fn git_host(uid: &str, generation: i64) -> GitHostObject {
    let metadata = json!({ "name": "git", "namespace": "team", "uid": uid, "generation": generation });
    let spec = json!({ "provider": "git", "url": url(generation), "webhook": { "secret": { "name": "webhook" } } });
    serde_json::from_value(json!({ "metadata": metadata, "spec": spec })).unwrap()
}

#[tokio::test]
async fn f83_a_git_host_that_is_removed_while_its_secrets_are_read_stays_closed() {
    let mut held = Held::new();
    let object = git_host("a", 1);
    held.show(&object);
    let hosts = held.hosts.clone();
    let refresh = hosts.refresh(&object, None);
    let removal = async {
        held.asked.acquire().await.unwrap().forget();
        held.remove(&object);
        held.told.add_permits(1);
    };
    futures::join!(refresh, removal);
    assert_eq!(held.known(), (None, false));
}

#[tokio::test]
async fn f83_of_two_that_had_a_name_the_one_that_is_gone_is_not_connected() {
    let mut held = Held::new();
    let (gone, now) = (git_host("a", 5), git_host("b", 1));
    held.told.add_permits(2);
    held.show(&now);
    held.hosts.refresh(&gone, None).await;
    assert_eq!(held.known(), (None, false));
    held.hosts.refresh(&now, None).await;
    assert_eq!(held.known(), (Some(url(1)), true));
}

#[tokio::test]
async fn a_version_that_is_read_late_replaces_no_newer_one() {
    let mut held = Held::new();
    let (before, now) = (git_host("a", 1), git_host("a", 2));
    held.told.add_permits(2);
    held.show(&now);
    held.hosts.refresh(&now, None).await;
    held.hosts.refresh(&before, None).await;
    assert_eq!(held.known(), (Some(url(2)), true));
}

#[tokio::test]
async fn a_version_that_the_watch_has_not_shown_yet_is_connected() {
    let mut held = Held::new();
    held.told.add_permits(1);
    held.show(&git_host("a", 1));
    held.hosts.refresh(&git_host("a", 2), None).await;
    assert_eq!(held.known(), (Some(url(2)), true));
}
