//! One look over every object of the cluster, for all environments that wait for one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, stream};
use k8s_openapi::api::core::v1::PersistentVolume;
use kube::Client;
use kube::api::{Api, DynamicObject, ListParams, ObjectList, PartialObjectMeta};
use kube::core::ObjectMeta;
use serde::de::DeserializeOwned;

use super::discovery::{Kind, discover};
use super::volumes::volume;
use crate::api::keys;
use crate::cluster::Error;
use crate::cluster::connection::within;
use crate::cluster::error::message;
use crate::domain::manifest::ObjectKey;
use crate::domain::residue::evidence::{Index, Marks, Metadata, Trace, Traces, says_nothing};
use crate::domain::residue::volume::Volume;
use crate::domain::retention::Retention;

/// How many objects a page of a listing holds.
const PAGE: u32 = 500;

/// So many kinds are listed at a time: whoever waits for the answer has waited for seconds already, and others use the API server as well.
const LISTINGS: usize = 4;

/// So many mentions of one environment are kept; the rest is counted.
const MENTIONS: usize = 100;

const MARKS: Marks = Marks {
    environment_label: keys::ENVIRONMENT_LABEL,
    environment_uid_annotation: keys::ENVIRONMENT_UID_ANNOTATION,
};

/// What one look cost, and what it could not see.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cost {
    /// How many kinds were listed.
    pub kinds: u32,
    /// How many requests that took.
    pub requests: u32,
    /// How many objects were looked at.
    pub objects: u64,
    /// How long it took.
    pub duration: Duration,
    /// How many environments shared it.
    pub environments: usize,
    /// Kinds that may not be listed.
    pub not_visible: Vec<String>,
    /// API groups, or single kinds, that did not answer, and what came instead.
    pub silent: BTreeMap<String, String>,
}

/// What one look found of one environment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Findings {
    /// What bears marks of it, or mentions it.
    pub traces: Vec<Trace>,
    /// How many mentions there were beyond those in `traces`.
    pub further_mentions: u32,
    /// The volumes that were bound to claims in its namespace.
    pub volumes: Vec<Volume>,
    /// What the look cost, and what it could not see.
    pub cost: Cost,
}

/// Looks at every object of every kind that `client` may list, and gives for each of `environments` what was found of it.
///
/// Only metadata is asked for, page by page, and only what matches is kept. PersistentVolumes are read whole: they name their claim in
/// their spec.
///
/// # Errors
/// The kinds of the cluster could not be discovered. A listing that fails is told in [`Cost::silent`].
pub async fn look(client: &Client, environments: &[Traces]) -> Result<Vec<Findings>, Error> {
    let begin = Instant::now();
    let served = discover(client).await?;
    let sought = Arc::new(Sought {
        index: Index::new(environments, MARKS),
        names: environments.iter().map(|traces| traces.environment.clone()).collect(),
    });
    let kinds = served
        .kinds
        .into_iter()
        .filter(|kind| !says_nothing(&kind.api.group, &kind.api.kind));
    let listings: Vec<_> = kinds.map(|kind| list(client.clone(), kind, sought.clone())).collect();
    let listed: Vec<_> = stream::iter(listings).buffer_unordered(LISTINGS).collect().await;
    let stale = served.silent.into_iter().filter(|group| !says_nothing(group_of(group), ""));
    let mut cost = Cost {
        requests: 2,
        environments: environments.len(),
        silent: stale
            .map(|group| (group, "its API server does not say what it serves".to_owned()))
            .collect(),
        ..Cost::default()
    };
    let mut findings = vec![Findings::default(); environments.len()];
    for listing in listed {
        absorb(&mut cost, &mut findings, listing);
    }
    cost.not_visible.sort();
    cost.duration = begin.elapsed();
    for found in &mut findings {
        found.traces.sort_by(|left, right| left.key.cmp(&right.key));
        found.cost = cost.clone();
    }
    Ok(findings)
}

/// The group of `version.group`.
fn group_of(stale: &str) -> &str {
    stale.split_once('.').map_or("", |(_, group)| group)
}

/// What is looked for.
struct Sought {
    index: Index,
    names: Vec<String>,
}

/// What the listing of one kind gave.
struct Listing {
    kind: Kind,
    requests: u32,
    objects: u64,
    traces: Vec<(usize, Trace)>,
    volumes: Vec<(usize, Volume)>,
    end: End,
}

enum End {
    Complete,
    NotVisible,
    Silent(String),
}

fn absorb(cost: &mut Cost, findings: &mut [Findings], listing: Listing) {
    cost.requests += listing.requests;
    cost.objects += listing.objects;
    match listing.end {
        End::Complete => cost.kinds += 1,
        End::NotVisible => cost.not_visible.push(listing.kind.name()),
        End::Silent(answer) => {
            cost.silent.insert(listing.kind.name(), answer);
        }
    }
    for (place, trace) in listing.traces {
        let found = &mut findings[place];
        let mentions = found.traces.iter().filter(|trace| !trace.evidence.is_proof()).count();
        if trace.evidence.is_proof() || mentions < MENTIONS {
            found.traces.push(trace);
        } else {
            found.further_mentions += 1;
        }
    }
    for (place, volume) in listing.volumes {
        findings[place].volumes.push(volume);
    }
}

/// How often a kind is listed that does not answer, or breaks off. A look is worth nothing without it, and dozens of kinds are listed.
const TIMES: u32 = 3;

