//! Images that do not come.

use super::scene::{Container, Pod};
use super::{Class, Explanation, Scene};
use crate::domain::readiness::{list, text};

/// What keeps an image of a pod from coming, if one does.
pub(super) fn of_pod(pod: &Pod<'_>, scene: &Scene) -> Option<Explanation> {
    pod.containers().find_map(|container| of_container(pod, &container, scene))
}

fn of_container(pod: &Pod<'_>, container: &Container<'_>, scene: &Scene) -> Option<Explanation> {
    let (reason, message) = container.waits()?;
    let pull = Pull {
        pod,
        container,
        scene,
        reason,
        told: told(pod, container, scene, message),
    };
    match reason {
        "InvalidImageName" => Some(pull.invalid_name()),
        "ErrImageNeverPull" => Some(pull.never_pulled()),
        "ErrImagePull" | "ImagePullBackOff" | "RegistryUnavailable" | "ImageInspectError" => Some(pull.failed()),
        _ => None,
    }
}

/// What is known of the failed pull: a back-off tells only that it waits, the Event before it tells why.
fn told(pod: &Pod<'_>, container: &Container<'_>, scene: &Scene, message: &str) -> String {
    let events = scene.events("Pod", pod.name, "Failed");
    let of_image = events
        .iter()
        .find(|event| event.starts_with("Failed to pull image") && event.contains(container.image()));
    match of_image {
        Some(event) if !message.contains("rpc error") => (*event).to_owned(),
        _ => message.to_owned(),
    }
}

struct Pull<'a> {
    pod: &'a Pod<'a>,
    container: &'a Container<'a>,
    scene: &'a Scene,
    reason: &'a str,
    told: String,
}

