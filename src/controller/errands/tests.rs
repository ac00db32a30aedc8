#![allow(clippy::unwrap_used, reason = "a failed step is the test's failure")]

pub(super) mod server;

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::FutureExt;
use tokio::sync::{Semaphore, mpsc};

use super::*;
use crate::domain::run::{Progress, StageRun, StageState};
use crate::domain::stage::{check, webhook};

/// Carries errands out once it is allowed to, and counts.
struct Gate {
    open: Semaphore,
    answers: Mutex<Vec<Answer>>,
    begun: AtomicUsize,
    at_once: AtomicUsize,
    most: AtomicUsize,
    of_environments: Mutex<HashMap<String, usize>>,
    carried: Mutex<Vec<Errand>>,
}

impl Gate {
    fn new(places: usize) -> Arc<Self> {
        Arc::new(Self {
            open: Semaphore::new(places),
            answers: Mutex::default(),
            begun: AtomicUsize::new(0),
            at_once: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
            of_environments: Mutex::default(),
            carried: Mutex::default(),
        })
    }

    fn answers(self: Arc<Self>, answers: impl IntoIterator<Item = Answer>) -> Arc<Self> {
        *self.answers.lock().unwrap() = answers.into_iter().collect();
        self
    }
}

struct Doorman(Arc<Gate>);

impl Drop for Doorman {
    fn drop(&mut self) {
        self.0.at_once.fetch_sub(1, Ordering::SeqCst);
    }
}

struct Carrying(Arc<Gate>);

impl Carry for Carrying {
    fn carry(&self, errand: Errand, around: Arc<Around>) -> BoxFuture<'static, Answer> {
        let gate = self.0.clone();
        async move {
            gate.begun.fetch_add(1, Ordering::SeqCst);
            let now = gate.at_once.fetch_add(1, Ordering::SeqCst) + 1;
            let _inside = Doorman(gate.clone());
            gate.most.fetch_max(now, Ordering::SeqCst);
            let of_environment = around.namespace.to_string();
            *gate.of_environments.lock().unwrap().entry(of_environment).or_default() += 1;
            gate.carried.lock().unwrap().push(errand);
            gate.open.acquire().await.unwrap().forget();
            let mut answers = gate.answers.lock().unwrap();
            assert!(
                answers.first().is_none_or(|answer| answer.message != "panic"),
                "as the test wants it"
            );
            match answers.is_empty() {
                true => Answer::good("fine"),
                false => answers.remove(0),
            }
        }
        .boxed()
    }
}

pub(super) fn around(namespace: &str) -> Arc<Around> {
    Arc::new(Around {
        namespace: namespace.parse().unwrap(),
        deployer: crate::cluster::connection::Deployer {
            namespace: "team".parse().unwrap(),
            name: "deployer".parse().unwrap(),
        },
        hosts: Vec::new(),
        url: "http://shop.example".to_owned(),
        outbound: crate::domain::policy::Outbound::usual(),
        mirrors: Vec::new(),
        git_host: crate::domain::name::GitHostKey {
            namespace: "team".parse().unwrap(),
            name: "git".parse().unwrap(),
        },
        repository: "acme/shop".parse().unwrap(),
        commit: crate::domain::git::Commit {
            branch: "main".parse().unwrap(),
            revision: "0123456789012345678901234567890123456789".parse().unwrap(),
        },
        facts: serde_json::Value::Null,
    })
}

fn asker(name: &str, project: &str) -> Asker {
    Asker {
        namespace: "team".to_owned(),
        name: name.to_owned(),
        uid: format!("uid-of-{name}"),
        project: project.to_owned(),
    }
}

fn key(environment: &Asker, stage: &str) -> ErrandKey {
    ErrandKey {
        environment: environment.clone(),
        run: RunNumber(1),
        stage: stage.to_owned(),
        try_number: 1,
        question: 0,
    }
}

fn errand() -> Errand {
    Errand::Tcp(check::Tcp {
        service: "web".to_owned(),
        port: None,
    })
}

fn errands(gate: &Arc<Gate>, bounds: Bounds) -> (Errands, mpsc::Receiver<Wake>) {
    let (wakes, woken) = mpsc::channel(1000);
    (Errands::new(Arc::new(Carrying(gate.clone())), bounds, wakes, Metrics::new()), woken)
}

const EVERY: Duration = Duration::from_secs(3600);

fn ask(errands: &Errands, key: &ErrandKey) -> Asked {
    errands.ask(key, Pace::every(EVERY), errand, &around(&key.environment.name))
}

async fn woken(receiver: &mut mpsc::Receiver<Wake>) -> Wake {
    tokio::time::timeout(Duration::from_secs(10), receiver.recv())
        .await
        .unwrap()
        .unwrap()
}

