//! The values that metric labels may take: closed sets, so that no branch, environment or error text can ever become a series.

use std::fmt;

use prometheus_client::encoding::{EncodeLabelValue, LabelValueEncoder};

use crate::domain::errand::{Errand, Worth};
use crate::domain::git::Provider;
use crate::domain::removal::Cause;

/// Declares a closed set of label values with their texts.
macro_rules! label_values {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident => $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)+
        }

        impl $name {
            /// Every value of the set, in the order of declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The text that stands in metrics and logs.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }
        }

        impl EncodeLabelValue for $name {
            fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), fmt::Error> {
                self.as_str().encode(encoder)
            }
        }
    };
}

label_values! {
    /// Which scheme an endpoint expects of its deliveries.
    DeliveryProvider {
        /// GitHub.
        Github => "github",
        /// GitLab.
        Gitlab => "gitlab",
        /// Bitbucket Cloud or Bitbucket Data Center.
        Bitbucket => "bitbucket",
        /// Gitea or Forgejo.
        Gitea => "gitea",
        /// A plain Git remote with a hook script.
        Git => "git",
        /// Nobody knows: the request met no endpoint.
        None => "none",
    }
}

label_values! {
    /// How a request to the webhook listener was answered.
    DeliveryResult {
        /// Verified, and every hint it carried is in the inbox.
        Accepted => "accepted",
        /// Verified: the host tested the endpoint.
        Pong => "pong",
        /// Verified, and of no concern to environments.
        Ignored => "ignored",
        /// The path names no endpoint.
        UnknownEndpoint => "unknown_endpoint",
        /// Not a POST.
        MethodNotAllowed => "method_not_allowed",
        /// An encoded body, or a form instead of JSON.
        UnsupportedMedia => "unsupported_media",
        /// The body is larger than the limit.
        TooLarge => "too_large",
        /// The body did not arrive in time.
        TimedOut => "timed_out",
        /// The connection broke before the body was complete, or its framing was wrong.
        BrokenOff => "broken_off",
        /// The signature is missing or wrong.
        BadSignature => "bad_signature",
        /// Verified, but the body is not what the event promises.
        Unparsable => "unparsable",
        /// Verified, but the inbox is full or closed.
        InboxFull => "inbox_full",
        /// The memory set aside for bodies is in use.
        Busy => "busy",
    }
}

label_values! {
    /// What the inbox did with a hint.
    HintResult {
        /// It took a new place.
        Queued => "queued",
        /// It joined a hint about the same branch.
        Coalesced => "coalesced",
        /// There was no place, or the inbox is closed.
        Refused => "refused",
    }
}

label_values! {
    /// What led to the removal of an environment.
    RemovalCause {
        /// The branch is proven to be gone.
        BranchGone => "branch_gone",
        /// The pull request is open no more.
        PullRequestClosed => "pull_request_closed",
        /// The pull request does not pass the filters of the Project.
        PullRequestFiltered => "pull_request_filtered",
        /// Nothing happened for too long.
        Expired => "expired",
        /// A person asked for it with the command line.
        Requested => "requested",
        /// It belonged to nothing any more.
        Orphaned => "orphaned",
        /// The Environment object was deleted without a word.
        Deleted => "deleted",
    }
}

impl From<Cause> for RemovalCause {
    fn from(cause: Cause) -> Self {
        match cause {
            Cause::BranchGone => Self::BranchGone,
            Cause::PullRequestClosed => Self::PullRequestClosed,
            Cause::PullRequestFiltered => Self::PullRequestFiltered,
            Cause::Expired => Self::Expired,
            Cause::Requested => Self::Requested,
            Cause::Orphaned => Self::Orphaned,
            Cause::Deleted => Self::Deleted,
        }
    }
}

label_values! {
    /// The listening sockets of the process.
    Listener {
        /// Git hosts deliver here.
        Webhook => "webhook",
        /// Probes and metrics.
        Admin => "admin",
    }
}

label_values! {
    /// What was asked of a Git host.
    HostOperation {
        /// A repository's identity and default branch.
        Repository => "repository",
        /// Every branch and open pull request.
        Listing => "listing",
        /// Where one branch stands.
        Lookup => "lookup",
        /// A commit status, deployment or comment was written.
        Publish => "publish",
    }
}

label_values! {
    /// How a call to a Git host ended.
    HostCallResult {
        /// With a complete answer.
        Ok => "ok",
        /// With an error that passes by itself.
        Transient => "transient",
        /// With a request to slow down.
        RateLimited => "rate_limited",
        /// With an error that stays until somebody changes something.
        NeedsAttention => "needs_attention",
    }
}

label_values! {
    /// How one reconcile ended.
    ReconcileOutcome {
        /// Everything is as wanted.
        Settled => "settled",
        /// Something was done or is awaited; it will be looked at again.
        Progressing => "progressing",
        /// An error that is tried again with back-off.
        Transient => "transient",
        /// An error that waits for a change.
        NeedsAttention => "needs_attention",
        /// The reconcile's own deadline passed.
        TimedOut => "timed_out",
    }
}