impl Pull<'_> {
    fn failed(&self) -> Explanation {
        let told = self.told.to_lowercase();
        let says = |words: &[&str]| words.iter().any(|word| told.contains(word));
        if says(&["no match for platform", "no matching manifest for"]) {
            return self.other_platform();
        }
        // A registry that hides what one may not see answers both in one sentence.
        let ambiguous = says(&["repository does not exist or may require", "pull access denied"]);
        if says(&[
            "unauthorized",
            "401",
            "403 forbidden",
            "authentication required",
            "no basic auth",
            "denied: ",
            "authorization failed",
        ]) && !ambiguous
            || ambiguous && self.pull_secrets().next().is_some()
        {
            return self.forbidden();
        }
        if ambiguous || says(&["not found", "manifest unknown", "name unknown", "does not exist"]) && !says(&["no such host"]) {
            return self.not_found();
        }
        match says(&UNREACHABLE) {
            true => self.unreachable(&told),
            false => self.unknown(),
        }
    }

    fn not_found(&self) -> Explanation {
        self.explain(
            Class::ImageNotFound,
            format!("{} cannot start: its image {} is not in the registry", self.words(), self.image()),
            format!(
                "check that the build of this commit has pushed it, or correct {}; it starts by itself once the image is there",
                self.field("image")
            ),
        )
    }

    fn forbidden(&self) -> Explanation {
        let account = text(self.pod.body, "/spec/serviceAccountName").unwrap_or("default");
        let next = match (self.missing_secret(), self.pull_secrets().next()) {
            (Some(missing), _) => format!("add the Secret {missing}, which is named as pull secret and does not exist, to the bundle"),
            (None, Some(secret)) => format!(
                "put credentials that may read this image into the pull secret {secret} (imagePullSecrets of {})",
                self.pod.subject.formal()
            ),
            (None, None) => format!(
                "name a pull secret with credentials for {} in imagePullSecrets of {} or of ServiceAccount {account}, or make the image \
                 public",
                self.registry(),
                self.pod.subject.formal()
            ),
        };
        self.explain(
            Class::PullSecretWrong,
            format!(
                "{} cannot start: the registry {} does not let the cluster read its image {}",
                self.words(),
                self.registry(),
                self.image()
            ),
            next,
        )
    }

    fn unreachable(&self, told: &str) -> Explanation {
        let cause = match told {
            told if told.contains("no such host") => "there is no host of this name",
            told if told.contains("x509") => "its certificate is not trusted",
            told if told.contains("toomanyrequests") || told.contains("too many requests") => "it takes no more requests for a while",
            told if told.contains("refused") => "it refuses the connection",
            told if told.contains("http response to https") => "it speaks no TLS",
            _ => "it does not answer",
        };
        self.explain(
            Class::RegistryUnreachable,
            format!(
                "{} cannot start: the registry {} of its image cannot be read: {cause}",
                self.words(),
                self.registry()
            ),
            format!(
                "check the name of the registry in {}; if it is right, ask the platform team whether the cluster may reach it; it is tried \
                 again by itself",
                self.field("image")
            ),
        )
    }

    fn other_platform(&self) -> Explanation {
        self.explain(
            Class::WrongPlatform,
            format!(
                "{} cannot start: its image {} is built for another processor than the cluster has",
                self.words(),
                self.image()
            ),
            "build the image for the platform of the cluster's machines as well, for example linux/amd64 and linux/arm64".to_owned(),
        )
    }

    fn invalid_name(&self) -> Explanation {
        self.explain(
            Class::InvalidImageName,
            format!("{} cannot start: {:?} is not the name of an image", self.words(), self.image()),
            format!(
                "correct {}: it should look like registry.example.com/team/app:tag",
                self.field("image")
            ),
        )
    }

    fn never_pulled(&self) -> Explanation {
        self.explain(
            Class::ImageNotFound,
            format!(
                "{} cannot start: its image {} is not on the machine and must not be fetched",
                self.words(),
                self.image()
            ),
            format!("take {} out, or set it to IfNotPresent", self.field("imagePullPolicy")),
        )
    }

    fn unknown(&self) -> Explanation {
        self.explain(
            Class::ImageNotFound,
            format!("{} cannot start: its image {} cannot be fetched", self.words(), self.image()),
            format!("check {}: does it exist, and may the cluster read it?", self.field("image")),
        )
    }

    fn explain(&self, class: Class, sentence: String, next: String) -> Explanation {
        let missing = self.scene.events("Pod", self.pod.name, "FailedToRetrieveImagePullSecret");
        let evidence = [self
            .pod
            .evidence(&format!("container {} waits: {}: {}", self.container.name, self.reason, self.told))];
        let evidence = evidence.into_iter().chain(missing.first().map(|event| self.pod.evidence(event)));
        Explanation::new(class, &self.pod.subject, sentence, next).with_evidence(evidence)
    }

    fn words(&self) -> String {
        self.pod.words(self.container)
    }

    fn image(&self) -> &str {
        self.container.image()
    }

    fn field(&self, field: &str) -> String {
        self.pod.field(self.container, field)
    }

    /// The host in an image's name: a first part with a dot or a port.
    fn registry(&self) -> &str {
        match self.image().split_once('/') {
            Some((host, _)) if host.contains(['.', ':']) || host == "localhost" => host,
            _ => "docker.io",
        }
    }

    fn pull_secrets(&self) -> impl Iterator<Item = &str> {
        list(self.pod.body, "/spec/imagePullSecrets")
            .iter()
            .filter_map(|secret| text(secret, "/name"))
    }

    /// A pull secret that the kubelet looked for in vain: `Unable to retrieve some image pull secrets (a, b); …`.
    fn missing_secret(&self) -> Option<String> {
        let events = self.scene.events("Pod", self.pod.name, "FailedToRetrieveImagePullSecret");
        let (_, rest) = events.first()?.split_once('(')?;
        Some(rest.split_once(')')?.0.to_owned())
    }
}

/// What a node says of a registry that it could not speak with.
const UNREACHABLE: [&str; 16] = [
    "no such host",
    "connection refused",
    "i/o timeout",
    "timed out",
    "deadline exceeded",
    "tls handshake",
    "x509",
    "http response to https",
    "network is unreachable",
    "no route to host",
    "connection reset",
    "toomanyrequests",
    "too many requests",
    "unexpected status code 5",
    "service unavailable",
    "eof",
];
