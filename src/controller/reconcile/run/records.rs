//! Records of runs within a pass: written before the first object of a run, and read where what is rendered now is not what is wanted.

use std::collections::{BTreeMap, BTreeSet};

use super::{Reconciler, Site, Work};
use crate::cluster;
use crate::cluster::connection::Deployer;
use crate::cluster::records::{RecordError, Records};
use crate::controller::desired::{Refusal, admit_record};
use crate::domain::bundle::pipeline::Pipeline;
use crate::domain::inventory::Inventory;
use crate::domain::manifest::Manifest;
use crate::domain::plan::records::{include, is_written};
use crate::domain::plan::{Observed, Plan};
use crate::domain::record::{self, Contents, Home, Record, Shown, keep, secrets};
use crate::domain::run::{Run, RunNumber, RunState, Source, Staged};
use crate::domain::stage::outputs::Outputs;

/// What became of looking for a record.
pub(super) enum Recorded {
    /// It is there, and what it holds is allowed.
    Found(Box<Staged>),
    /// It cannot be used; the words say why.
    Unusable(String),
}

impl Reconciler {
    /// What was rendered for an earlier run.
    ///
    /// # Errors
    /// The cluster did not do as asked. That there is no record, or none that may be used, is an answer.
    pub(super) async fn recorded(&self, site: &Site<'_>, inventory: &Inventory, run: RunNumber) -> Result<Recorded, cluster::Error> {
        let records = site.records(inventory);
        let record = match self.observer.read_record(&records, run).await {
            Ok(record) => record,
            Err(RecordError::Read { source, .. }) => return Err(*source),
            Err(error) => return Ok(Recorded::Unusable(error.chain())),
        };
        Ok(match admit_record(site.wish, &record.contents) {
            Ok(staged) => Recorded::Found(Box::new(staged)),
            Err(Refusal { message, .. }) => Recorded::Unusable(format!("the record of run {run} cannot be used any more: {message}")),
        })
    }

    /// What the stages of an earlier run handed on.
    async fn handed_on(&self, site: &Site<'_>, inventory: &Inventory, run: RunNumber) -> Result<Outputs, cluster::Error> {
        match self.observer.stored_record(&site.records(inventory), run).await {
            Ok((stored, _)) => Ok(stored.journal.outputs),
            Err(RecordError::Read { source, .. }) => Err(*source),
            Err(_) => Ok(Outputs::new()),
        }
    }
}

impl Site<'_> {
    /// Where the records of the environment are.
    pub(super) fn records<'a>(&'a self, inventory: &'a Inventory) -> Records<'a> {
        Records {
            environment: &self.identity.name,
            deployer: self.deployer,
            inventory,
        }
    }
}

impl Work {
    /// Takes the records of the environment's runs into a plan.
    pub(super) fn include_records(&self, site: &Site<'_>, plan: &mut Plan, observed: &Observed) {
        let wanted = match is_written(&plan.write_ahead, self.run.number) {
            true => Vec::new(),
            false => self.record(site),
        };
        let keep = self.kept(&plan.write_ahead);
        include(plan, &site.identity.name, &wanted, &keep, observed);
    }

    /// The Secrets of the run's record. One that is too large is not kept: then there is nothing to go back to, and the log says so.
    fn record(&self, site: &Site<'_>) -> Vec<Manifest> {
        let record = Record {
            run: self.run.number,
            revision: self.run.revision.clone(),
            created: self.run.started,
            contents: self.contents(site),
        };
        let same_as = match self.run.source {
            Source::Bundle => None,
            Source::Record(number) => Some(number),
        };
        let home = Home {
            environment: &site.identity.name,
            project: &site.identity.project,
        };
        secrets(&record, same_as, &home).unwrap_or_else(|error| {
            tracing::warn!(environment = %site.identity.name, %error, "the run is not recorded");
            Vec::new()
        })
    }

    fn contents(&self, site: &Site<'_>) -> Contents {
        let staged = &self.staged;
        let objects: BTreeMap<String, Vec<_>> = Record::objects_of(
            staged
                .objects
                .iter()
                .flat_map(|(stage, manifests)| manifests.iter().map(move |manifest| (stage.clone(), manifest))),
        );
        let Deployer { namespace, name } = site.deployer;
        Contents {
            digest: self.run.digest.clone(),
            first_deploy: site.wish.is_first_deploy,
            pipeline: Pipeline {
                stages: staged.stages.clone(),
                teardown: staged.teardown.clone(),
            },
            objects,
            url: site.desired.addresses.url.clone(),
            urls: site.desired.addresses.urls.clone(),
            deployer: record::Deployer {
                namespace: namespace.to_string(),
                name: name.to_string(),
            },
        }
    }

    /// The runs whose records stay: this one, the last good one, and those that the history shows.
    fn kept(&self, inventory: &Inventory) -> BTreeSet<RunNumber> {
        let own = Shown {
            run: self.run.number,
            contents: contents_of(&self.run),
            needed: true,
        };
        let past = self.past.iter().map(|past| Shown {
            run: past.run,
            contents: None,
            needed: Some(past.run) == self.last_good(),
        });
        keep(std::iter::once(own).chain(past), inventory)
    }

    /// The last run before this one that ended well.
    pub(super) fn last_good(&self) -> Option<RunNumber> {
        self.past
            .iter()
            .find(|past| past.was_good && past.run < self.run.number)
            .map(|past| past.run)
    }
}

fn contents_of(run: &Run) -> Option<RunNumber> {
    match run.source {
        Source::Bundle => None,
        Source::Record(number) => Some(number),
    }
}

impl Reconciler {
    /// Reads what the last good run had, where this one has failed and asks for it.
    pub(super) async fn find_good(&self, site: &Site<'_>, work: &mut Work, inventory: &Inventory) -> Result<(), cluster::Error> {
        if work.run.state != RunState::RolledBack || work.good.is_some() {
            return Ok(());
        }
        let Some(good) = work.last_good() else {
            work.no_good = Some("there was no good run before it".to_owned());
            return Ok(());
        };
        match self.recorded(site, inventory, good).await? {
            Recorded::Found(mut staged) => {
                staged.fill(&self.handed_on(site, inventory, good).await?);
                work.good = Some(*staged);
            }
            Recorded::Unusable(why) => work.no_good = Some(why),
        }
        Ok(())
    }
}