async fn list(client: Client, kind: Kind, sought: Arc<Sought>) -> Listing {
    let mut listing = list_once(client.clone(), kind.clone(), &sought).await;
    for _ in 1..TIMES {
        if !matches!(listing.end, End::Silent(_)) {
            break;
        }
        let again = list_once(client.clone(), kind.clone(), &sought).await;
        listing = Listing {
            requests: listing.requests + again.requests,
            ..again
        };
    }
    listing
}

async fn list_once(client: Client, kind: Kind, sought: &Sought) -> Listing {
    let mut listing = Listing {
        kind,
        requests: 0,
        objects: 0,
        traces: Vec::new(),
        volumes: Vec::new(),
        end: End::Complete,
    };
    let outcome = if listing.kind.api.group.is_empty() && listing.kind.api.kind == "PersistentVolume" {
        list_volumes(client, &mut listing, sought).await
    } else {
        list_metadata(client, &mut listing, &sought.index).await
    };
    listing.end = match outcome {
        Ok(()) => End::Complete,
        Err(Error::List {
            source: kube::Error::Api(status),
            ..
        }) => match status.code {
            403 | 405 => End::NotVisible,
            // The kind was taken away since it was discovered, and all its objects with it.
            404 => End::Complete,
            _ => End::Silent(message(&kube::Error::Api(status))),
        },
        Err(error) => End::Silent(error.chain()),
    };
    listing
}

async fn list_metadata(client: Client, listing: &mut Listing, index: &Index) -> Result<(), Error> {
    let api: Api<DynamicObject> = Api::all_with(client, &listing.kind.api);
    let what = listing.kind.api.plural.clone();
    let take = |listing: &mut Listing, page: &ObjectList<PartialObjectMeta<DynamicObject>>| {
        for object in &page.items {
            take(listing, index, &object.metadata);
        }
    };
    let request = |params: ListParams| {
        let api = api.clone();
        async move { api.list_metadata(&params).await }.boxed()
    };
    pages(&what, listing, request, take).await
}

async fn list_volumes(client: Client, listing: &mut Listing, sought: &Sought) -> Result<(), Error> {
    let api: Api<PersistentVolume> = Api::all(client);
    let take = |listing: &mut Listing, page: &ObjectList<PersistentVolume>| {
        for object in &page.items {
            take(listing, &sought.index, &object.metadata);
            let claimed = volume(object);
            let place = |volume: &Volume| sought.names.iter().position(|name| *name == volume.claim_namespace);
            listing.volumes.extend(claimed.and_then(|volume| Some((place(&volume)?, volume))));
        }
    };
    let request = |params: ListParams| {
        let api = api.clone();
        async move { api.list(&params).await }.boxed()
    };
    pages("persistentvolumes", listing, request, take).await
}

/// Reads page after page. A token that expires in between begins the listing anew.
async fn pages<K>(
    what: &str,
    listing: &mut Listing,
    request: impl Fn(ListParams) -> BoxFuture<'static, kube::Result<ObjectList<K>>>,
    take: impl Fn(&mut Listing, &ObjectList<K>),
) -> Result<(), Error>
where
    K: Clone + DeserializeOwned,
{
    let mut params = ListParams::default().limit(PAGE);
    loop {
        listing.requests += 1;
        let page = within(
            || format!("list {what}"),
            request(params.clone()),
            |source| Error::List {
                what: what.to_owned(),
                source,
            },
        );
        let page = match page.await {
            Err(Error::List {
                source: kube::Error::Api(status),
                ..
            }) if status.code == 410 && params.continue_token.is_some() => {
                (listing.traces, listing.volumes) = (Vec::new(), Vec::new());
                params = ListParams::default();
                continue;
            }
            page => page?,
        };
        listing.objects += page.items.len() as u64;
        take(listing, &page);
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => params.continue_token = Some(token),
            None => return Ok(()),
        }
    }
}

fn take(listing: &mut Listing, index: &Index, metadata: &ObjectMeta) {
    // What has no UID is no object that anybody stored.
    let (Some(name), Some(uid)) = (&metadata.name, &metadata.uid) else {
        return;
    };
    let api = &listing.kind.api;
    let is_receipt = || {
        metadata
            .labels
            .as_ref()
            .is_some_and(|labels| labels.contains_key(keys::RECEIPT_LABEL))
    };
    if api.group.is_empty() && api.kind == "ConfigMap" && is_receipt() {
        return;
    }
    let owners: Vec<&str> = metadata.owner_references.iter().flatten().map(|owner| owner.uid.as_str()).collect();
    let key = ObjectKey {
        group: api.group.clone(),
        version: api.version.clone(),
        kind: api.kind.clone(),
        namespace: metadata.namespace.clone(),
        name: name.clone(),
    };
    let found = index.find(&Metadata {
        key: &key,
        uid,
        labels: metadata.labels.as_ref(),
        annotations: metadata.annotations.as_ref(),
        owners: &owners,
    });
    let retention = Retention::of(|key| metadata.annotations.as_ref()?.get(key).map(String::as_str));
    let traces = found.into_iter().map(|(place, evidence)| {
        let trace = Trace {
            key: key.clone(),
            uid: uid.clone(),
            evidence,
            retained: retention.from.is_some(),
        };
        (place, trace)
    });
    listing.traces.extend(traces);
}
