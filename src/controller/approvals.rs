//! Whether approvals prove who wrote them, asked of the API server now and then.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use kube::Client;

use crate::cluster::approvals::unproven;
use crate::domain::name::ObjectName;
use crate::domain::run::approval::Proof;

/// Knows whether the policy is there that keeps people from approving in the name of others. Cheap to clone.
#[derive(Clone)]
pub struct Approvals {
    client: Client,
    policy: ObjectName,
    last: Arc<Mutex<Option<(Instant, Proven)>>>,
}

/// What is known of the policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proven(Option<String>);

/// For so long an answer counts: whoever takes the policy away could also approve as anybody from then on.
const FRESH: Duration = Duration::from_secs(15);

impl Approvals {
    /// Looks for `policy`.
    pub fn new(client: Client, policy: ObjectName) -> Self {
        Self {
            client,
            policy,
            last: Arc::default(),
        }
    }

    /// Whether approvals count. While the API server cannot be asked, they do not.
    pub async fn proof(&self) -> Proven {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((_, proven)) = last.filter(|(asked, _)| asked.elapsed() < FRESH) {
            return proven;
        }
        let proven = match unproven(self.client.clone(), &self.policy).await {
            Ok(problem) => Proven(problem),
            Err(error) => return Proven(Some(format!("it cannot be seen who wrote it: {}", error.chain()))),
        };
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), proven.clone()));
        proven
    }
}

impl Proven {
    /// The same for the judgement of a question.
    pub fn as_proof(&self) -> Proof<'_> {
        match &self.0 {
            None => Proof::Proven,
            Some(why) => Proof::Unproven(why),
        }
    }
}
