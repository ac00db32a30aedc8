//! The API server: what it accepts, what it answers, and what its controllers do. It also watches over what must never happen.

use graftling::domain::inventory::Stage;
use graftling::domain::outcome::{Failure, FailureClass, Outcome};

use crate::config::Config;
use crate::names;
use crate::request::{Fence, Request};
use crate::world::{Breach, Content, Environment, Inventory, Object, Place, Pod, Slot, State, Uid};

/// What the API server answers.
#[derive(Debug)]
pub enum Answer {
    /// For a write of an object: what graftling makes of it.
    Object(Box<Outcome>),
    /// For a write of an Environment: it was accepted.
    Accepted,
    /// For a write of an Environment: it was refused.
    Refused,
}

/// Who sent a write.
#[derive(Debug, Clone, Copy)]
pub struct Sender {
    /// The term of its lead.
    pub term: u8,
    /// Whether the write was under way while the sender gave up.
    pub late: bool,
    /// Whether a late write has created something since this one was decided.
    pub overtaken: bool,
}

/// Carries a write out, or does not.
pub fn accept(config: &Config, state: &mut State, request: &Request, sender: Sender) -> Answer {
    let server = Server { config, state, sender };
    server.accept(request)
}

struct Server<'a> {
    config: &'a Config,
    state: &'a mut State,
    sender: Sender,
}

