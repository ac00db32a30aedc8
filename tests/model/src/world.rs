//! The state of the model: Git, the API server, the replicas, and what only the model itself remembers.
//!
//! A state is small, compares by value and hashes, so that millions of them can be told apart.

use crate::request::{Request, Work};

/// The most branches beside the default one that a model may have.
pub const BRANCHES: usize = 6;
/// How many objects an environment may have, its namespace and an object of somebody else's included.
pub const SLOTS: usize = 7;

/// What an environment consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Slot {
    /// The namespace.
    Namespace,
    /// The RoleBinding that lets the deployer work: a guardrail.
    Guardrail,
    /// A ServiceAccount that the workload runs as.
    Account,
    /// A ConfigMap.
    Settings,
    /// A Deployment; its pod runs as the account.
    Workload,
    /// A custom resource, which its controller holds by a finalizer.
    Custom,
    /// A ConfigMap that no bundle contains: always somebody else's.
    Theirs,
}

impl Slot {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; SLOTS] = [
        Self::Namespace,
        Self::Guardrail,
        Self::Account,
        Self::Settings,
        Self::Workload,
        Self::Custom,
        Self::Theirs,
    ];
}

/// A UID. Zero is none. They mean nothing beside being equal or not, and so [`State::canonical`] may number them anew.
pub type Uid = u8;

/// What an object contains: for objects of a bundle the revision, which no two branches share.
pub type Content = u8;
/// The content of the namespace and the guardrail, whatever the revision.
pub const FIXED: Content = 90;
/// The content of what somebody else made.
pub const FOREIGN: Content = 99;
/// The revision of an Environment that was made anew for a namespace and whose branch nobody has seen.
pub const UNSEEN: Content = 98;

/// A live object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Object {
    /// Its UID.
    pub uid: Uid,
    /// What it contains.
    pub content: Content,
    /// Whether it does its work.
    pub ready: bool,
    /// Whether it is being deleted.
    pub deleting: bool,
    /// Whether a controller holds it by a finalizer.
    pub held: bool,
    /// Whether graftling made it: only the model knows.
    pub ours: bool,
    /// Whether it bears our label.
    pub labelled: bool,
    /// Of a namespace, the UID of the Environment that its annotation names.
    pub made_for: Uid,
}

/// The pod of a workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Pod {
    /// It runs.
    Running,
    /// It is about to end.
    Ending,
}

/// An entry of an inventory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Entry {
    /// The recorded UID.
    pub uid: Uid,
    /// The digest of what was applied last, as the content; zero is none.
    pub digest: Content,
    /// The digest of our fields, as the content; zero is none.
    pub ownership: Content,
    /// Whether it is confirmed gone.
    pub gone: bool,
    /// Whether its deletion was asked for.
    pub asked: bool,
}

/// An inventory, by slot.
pub type Inventory = [Option<Entry>; SLOTS];

/// An Environment object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Environment {
    /// Its UID.
    pub uid: Uid,
    /// The revision it should show.
    pub revision: Content,
    /// Whether it is being deleted; its finalizer holds it.
    pub deleting: bool,
    /// Whether it was made anew for a namespace and only takes over.
    pub adopting: bool,
    /// The stored inventory.
    pub inventory: Inventory,
    /// Whether the receipt is written.
    pub receipt: bool,
}

/// Everything of one branch that the API server holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Place {
    /// The Environment object.
    pub environment: Option<Environment>,
    /// The objects.
    pub objects: [Option<Object>; SLOTS],
    /// The pod.
    pub pod: Option<Pod>,
}

/// The API server.
pub type Cluster = Vec<Place>;

/// A branch in Git.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Branch {
    /// Its head.
    pub head: Option<Content>,
    /// Its head before the last change: what an old copy of the repository shows.
    pub before: Option<Content>,
    /// How often it was pushed.
    pub pushes: u8,
}

/// A first sighting of an absence, in the memory of a replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Absence {
    /// Whether it is long enough ago.
    pub old: bool,
    /// Whether the branch was really absent at some time since: only the model knows.
    pub real: bool,
}

/// A replica of graftling.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Replica {
    /// Which lead it has, counted from one; zero: it never led.
    pub term: u8,
    /// Absences that it has seen.
    pub absences: [Option<Absence>; BRANCHES],
    /// What it is about to write after a look at Git.
    pub roster: Option<Work>,
    /// What it is about to write for one environment.
    pub pass: Option<Work>,
}