#[tokio::test]
async fn a_question_is_asked_once_its_environment_is_woken_and_the_answer_stays_for_the_same_question() {
    let gate = Gate::new(0);
    let (errands, mut receiver) = errands(&gate, Bounds::SERVER);
    let first = key(&asker("a", "shop"), "smoke");
    for _ in 0..5 {
        assert_eq!(ask(&errands, &first), Asked::UnderWay);
    }
    gate.open.add_permits(10);
    assert_eq!(woken(&mut receiver).await, ("team".to_owned(), "a".to_owned()));
    for _ in 0..2 {
        assert!(matches!(ask(&errands, &first), Asked::Answer(answer, _) if answer == Answer::good("fine")));
    }
    let next = ErrandKey {
        question: 1,
        ..first.clone()
    };
    assert!(matches!(ask(&errands, &next), Asked::Later(due) if due > Duration::from_secs(3000)));
    let again = ErrandKey {
        try_number: 2,
        question: 0,
        ..first
    };
    assert_eq!(
        ask(&errands, &again),
        Asked::UnderWay,
        "a new try does not wait for the pace of the last"
    );
    woken(&mut receiver).await;
    assert_eq!(gate.begun.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_hundred_slow_checks_of_one_environment_do_not_hold_up_another() {
    let gate = Gate::new(0);
    let (errands, mut receiver) = errands(&gate, Bounds::SERVER);
    let greedy = asker("greedy", "shop");
    for index in 0..100 {
        assert_eq!(ask(&errands, &key(&greedy, &format!("slow-{index}"))), Asked::UnderWay);
    }
    let modest = asker("modest", "shop");
    ask(&errands, &key(&modest, "smoke"));
    while gate.begun.load(Ordering::SeqCst) < 5 {
        tokio::task::yield_now().await;
    }
    assert_eq!(gate.of_environments.lock().unwrap().get("greedy"), Some(&4));
    assert_eq!(gate.of_environments.lock().unwrap().get("modest"), Some(&1));
    gate.open.add_permits(1000);
    for _ in 0..101 {
        woken(&mut receiver).await;
    }
    assert_eq!(gate.most.load(Ordering::SeqCst), 5);
}

#[tokio::test]
async fn a_project_with_a_thousand_environments_leaves_places_to_others_and_nothing_exceeds_the_bound() {
    let gate = Gate::new(0);
    let (errands, mut receiver) = errands(&gate, Bounds::SERVER);
    for project in ["one", "two", "three"] {
        for index in 0..300 {
            ask(&errands, &key(&asker(&format!("{project}-{index}"), project), "smoke"));
        }
    }
    while gate.begun.load(Ordering::SeqCst) < 32 {
        tokio::task::yield_now().await;
    }
    let of = |project: &str| {
        let begun = gate.of_environments.lock().unwrap();
        begun.keys().filter(|name| name.starts_with(project)).count()
    };
    assert_eq!((of("one-"), of("two-"), of("three-")), (16, 16, 0));
    gate.open.add_permits(1000);
    for _ in 0..900 {
        woken(&mut receiver).await;
    }
    assert_eq!(gate.most.load(Ordering::SeqCst), 32);
    assert_eq!(gate.at_once.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn what_is_forgotten_is_ended_and_gives_its_place_back() {
    let gate = Gate::new(0);
    let bounds = Bounds { all: 1, ..Bounds::SERVER };
    let (errands, mut receiver) = errands(&gate, bounds);
    ask(&errands, &key(&asker("a", "shop"), "smoke"));
    ask(&errands, &key(&asker("b", "shop"), "smoke"));
    while gate.begun.load(Ordering::SeqCst) < 1 {
        tokio::task::yield_now().await;
    }
    errands.forget("uid-of-a");
    gate.open.add_permits(1);
    assert_eq!(woken(&mut receiver).await.1, "b", "nobody wakes what is forgotten");
    assert!(errands.lock().slots_of("uid-of-a").is_empty());
}

#[tokio::test]
async fn feature_s5_a_newer_run_ends_the_questions_of_the_one_before() {
    let gate = Gate::new(0);
    let (errands, mut receiver) = errands(&gate, Bounds::SERVER);
    let environment = asker("a", "shop");
    ask(&errands, &key(&environment, "smoke"));
    ask(&errands, &key(&environment, "load"));
    let newer = ErrandKey {
        run: RunNumber(2),
        ..key(&environment, "smoke")
    };
    assert_eq!(ask(&errands, &newer), Asked::UnderWay);
    gate.open.add_permits(1);
    woken(&mut receiver).await;
    assert!(matches!(ask(&errands, &newer), Asked::Answer(..)));
    assert_eq!(errands.lock().slots_of(&environment.uid), ["smoke"]);
}

#[tokio::test]
async fn a_question_that_takes_too_long_or_panics_is_answered_and_gives_its_place_back() {
    let gate = Gate::new(0).answers([Answer::good("panic")]);
    let bounds = Bounds {
        all: 1,
        deadline: Duration::from_millis(50),
        ..Bounds::SERVER
    };
    let (errands, mut receiver) = errands(&gate, bounds);
    let slow = key(&asker("slow", "shop"), "smoke");
    ask(&errands, &slow);
    woken(&mut receiver).await;
    assert!(matches!(ask(&errands, &slow), Asked::Answer(answer, _) if answer.message.contains("within 0.05 s")));
    let broken = key(&asker("broken", "shop"), "smoke");
    gate.open.add_permits(1);
    ask(&errands, &broken);
    woken(&mut receiver).await;
    assert!(matches!(ask(&errands, &broken), Asked::Answer(answer, _) if answer.message.contains("inside of graftling")));
    assert_eq!(errands.lock().in_flight(), 0);
}

fn stage(streak: i32) -> StageRun {
    StageRun {
        state: StageState::Running,
        tries: 1,
        streak,
        ..StageRun::new("notify")
    }
}

#[tokio::test]
async fn f26_a_call_that_was_answered_is_not_made_again_while_its_answer_cannot_be_stored() {
    let gate = Gate::new(10).answers([Answer::not_yet("taken")]);
    let (errands, mut receiver) = errands(&gate, Bounds::SERVER);
    let settings = serde_json::json!({"url": "https://ci.example/x", "waitFor": {"path": "state", "equals": "done"}});
    let webhook = webhook::read(&settings).unwrap();
    let (environment, around, stage) = (asker("a", "shop"), around("a"), stage(0));
    let place = Place {
        asker: &environment,
        run: RunNumber(1),
        stage: &stage,
        around: &around,
    };
    assert!(matches!(errands.webhook(&place, &webhook).progress, Progress::Pending { .. }));
    woken(&mut receiver).await;
    for _ in 0..3 {
        let looked = errands.webhook(&place, &webhook);
        assert_eq!(looked.streak, 1, "the same answer for a pass that could not store it");
    }
    let taken = StageRun {
        streak: 1,
        ..stage.clone()
    };
    let looked = errands.webhook(&Place { stage: &taken, ..place }, &webhook);
    assert!(
        looked.again <= Duration::from_secs(10) && looked.again > Duration::from_secs(8),
        "{looked:?}"
    );
    assert_eq!(gate.begun.load(Ordering::SeqCst), 1);
    // Another process knows nothing of it, and carries the same key.
    let restarted = Gate::new(10);
    let (again, mut receiver) = errands_of(&restarted);
    again.webhook(&place, &webhook);
    woken(&mut receiver).await;
    assert_eq!(*gate.carried.lock().unwrap(), *restarted.carried.lock().unwrap());
    assert!(
        matches!(&gate.carried.lock().unwrap()[0], Errand::Webhook { idempotency_key, .. } if idempotency_key.starts_with("graftling_"))
    );
}

fn errands_of(gate: &Arc<Gate>) -> (Errands, mpsc::Receiver<Wake>) {
    errands(gate, Bounds::SERVER)
}

#[tokio::test]
async fn feature_s1_a_check_counts_each_answer_once_and_asks_at_its_own_pace() {
    let gate = Gate::new(10).answers([Answer::bad("no"), Answer::good("yes")]);
    let (errands, mut receiver) = errands(&gate, Bounds::SERVER);
    let settings = serde_json::json!({"tcp": {"service": "web"}, "every": "1s", "failures": 2});
    let check = check::read(&settings).unwrap();
    let (environment, around, mut stage) = (asker("a", "shop"), around("a"), stage(0));
    let look = |stage: &StageRun| {
        let place = Place {
            asker: &environment,
            run: RunNumber(1),
            stage,
            around: &around,
        };
        errands.check(&place, &check)
    };
    look(&stage);
    woken(&mut receiver).await;
    let looked = look(&stage);
    assert_eq!((looked.streak, look(&stage).streak), (-1, -1));
    assert!(matches!(looked.progress, Progress::Pending { message, outside: true } if message == "no"));
    stage.streak = -1;
    let looked = look(&stage);
    assert!(
        looked.again <= Duration::from_secs(1) && gate.begun.load(Ordering::SeqCst) == 1,
        "{looked:?}"
    );
    tokio::time::sleep(looked.again).await;
    look(&stage);
    woken(&mut receiver).await;
    assert!(matches!(look(&stage).progress, Progress::Done { .. }));
}

#[test]
fn f26_each_try_of_a_stage_has_an_idempotency_key_of_its_own() {
    let key = look::idempotency_key;
    let all = [
        key("u", RunNumber(1), "notify", 1),
        key("u", RunNumber(1), "notify", 2),
        key("u", RunNumber(2), "notify", 1),
        key("v", RunNumber(1), "notify", 1),
        key("u", RunNumber(1), "other", 1),
    ];
    let unique: std::collections::BTreeSet<_> = all.iter().collect();
    assert_eq!(unique.len(), all.len());
    assert_eq!(all[0], key("u", RunNumber(1), "notify", 1));
}
