//! Containers that cannot be made, do not start, or end.

use serde_json::Value;

use super::scene::{Container, Pod};
use super::{Class, Explanation, Scene};
use crate::domain::readiness::{list, number, text};

/// What is wrong with a container of a pod, if something is.
pub(super) fn of_pod(pod: &Pod<'_>, scene: &Scene) -> Option<Explanation> {
    if text(pod.body, "/status/reason") == Some("Evicted") {
        return Some(evicted(pod));
    }
    pod.containers().find_map(|container| {
        let trouble = Trouble {
            pod,
            container: &container,
            scene,
        };
        trouble.config().or_else(|| trouble.start()).or_else(|| trouble.end())
    })
}

fn evicted(pod: &Pod<'_>) -> Explanation {
    let message = text(pod.body, "/status/message").unwrap_or_default();
    let of = |resource: &str| message.contains(resource);
    let resource = match () {
        () if of("ephemeral-storage") => "disk space",
        () if of("memory") => "memory",
        () => "resources",
    };
    let sentence = format!("{} was ended because its machine ran out of {resource}", pod.subject.plain());
    let next = format!(
        "set resources.requests of {} to what it really needs, or make it use less",
        pod.subject.formal()
    );
    Explanation::new(Class::Evicted, &pod.subject, sentence, next).with_evidence([pod.evidence(message)])
}

struct Trouble<'a> {
    pod: &'a Pod<'a>,
    container: &'a Container<'a>,
    scene: &'a Scene,
}

