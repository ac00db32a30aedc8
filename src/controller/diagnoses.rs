//! Since when environments wait, what was found out about it last, and which of their objects somebody changes back again and again.
//!
//! In memory alone: a restart begins to count anew, which costs some seconds and nothing else.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::domain::plan::drift::DriftLoops;
use crate::domain::why::Explanation;

/// What is known of environments that are not as they should be, by UID. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Diagnoses {
    known: Arc<Mutex<HashMap<String, Known>>>,
    loops: Arc<Mutex<HashMap<String, DriftLoops>>>,
}

#[derive(Debug)]
struct Known {
    since: Instant,
    looked: Option<Answer>,
}

#[derive(Debug)]
struct Answer {
    at: Instant,
    story: String,
    /// What is told.
    explanation: Option<Explanation>,
    /// The sentence that was found, which may be another one for the same trouble.
    found: Option<String>,
}

/// What to do about an environment that is not ready.
#[derive(Debug, PartialEq)]
pub enum Advice {
    /// It has not waited for long, and most things become ready by themselves: look again after this time.
    Wait(Duration),
    /// What was found out a moment ago still holds.
    Known(Option<Box<Explanation>>),
    /// Look.
    Look,
}

/// For so long nothing is asked: a start takes some seconds.
pub const PATIENCE: Duration = Duration::from_secs(5);
/// For so long an answer holds while the same objects are not ready.
const HOLDS: Duration = Duration::from_secs(8);
/// How soon to look again at first, and later on: no watch shows pods.
const AGAIN: Duration = Duration::from_secs(10);
const LATER: Duration = Duration::from_secs(30);

impl Diagnoses {
    /// What to do about the environment of this UID, of which `story` tells what is not ready. What has failed for good is looked at at once.
    pub fn advice(&self, uid: &str, story: &str, has_failed: bool, now: Instant) -> Advice {
        let mut all = self.lock();
        let known = all.entry(uid.to_owned()).or_insert(Known { since: now, looked: None });
        let waited = now.duration_since(known.since);
        if waited < PATIENCE && !has_failed {
            return Advice::Wait(PATIENCE - waited);
        }
        match &known.looked {
            Some(answer) if answer.story == story && now.duration_since(answer.at) < HOLDS => {
                Advice::Known(answer.explanation.clone().map(Box::new))
            }
            _ => Advice::Look,
        }
    }

    /// Takes in what was found out, and gives what to tell of it: the same trouble is told in the same words as before, or the time in a
    /// last log line would be news with each look. Other words that two looks in a row have found take their place: the first look may
    /// have come too early, before a log was whole or a program listened.
    pub fn remember(&self, uid: &str, story: String, found: Option<Explanation>, now: Instant) -> Option<Explanation> {
        let mut all = self.lock();
        let Some(known) = all.get_mut(uid) else { return found };
        let (before, last) = known
            .looked
            .take()
            .map_or((None, None), |answer| (answer.explanation, answer.found));
        let sentence = found.as_ref().map(|found| found.sentence.clone());
        let stays = sentence.is_some() && sentence == last;
        let is_same = |before: &Explanation| {
            let trouble = |explanation: &Explanation| (explanation.class, explanation.object.clone(), explanation.next.clone());
            found.as_ref().is_some_and(|found| trouble(found) == trouble(before))
        };
        let holds = |before: &Explanation| is_same(before) && (!stays || Some(&before.sentence) == sentence.as_ref());
        let explanation = before.filter(holds).or(found);
        known.looked = Some(Answer {
            at: now,
            story,
            explanation: explanation.clone(),
            found: sentence,
        });
        explanation
    }

    /// When to look again at an environment that still waits.
    pub fn again(&self, uid: &str, now: Instant) -> Duration {
        let waited = self.waited(uid, now);
        if waited < Duration::from_secs(60) { AGAIN } else { LATER }
    }