impl Server<'_> {
    fn accept(mut self, request: &Request) -> Answer {
        match *request {
            Request::Apply {
                branch,
                slot,
                content,
                fence,
                environment,
            } => self.apply(branch, slot, content, fence, environment),
            Request::Delete {
                branch,
                slot,
                uid,
                environment,
            } => self.delete(branch, slot, uid, environment),
            Request::Status {
                branch,
                uid,
                read,
                new,
                receipt,
            } => self.environment(branch, |own, environment| {
                let fits = environment.uid == uid && environment.inventory == read && !environment.receipt;
                let accepted = fits || own.is_blind();
                if accepted {
                    environment.inventory = new;
                    environment.receipt = receipt;
                }
                accepted
            }),
            Request::LetGo { branch, uid } => self.let_go(branch, uid),
            Request::Create {
                branch,
                revision,
                adopting,
            } => self.create(branch, revision, adopting),
            Request::Refresh { branch, uid, revision } => self.environment(branch, |own, environment| {
                let accepted = environment.uid == uid || own.is_blind();
                if accepted {
                    environment.revision = revision;
                    environment.adopting = false;
                }
                accepted
            }),
            Request::Retire { branch, uid, real } => self.retire(branch, uid, real),
        }
    }

    /// Whether the API server heeds no preconditions: a broken variant.
    fn is_blind(&self) -> bool {
        !self.config.defences.preconditions
    }

    /// Something is about to be changed: by whom counts.
    fn written(&mut self) {
        if self.sender.late {
            return;
        }
        if self.sender.term < self.state.written {
            self.state.breach(Breach::Follower);
        }
        self.state.written = self.state.written.max(self.sender.term);
    }

    fn environment(&mut self, branch: usize, change: impl FnOnce(&Self, &mut Environment) -> bool) -> Answer {
        let Some(mut environment) = self.state.cluster[branch].environment else {
            return Answer::Refused;
        };
        if !change(self, &mut environment) {
            return Answer::Refused;
        }
        self.written();
        self.state.cluster[branch].environment = Some(environment);
        Answer::Accepted
    }

    fn create(&mut self, branch: usize, revision: Content, adopting: bool) -> Answer {
        if self.state.cluster[branch].environment.is_some() {
            // Server-side apply without a UID writes over what is there, unless the version says that it must be new.
            return self.environment(branch, |_, environment| {
                if !adopting {
                    environment.revision = revision;
                    environment.adopting = false;
                }
                !adopting
            });
        }
        self.written();
        let uid = self.state.fresh_uid();
        self.state.cluster[branch].environment = Some(Environment {
            uid,
            revision,
            deleting: false,
            adopting,
            inventory: Inventory::default(),
            receipt: false,
        });
        Answer::Accepted
    }

    fn let_go(&mut self, branch: usize, uid: Uid) -> Answer {
        let Some(environment) = self.state.cluster[branch].environment else {
            return Answer::Refused;
        };
        if !environment.deleting || environment.uid != uid && !self.is_blind() {
            return Answer::Refused;
        }
        self.written();
        self.state.cluster[branch].environment = None;
        Answer::Accepted
    }

    fn retire(&mut self, branch: usize, uid: Uid, real: bool) -> Answer {
        let under_way = self.state.cluster.iter().flat_map(|place| place.environment);
        let (going, all) = under_way.fold((0, 0), |(going, all), environment| {
            (going + usize::from(environment.deleting), all + 1)
        });
        let answer = self.environment(branch, |own, environment| {
            let accepted = !environment.deleting && (environment.uid == uid || own.is_blind());
            environment.deleting |= accepted;
            accepted
        });
        if matches!(answer, Answer::Accepted) {
            if !real {
                self.state.breach(Breach::Unproven);
            }
            if going + 1 > 3.max(all * 30 / 100) {
                self.state.breach(Breach::Brake);
            }
        }
        answer
    }

    fn apply(&mut self, branch: usize, slot: Slot, content: Content, fence: Fence, environment: Uid) -> Answer {
        let place = &self.state.cluster[branch];
        let old = place.get(slot).copied();
        if slot != Slot::Namespace
            && let Some(class) = refusal(place.get(Slot::Namespace), old.is_some())
        {
            return failed(branch, slot, class);
        }
        let blind = self.is_blind();
        let object = match (old, fence) {
            (Some(old), Fence::Uid(uid)) if old.uid == uid || blind => old,
            (Some(old), Fence::MustNotExist) if blind => old,
            (Some(old), Fence::MustNotExist) => {
                let live = Box::new(names::live(branch, slot, &old));
                return object(Outcome::Exists { live });
            }
            (None, Fence::MustNotExist) => self.new_object(slot),
            (None, Fence::Uid(_)) if blind => self.new_object(slot),
            (_, Fence::Uid(_)) => {
                let key = names::key(branch, slot).clone();
                return object(Outcome::Vanished { key });
            }
        };
        self.written();
        self.check_apply(branch, slot, content, environment, old);
        let is_new_content = object.content != content;
        let object = Object {
            content,
            ready: matches!(names::stage(slot), Stage::Namespace | Stage::Guardrails)
                || slot == Slot::Account
                || object.ready && !is_new_content,
            labelled: true,
            made_for: if slot == Slot::Namespace { environment } else { 0 },
            ..object
        };
        self.state.cluster[branch].objects[slot as usize] = Some(object);
        self::object(Outcome::Applied {
            stage: names::stage(slot),
            digest: content.to_string(),
            live: Box::new(names::live(branch, slot, &object)),
        })
    }

    fn new_object(&mut self, slot: Slot) -> Object {
        Object {
            uid: self.state.fresh_uid(),
            content: 0,
            ready: false,
            deleting: false,
            held: slot == Slot::Custom,
            ours: true,
            labelled: true,
            made_for: 0,
        }
    }

    fn check_apply(&mut self, branch: usize, slot: Slot, content: Content, environment: Uid, old: Option<Object>) {
        if old.is_some_and(|old| !old.ours) {
            self.state.breach(Breach::Foreign);
        }
        if matches!(names::stage(slot), Stage::Deploy) && names::branch_of(content) != branch {
            self.state.breach(Breach::Mixed);
        }
        // A creation cannot be fenced by the UID of its namespace, so it counts when it is decided, and not when it arrives.
        if slot != Slot::Namespace && old.is_some() && !is_own(&self.state.cluster[branch], environment) {
            self.state.breach(Breach::Shared);
        }
    }

    fn delete(&mut self, branch: usize, slot: Slot, uid: Uid, environment: Uid) -> Answer {
        let outcome = Outcome::Deleting {
            key: names::key(branch, slot).clone(),
        };
        let blind = self.is_blind();
        let Some(mut old) = self.state.cluster[branch].get(slot).copied().filter(|old| old.uid == uid || blind) else {
            return object(outcome);
        };
        if old.deleting {
            return object(outcome);
        }
        self.written();
        self.check_delete(branch, slot, &old, environment);
        old.deleting = true;
        let stays = old.held || slot == Slot::Namespace;
        self.state.cluster[branch].objects[slot as usize] = stays.then_some(old);
        object(outcome)
    }

    fn check_delete(&mut self, branch: usize, slot: Slot, old: &Object, environment: Uid) {
        if !old.ours {
            self.state.breach(Breach::Foreign);
        }
        let place = &self.state.cluster[branch];
        let lives = place.environment.is_some_and(|own| !own.deleting && own.uid == environment);
        // A workload of somebody else's, or one that comes late, may come between the look at pods and the deletion: no write depends on
        // another object.
        let theirs = place.get(Slot::Workload).is_some_and(|workload| !workload.ours);
        let runs = place.pod.is_some() && !theirs && !self.sender.overtaken;
        if slot == Slot::Namespace && lives {
            self.state.breach(Breach::Unproven);
        }
        if slot == Slot::Account && runs {
            self.state.breach(Breach::Account);
        }
    }
}

