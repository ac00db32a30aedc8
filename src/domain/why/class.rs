//! The classes of trouble.

use serde::{Serialize, Serializer};

/// A class of trouble. Its name is stable: it is the reason in conditions, Events and JSON.
///
/// The order is that in which they are told: what others follow from comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// The namespace is on its way out.
    NamespaceEnding,
    /// The quota of the environment has no room.
    QuotaExceeded,
    /// The quota wants requests or limits that are not there.
    LimitsMissing,
    /// A LimitRange refuses the sizes that are asked for.
    LimitRangeRefused,
    /// The Pod Security level refuses it.
    PodSecurityRefused,
    /// A webhook of the cluster that must be asked does not answer.
    WebhookUnavailable,
    /// A webhook or policy of the cluster refuses it.
    AdmissionRefused,
    /// The account that something runs as does not exist.
    AccountMissing,
    /// The deployer lacks a right.
    Forbidden,
    /// The API server refuses the object as it is written.
    InvalidObject,
    /// Somebody else applies the same fields.
    Conflict,
    /// Something changes what is applied each time.
    DriftLoop,
    /// No volume for a claim.
    VolumePending,
    /// No node has room, or none that may be used.
    Unschedulable,
    /// A Secret that is needed does not exist.
    SecretMissing,
    /// A ConfigMap that is needed does not exist.
    ConfigMapMissing,
    /// A key of a Secret or ConfigMap does not exist.
    KeyMissing,
    /// A volume cannot be attached or mounted.
    VolumeNotMounted,
    /// The node cannot start pods.
    NodeTrouble,
    /// What is written as image is none.
    InvalidImageName,
    /// The image is not in the registry.
    ImageNotFound,
    /// The registry does not let the cluster read it.
    PullSecretWrong,
    /// The registry does not answer.
    RegistryUnreachable,
    /// The image is for another processor.
    WrongPlatform,
    /// The image would run as root, which is not allowed.
    RunsAsRoot,
    /// The command does not exist or cannot be run.
    CannotStart,
    /// A container that has to run first fails.
    InitFailed,
    /// It used more memory than it may.
    OutOfMemory,
    /// The node needed its resources.
    Evicted,
    /// The health check fails, so it is restarted over and over.
    LivenessFailing,
    /// It ends again and again.
    CrashLoop,
    /// A job took too long.
    DeadlineExceeded,
    /// A job failed.
    JobFailed,
    /// Requests go to a port that nobody listens on.
    PortMismatch,
    /// It runs, but does not say that it is ready.
    ProbeFailing,
    /// The rollout made no progress.
    RolloutStuck,
    /// The URL of the environment does not answer as it should.
    UrlNotAnswering,
}

impl Class {
    /// Whether it says no more than that something was refused, so that the words of whoever refused say most.
    pub fn is_general(self) -> bool {
        matches!(self, Self::NamespaceEnding | Self::Forbidden | Self::InvalidObject | Self::Conflict)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::NamespaceEnding => "NamespaceEnding",
            Self::QuotaExceeded => "QuotaExceeded",
            Self::LimitsMissing => "LimitsMissing",
            Self::LimitRangeRefused => "LimitRangeRefused",
            Self::PodSecurityRefused => "PodSecurityRefused",
            Self::WebhookUnavailable => "WebhookUnavailable",
            Self::AdmissionRefused => "AdmissionRefused",
            Self::AccountMissing => "AccountMissing",
            Self::Forbidden => "Forbidden",
            Self::InvalidObject => "Rejected",
            Self::Conflict => "Conflict",
            Self::DriftLoop => "DriftLoop",
            Self::VolumePending => "VolumePending",
            Self::Unschedulable => "Unschedulable",
            Self::SecretMissing => "SecretMissing",
            Self::ConfigMapMissing => "ConfigMapMissing",
            Self::KeyMissing => "KeyMissing",
            Self::VolumeNotMounted => "VolumeNotMounted",
            Self::NodeTrouble => "NodeTrouble",
            Self::InvalidImageName => "InvalidImageName",
            Self::ImageNotFound => "ImageNotFound",
            Self::PullSecretWrong => "PullSecretWrong",
            Self::RegistryUnreachable => "RegistryUnreachable",
            Self::WrongPlatform => "WrongPlatform",
            Self::RunsAsRoot => "RunsAsRoot",
            Self::CannotStart => "CannotStart",
            Self::InitFailed => "InitFailed",
            Self::OutOfMemory => "OutOfMemory",
            Self::Evicted => "Evicted",
            Self::LivenessFailing => "LivenessFailing",
            Self::CrashLoop => "CrashLoop",
            Self::DeadlineExceeded => "DeadlineExceeded",
            Self::JobFailed => "JobFailed",
            Self::PortMismatch => "PortMismatch",
            Self::ProbeFailing => "ProbeFailing",
            Self::RolloutStuck => "RolloutStuck",
            Self::UrlNotAnswering => "UrlNotAnswering",
        }
    }
}

impl Serialize for Class {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}
