//! `resource` stages: their objects are applied like any others, and judged by the conditions that the stage names.

use std::collections::BTreeMap;

use futures::{StreamExt, TryStreamExt, stream};

use super::stages::{Seen, Standing};
use super::{Reconciler, Site, Work};
use crate::cluster;
use crate::domain::bundle::pipeline::Stage;
use crate::domain::run::{Progress, apply_progress};
use crate::domain::stage::resource::{Resource, Verdict, judge};

impl Reconciler {
    /// How the objects of a stage stand. What the conditions ask is not among what watches keep of an object, so each is read.
    pub(super) async fn resource_standing(
        &self,
        site: &Site<'_>,
        work: &Work,
        stage: &Stage,
        (resource, seen): (&Resource, &Seen<'_>),
    ) -> Result<Standing, cluster::Error> {
        let objects = work.staged.objects.get(&stage.name).map(Vec::as_slice).unwrap_or_default();
        match apply_progress(objects, seen.plan, seen.outcomes) {
            // Its own conditions say how it stands, and not the common ones.
            Progress::Failed { message, .. } if seen.plan.waiting.iter().any(|waiting| waiting.to_string() == message) => {}
            failed @ Progress::Failed { .. } => return Ok(failed.into()),
            Progress::Pending { .. } | Progress::Done { .. } => {}
        }
        let client = self.observer.deployer_client(site.deployer)?;
        let reads = objects.iter().map(|manifest| {
            let client = client.clone();
            async move {
                let live = self.observer.read_whole(client, &manifest.key).await?;
                Ok::<_, cluster::Error>(judge(resource, &manifest.key, live.as_ref()))
            }
        });
        let reads: Vec<_> = reads.collect();
        let verdicts: Vec<Verdict> = stream::iter(reads).buffered(8).try_collect().await?;
        Ok(conclude(verdicts).into())
    }
}

fn conclude(verdicts: Vec<Verdict>) -> Progress {
    let mut waits = None;
    for verdict in verdicts {
        match verdict {
            Verdict::Failed(message) => return Progress::Failed { message, retry: false },
            Verdict::Pending(message) => waits = waits.or(Some(message)),
            Verdict::Ready => {}
        }
    }
    match waits {
        Some(message) => Progress::Pending { message, outside: false },
        None => Progress::Done {
            message: None,
            outputs: BTreeMap::new(),
        },
    }
}