    /// For how long it has waited.
    pub fn waited(&self, uid: &str, now: Instant) -> Duration {
        self.lock().get(uid).map_or(Duration::ZERO, |known| now.duration_since(known.since))
    }

    /// The environment waits for nothing any more.
    pub fn forget(&self, uid: &str) {
        self.lock().remove(uid);
    }

    /// Reads and writes the count of rounds in vain of an environment. One without any takes no room.
    pub fn loops<T>(&self, uid: &str, work: impl FnOnce(&mut DriftLoops) -> T) -> T {
        let mut all = self.loops.lock().unwrap_or_else(PoisonError::into_inner);
        let mut loops = all.remove(uid).unwrap_or_default();
        let result = work(&mut loops);
        if !loops.is_empty() {
            all.insert(uid.to_owned(), loops);
        }
        result
    }

    /// The environment is going: nothing of it is needed any more.
    pub fn release(&self, uid: &str) {
        self.forget(uid);
        self.loops(uid, std::mem::take);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use crate::domain::why::{Scene, explain};

    use super::*;

    #[test]
    fn feature_c6_nothing_is_asked_before_an_environment_has_waited_and_an_answer_holds_for_a_while() {
        let diagnoses = Diagnoses::default();
        let start = Instant::now();
        let after = |seconds: u64| start + Duration::from_secs(seconds);
        assert_eq!(diagnoses.advice("u", "web", false, start), Advice::Wait(PATIENCE));
        assert_eq!(diagnoses.advice("u", "web", false, after(2)), Advice::Wait(Duration::from_secs(3)));
        assert_eq!(
            diagnoses.advice("u", "web", true, after(2)),
            Advice::Look,
            "what has failed is not waited for"
        );
        assert_eq!(diagnoses.advice("u", "web", false, after(5)), Advice::Look);
        diagnoses.remember("u", "web".into(), None, after(5));
        assert_eq!(diagnoses.advice("u", "web", false, after(6)), Advice::Known(None));
        assert_eq!(
            diagnoses.advice("u", "web and db", false, after(6)),
            Advice::Look,
            "something else is not ready"
        );
        assert_eq!(diagnoses.advice("u", "web", false, after(14)), Advice::Look);
        assert_eq!(diagnoses.again("u", after(20)), AGAIN);
        assert_eq!(diagnoses.again("u", after(90)), LATER);
        diagnoses.forget("u");
        assert_eq!(diagnoses.advice("u", "web", false, after(99)), Advice::Wait(PATIENCE));
    }

    #[test]
    fn the_same_trouble_is_told_in_the_same_words() {
        let found = |image: &str, said: &str| {
            let scene: Result<Scene, _> = serde_json::from_value(serde_json::json!({ "pods": [{
                "metadata": { "name": "web" }, "spec": { "containers": [{ "name": "web", "image": image }] },
                "status": { "containerStatuses": [{ "name": "web", "ready": false, "state": { "terminated": { "exitCode": 1 } } }] },
            }], "log": { "pod": "web", "container": "web", "text": said } }));
            explain(&scene.unwrap_or_default()).into_iter().next()
        };
        let diagnoses = Diagnoses::default();
        let now = Instant::now();
        diagnoses.advice("u", "web", true, now);
        let first = diagnoses.remember("u", "web".into(), found("a", "10:00 no database"), now);
        assert!(first.is_some());
        assert_eq!(diagnoses.remember("u", "web".into(), found("a", "10:01 no database"), now), first);
        let late = found("a", "listening on 8080");
        assert_eq!(diagnoses.remember("u", "web".into(), late.clone(), now), first);
        assert_eq!(diagnoses.remember("u", "web".into(), late.clone(), now), late, "two looks found it");
        assert_eq!(diagnoses.remember("u", "web".into(), found("a", "10:02 no database"), now), late);
        assert_eq!(diagnoses.remember("u", "web".into(), None, now), None, "what is over is over");
    }
}