/// How many things may still go wrong or change, by kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Budget {
    /// Pushes and deletions of branches.
    pub changes: u8,
    /// Answers of the Git host that are not true, old copies aside.
    pub lies: u8,
    /// Answers from an old copy of the repository.
    pub copies: u8,
    /// Signed hints, replays included.
    pub hints: u8,
    /// Ends of the process, each of which loses its memory.
    pub crashes: u8,
    /// Writes that fail, or whose answer is lost.
    pub failures: u8,
    /// Writes that arrive late, after whoever sent them gave up.
    pub delays: u8,
    /// Changes of the leader.
    pub elections: u8,
    /// Restores from the backup.
    pub restores: u8,
    /// Objects that somebody else makes.
    pub foreign: u8,
    /// Things that people do to an environment behind graftling's back.
    pub hands: u8,
    /// All of them together.
    pub total: u8,
}

/// What must never happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Breach {
    /// S1: an object of somebody else's was written or deleted.
    Foreign,
    /// S2: an environment wrote into the namespace of another, or of another incarnation.
    Shared,
    /// S3: an object got the content of another branch.
    Mixed,
    /// S4: something was deleted without proof.
    Unproven,
    /// S5: an account was deleted while a pod ran as it.
    Account,
    /// S6: a write of a former leader was accepted after the first of its successor.
    Follower,
    /// The brake: more environments went at once than are allowed to.
    Brake,
}

/// One state of everything.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct State {
    /// The branches.
    pub git: Vec<Branch>,
    /// The API server.
    pub cluster: Cluster,
    /// The replicas.
    pub replicas: Vec<Replica>,
    /// Which replica holds the Lease.
    pub leader: u8,
    /// The term of the lead that wrote last.
    pub written: u8,
    /// A write that is under way although whoever sent it gave up.
    pub late: Option<Request>,
    /// The backup.
    pub backup: Option<Cluster>,
    /// Whether a restore took back what was stored, or a late write made something that nobody looks for any more: then inventories
    /// may lack what there is.
    pub unrecorded: bool,
    /// What may still happen.
    pub budget: Budget,
    /// What has happened that must not.
    pub breach: Option<Breach>,
}

impl State {
    /// A UID that nothing has.
    pub fn fresh_uid(&mut self) -> Uid {
        let mut most = 0;
        self.each_uid(&mut |uid| most = most.max(*uid));
        most + 1
    }

    /// The same state with UIDs numbered in the order in which they are met.
    #[must_use]
    pub fn canonical(mut self) -> Self {
        let mut numbers = [0_u8; 256];
        let mut next = 0;
        self.each_uid(&mut |uid| {
            if *uid != 0 {
                let number = &mut numbers[usize::from(*uid)];
                if *number == 0 {
                    next += 1;
                    *number = next;
                }
                *uid = *number;
            }
        });
        self
    }

    fn each_uid(&mut self, visit: &mut dyn FnMut(&mut Uid)) {
        self.cluster.iter_mut().for_each(|place| place.each_uid(visit));
        for replica in &mut self.replicas {
            for work in [&mut replica.roster, &mut replica.pass].into_iter().flatten() {
                work.each_uid(visit);
            }
        }
        if let Some(late) = &mut self.late {
            late.each_uid(visit);
        }
        self.backup.iter_mut().flatten().for_each(|place| place.each_uid(visit));
    }

    /// Records that something happened that must not; the first counts.
    pub fn breach(&mut self, breach: Breach) {
        self.breach.get_or_insert(breach);
    }
}

impl Place {
    fn each_uid(&mut self, visit: &mut dyn FnMut(&mut Uid)) {
        if let Some(environment) = &mut self.environment {
            visit(&mut environment.uid);
            each_uid(&mut environment.inventory, visit);
        }
        for object in self.objects.iter_mut().flatten() {
            visit(&mut object.uid);
            visit(&mut object.made_for);
        }
    }

    /// The object of a slot.
    pub fn get(&self, slot: Slot) -> Option<&Object> {
        self.objects[slot as usize].as_ref()
    }
}

/// Visits the UIDs of an inventory.
pub fn each_uid(inventory: &mut Inventory, visit: &mut dyn FnMut(&mut Uid)) {
    inventory.iter_mut().flatten().for_each(|entry| visit(&mut entry.uid));
}