label_values! {
    /// The phases of an environment.
    Phase {
        /// Known, nothing applied yet.
        Pending => "Pending",
        /// A run is under way.
        Deploying => "Deploying",
        /// The wanted revision serves.
        Ready => "Ready",
        /// The last run failed.
        Failed => "Failed",
        /// Its branch is gone; it is scaled to zero and kept for a while.
        Resting => "Resting",
        /// A teardown is under way.
        Deleting => "Deleting",
        /// A teardown that cannot go on without somebody's help.
        Blocked => "Blocked",
    }
}

label_values! {
    /// The verbs with which the cluster is changed.
    WriteVerb {
        /// Server-side apply.
        Apply => "apply",
        /// Server-side apply of a status, or another patch of a subresource.
        ApplyStatus => "apply_status",
        /// Create, for events and reviews.
        Create => "create",
        /// Patch of anything else, a finalizer for example.
        Patch => "patch",
        /// Delete.
        Delete => "delete",
    }
}

label_values! {
    /// How a write to the cluster ended.
    WriteResult {
        /// It was done.
        Ok => "ok",
        /// There is no such object (404).
        NotFound => "not_found",
        /// A precondition or a field's owner stood against it (409).
        Conflict => "conflict",
        /// It is not allowed (401, 403).
        Forbidden => "forbidden",
        /// The object is not valid (400, 422).
        Invalid => "invalid",
        /// The API server asked to slow down (429).
        Throttled => "throttled",
        /// The API server failed (5xx).
        ServerError => "server_error",
        /// No answer.
        Unreachable => "unreachable",
    }
}

label_values! {
    /// How a sweep of one repository ended.
    SweepResult {
        /// With a complete listing.
        Complete => "complete",
        /// With an error that passes by itself.
        Transient => "transient",
        /// With a request to slow down.
        RateLimited => "rate_limited",
        /// With an error that stays until somebody changes something.
        NeedsAttention => "needs_attention",
    }
}

label_values! {
    /// What was refused, so that nothing is written or removed.
    Refusal {
        /// The Project protects the branch: no environment is created, updated or retired.
        ProtectedBranch => "protected_branch",
        /// An Environment made for something else bears the name that the branch's would have.
        NameTaken => "name_taken",
        /// The namespace exists and was not made for the environment.
        NamespaceNotOurs => "namespace_not_ours",
        /// An object of the bundle exists and is somebody else's.
        ObjectNotOurs => "object_not_ours",
        /// An Environment has a name or another field that no environment can have.
        UnreadableEnvironment => "unreadable_environment",
    }
}

label_values! {
    /// What was asked of the outside on behalf of an environment.
    ErrandKind {
        /// An HTTP check.
        Http => "http",
        /// A TCP check.
        Tcp => "tcp",
        /// A command in a container.
        Exec => "exec",
        /// A condition of an object.
        Condition => "condition",
        /// A call to somebody else's service.
        Webhook => "webhook",
        /// How such a call goes on.
        Poll => "poll",
        /// An image in its registry.
        Image => "image",
        /// A commit status at the Git host.
        CommitStatus => "commit_status",
        /// A check run at the Git host.
        CheckRun => "check_run",
        /// The environment's own URL.
        Url => "url",
        /// The files of a commit, into a workspace.
        Checkout => "checkout",
    }
}

label_values! {
    /// What the answer to it was worth.
    ErrandResult {
        /// As it should be.
        Good => "good",
        /// What is waited for is not over.
        NotYet => "not_yet",
        /// Not as it should be, or no answer.
        Bad => "bad",
        /// What was waited for ended badly.
        Failed => "failed",
        /// Not allowed, or wrong until a setting changes.
        Never => "never",
    }
}

label_values! {
    /// How a render ended.
    RenderResult {
        /// With manifests.
        Ok => "ok",
        /// The bundle or its values are wrong.
        Rejected => "rejected",
        /// It used up its time.
        TimedOut => "timed_out",
        /// It used up its memory or its output.
        TooLarge => "too_large",
        /// The worker process died.
        Crashed => "crashed",
    }
}

impl From<&Errand> for ErrandKind {
    fn from(errand: &Errand) -> Self {
        match errand {
            Errand::Http(_) => Self::Http,
            Errand::Tcp(_) => Self::Tcp,
            Errand::Exec(_) => Self::Exec,
            Errand::Condition(_) => Self::Condition,
            Errand::Webhook { .. } => Self::Webhook,
            Errand::Poll { .. } => Self::Poll,
            Errand::Image(_) => Self::Image,
            Errand::CommitStatus(_) => Self::CommitStatus,
            Errand::CheckRun(_) => Self::CheckRun,
            Errand::Url(_) => Self::Url,
            Errand::Checkout { .. } => Self::Checkout,
        }
    }
}

impl From<Worth> for ErrandResult {
    fn from(worth: Worth) -> Self {
        match worth {
            Worth::Good => Self::Good,
            Worth::NotYet => Self::NotYet,
            Worth::Bad => Self::Bad,
            Worth::Failed => Self::Failed,
            Worth::Never => Self::Never,
        }
    }
}

impl From<Option<Provider>> for DeliveryProvider {
    fn from(provider: Option<Provider>) -> Self {
        match provider {
            Some(Provider::Github) => Self::Github,
            Some(Provider::Gitlab) => Self::Gitlab,
            Some(Provider::Bitbucket) => Self::Bitbucket,
            Some(Provider::Gitea) => Self::Gitea,
            Some(Provider::Git) => Self::Git,
            None => Self::None,
        }
    }
}