impl Trouble<'_> {
    /// What the container is made of is not there, or it must not run as it is.
    fn config(&self) -> Option<Explanation> {
        let (reason, message) = self.container.waits()?;
        if reason != "CreateContainerConfigError" {
            return None;
        }
        let found = super::placement::missing(message).map(|missing| missing.explain(self.pod, &self.words(), message));
        Some(found.or_else(|| self.as_root(message)).unwrap_or_else(|| {
            let sentence = format!("{} cannot start: {}", self.words(), super::masked(message));
            self.explain(
                Class::CannotStart,
                sentence,
                format!("correct {}", self.field("what it names")),
                message,
            )
        }))
    }

    fn as_root(&self, message: &str) -> Option<Explanation> {
        if !message.contains("runAsNonRoot") {
            return None;
        }
        let sentence = format!(
            "{} may not start: its image would run as root, which is not allowed here",
            self.words()
        );
        let user = match message.contains("non-numeric user") {
            true => "the number of its user",
            false => "the number of a user, for example 1000",
        };
        let next = format!(
            "set USER in the Dockerfile to {user}, or set {}",
            self.field("securityContext.runAsUser")
        );
        Some(self.explain(Class::RunsAsRoot, sentence, next, message))
    }

    /// It was made, and its command could not be run.
    fn start(&self) -> Option<Explanation> {
        let waits = self
            .container
            .waits()
            .filter(|(reason, _)| matches!(*reason, "RunContainerError" | "CreateContainerError" | "PostStartHookError"));
        let ended = self.container.ended();
        let refused = ended.filter(|ended| matches!(text(ended, "/reason"), Some("StartError" | "ContainerCannotRun")));
        let message = match (waits, refused) {
            (Some((_, message)), _) => message,
            (None, Some(ended)) => text(ended, "/message").unwrap_or_default(),
            (None, None) => return self.by_exit_code(ended?),
        };
        Some(self.cannot_start(message))
    }

    /// A shell tells by its exit code that it could not run the command.
    fn by_exit_code(&self, ended: &Value) -> Option<Explanation> {
        let words = self.last_words();
        let said = words.clone().unwrap_or_default();
        if said.contains("exec format error") {
            return Some(self.other_platform(&said));
        }
        let what = match number(ended, "/exitCode")? {
            127 => "a command that it runs does not exist in the image",
            126 => "a command that it runs may not be run",
            _ => return None,
        };
        let said = words.map(|words| format!(": {words}")).unwrap_or_default();
        let sentence = format!("{} cannot start: {what}{said}", self.words());
        let next = format!("put it into the image, or correct {}", self.field("command and args"));
        Some(self.explain(Class::CannotStart, sentence, next, &self.how_it_ended(ended)))
    }

    fn cannot_start(&self, message: &str) -> Explanation {
        if message.contains("exec format error") {
            return self.other_platform(message);
        }
        let command = quoted_after(message, "exec: ").unwrap_or_else(|| "its command".to_owned());
        let says = |words: &str| message.contains(words);
        let sentence = match () {
            () if says("executable file not found") || says("no such file or directory") => {
                format!("{} cannot start: the command {command} does not exist in its image", self.words())
            }
            () if says("permission denied") => format!("{} cannot start: {command} may not be run", self.words()),
            () => format!("{} cannot start: {}", self.words(), super::masked(message)),
        };
        let next = format!("put the program into the image, or correct {}", self.field("command and args"));
        self.explain(Class::CannotStart, sentence, next, message)
    }

    fn other_platform(&self, message: &str) -> Explanation {
        let sentence = format!(
            "{} cannot start: its image is built for another processor than the cluster has",
            self.words()
        );
        let next = "build the image for the platform of the cluster's machines, for example linux/amd64".to_owned();
        self.explain(Class::WrongPlatform, sentence, next, message)
    }

    /// It ran and ended.
    fn end(&self) -> Option<Explanation> {
        let ended = self.container.ended()?;
        if text(ended, "/reason") == Some("OOMKilled") {
            return Some(self.out_of_memory(ended));
        }
        if let Some(explanation) = super::probe::of_killed(self.pod, self.container, self.scene) {
            return Some(explanation);
        }
        let how = self.how_it_ended(ended);
        let words = self
            .last_words()
            .map(|words| format!("; its last words: {words}"))
            .unwrap_or_default();
        let code = number(ended, "/exitCode").unwrap_or_default();
        let mend = "mend what it says and push again";
        Some(match (self.container.is_init, self.pod.subject.kind()) {
            (true, _) => {
                let sentence = format!(
                    "{} cannot start: its preparation {} fails (exit code {code}){words}",
                    self.pod.subject.plain(),
                    self.container.name
                );
                self.explain(Class::InitFailed, sentence, mend.to_owned(), &how)
            }
            (false, "Job") => {
                let sentence = format!("{} failed (exit code {code}){words}", self.words());
                self.explain(Class::JobFailed, sentence, mend.to_owned(), &how)
            }
            (false, _) => self.crash(code, &words, &how),
        })
    }

    fn crash(&self, code: i64, words: &str, how: &str) -> Explanation {
        // No count: a sentence that changes with each restart is news each time.
        let sentence = match (code, self.container.restarts()) {
            (0, _) => format!(
                "{} ends by itself although it should go on running (exit code 0){words}",
                self.words()
            ),
            (_, 0) => format!("{} has ended with an error (exit code {code}){words}", self.words()),
            _ => format!("{} starts and ends again and again (exit code {code}){words}", self.words()),
        };
        let next = match code {
            0 => format!("let {} run a program that stays", self.field("command")),
            _ => "mend the program or its settings and push again".to_owned(),
        };
        self.explain(Class::CrashLoop, sentence, next, how)
    }

    fn out_of_memory(&self, ended: &Value) -> Explanation {
        let limit = text(self.container.spec, "/resources/limits/memory");
        let most = limit
            .map(|limit| format!(" than the {limit} that it may"))
            .unwrap_or_else(|| " than there was".to_owned());
        let sentence = format!("{} was ended because it used more memory{most}", self.words());
        let next = format!("make it use less, or raise {}", self.field("resources.limits.memory"));
        self.explain(Class::OutOfMemory, sentence, next, &self.how_it_ended(ended))
    }

    fn how_it_ended(&self, ended: &Value) -> String {
        let reason = text(ended, "/reason").unwrap_or("ended");
        let code = number(ended, "/exitCode").unwrap_or_default();
        let at = text(ended, "/finishedAt").map(|at| format!(" at {at}")).unwrap_or_default();
        format!(
            "container {} ended: {reason}, exit code {code}{at}, restarts: {}",
            self.container.name,
            self.container.restarts()
        )
    }

    fn last_words(&self) -> Option<String> {
        self.scene.last_words(self.pod, self.container)
    }

    fn explain(&self, class: Class, sentence: String, next: String, evidence: &str) -> Explanation {
        let log = self
            .last_words()
            .map(|words| format!("container {} wrote: {words}", self.container.name));
        let evidence = [evidence.to_owned()].into_iter().chain(log).map(|line| self.pod.evidence(&line));
        Explanation::new(class, &self.pod.subject, sentence, next).with_evidence(evidence)
    }

    fn words(&self) -> String {
        self.pod.words(self.container)
    }

    fn field(&self, field: &str) -> String {
        self.pod.field(self.container, field)
    }
}

/// The quoted word behind `before`.
fn quoted_after(message: &str, before: &str) -> Option<String> {
    let (_, rest) = message.split_once(before)?;
    let word = rest.strip_prefix('"')?.split('"').next()?;
    Some(super::masked(&format!("{word:?}")))
}

/// The ports that the containers of a pod say that they listen on: number and name.
pub(super) fn declared_ports(pod: &Value) -> Vec<(i64, Option<&str>)> {
    list(pod, "/spec/containers")
        .iter()
        .chain(list(pod, "/spec/initContainers"))
        .flat_map(|container| list(container, "/ports"))
        .filter_map(|port| Some((number(port, "/containerPort")?, text(port, "/name"))))
        .collect()
}