/// Whether the namespace is this environment's: it was made for it, or its UID is recorded.
pub fn is_own(place: &Place, environment: Uid) -> bool {
    let Some(namespace) = place.get(Slot::Namespace) else {
        return true;
    };
    let entry = |own: Environment| own.inventory[Slot::Namespace as usize].filter(|_| own.uid == environment);
    let recorded = place.environment.and_then(entry);
    namespace.made_for == environment || recorded.is_some_and(|entry| entry.uid == namespace.uid)
}

fn object(outcome: Outcome) -> Answer {
    Answer::Object(Box::new(outcome))
}

/// The outcome of a write that failed.
pub fn failure(branch: usize, slot: Slot, class: FailureClass) -> Outcome {
    Outcome::Failed(Failure {
        key: names::key(branch, slot).clone(),
        class,
        message: "the server did not do it".to_owned(),
    })
}

fn failed(branch: usize, slot: Slot, class: FailureClass) -> Answer {
    object(failure(branch, slot, class))
}

fn refusal(namespace: Option<&Object>, exists: bool) -> Option<FailureClass> {
    match namespace {
        None => Some(FailureClass::Transient),
        Some(namespace) if namespace.deleting && !exists => Some(FailureClass::NamespaceEnding),
        Some(_) => None,
    }
}

/// The controllers of Kubernetes and of others do the next thing in one namespace; `false` if there is none.
pub fn tick(state: &mut State, branch: usize) -> bool {
    let place = &mut state.cluster[branch];
    let has_account = place.get(Slot::Account).is_some();
    let ending = place.get(Slot::Namespace).is_some_and(|namespace| namespace.deleting);
    let workload = place.get(Slot::Workload).copied();
    if !ending && place.objects.iter().flatten().any(|object| !object.ready) {
        place.objects.iter_mut().flatten().for_each(|object| object.ready = true);
        return true;
    }
    if !ending && place.pod.is_none() && workload.is_some_and(|workload| !workload.deleting && has_account) {
        place.pod = Some(Pod::Running);
        return true;
    }
    // A pod that ends comes to its end whatever becomes of its workload; the next one is another.
    if place.pod == Some(Pod::Ending) || place.pod.is_some() && (workload.is_none() || ending) {
        place.pod = match place.pod {
            Some(Pod::Running) => Some(Pod::Ending),
            _ => None,
        };
        return true;
    }
    // Whoever works on a custom resource needs its account to end it.
    for slot in Slot::ALL.into_iter().rev() {
        let Some(object) = &mut place.objects[slot as usize] else {
            continue;
        };
        let goes = slot != Slot::Namespace && (object.deleting || ending);
        if goes && object.held && has_account {
            object.held = false;
            object.deleting = true;
            return true;
        }
        if goes && !object.held || slot == Slot::Namespace && ending && is_empty(&place.objects) {
            place.objects[slot as usize] = None;
            return true;
        }
    }
    false
}

fn is_empty(objects: &[Option<Object>]) -> bool {
    objects.iter().skip(1).all(Option::is_none)
}
