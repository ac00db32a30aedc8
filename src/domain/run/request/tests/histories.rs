//! Arbitrary runs and requests: what must hold for all of them.

use proptest::prelude::*;

use super::*;

fn any_state() -> impl Strategy<Value = StageState> {
    prop::sample::select(vec![Waiting, Running, Succeeded, Failed, Skipped])
}

fn any_run() -> impl Strategy<Value = Run> {
    let states = prop::sample::select(vec![
        RunState::Running,
        RunState::Succeeded,
        RunState::Failed,
        RunState::RolledBack,
        RunState::Superseded,
    ]);
    let stages = prop::array::uniform5((any_state(), 0..3_u32, prop::option::of(Just(ByHand::Skip))));
    (states, stages).prop_map(|(state, stages)| {
        let mut run = run(state, stages.map(|(state, ..)| state));
        for (stage, (_, earlier, by_hand)) in run.stages.iter_mut().zip(stages) {
            stage.earlier = earlier;
            stage.by_hand = by_hand.filter(|_| matches!(stage.state, Waiting | Skipped));
        }
        run
    })
}

fn any_action() -> impl Strategy<Value = Action> {
    let stage = || prop::sample::select(vec!["migrate", "smoke", "release", "deploy", "docs", "nowhere"]);
    prop_oneof![
        prop::option::of(stage()).prop_map(retry),
        stage().prop_map(skip),
        stage().prop_map(rerun),
    ]
}

proptest! {
    #[test]
    fn a_run_that_goes_on_is_the_same_run_and_has_something_to_do_or_to_conclude(before in any_run(), action in any_action()) {
        let Ok(Answer { effect: Effect::Run { run, .. }, told }) = asked(action, Some(&before)) else {
            return Ok(());
        };
        prop_assert!(told.contains("alice"), "{}", told);
        prop_assert_eq!(run.number, before.number);
        prop_assert_eq!((run.state, run.ended), (RunState::Running, None));
        prop_assert!(run != before);
        for (after, before) in run.stages.iter().zip(&before.stages) {
            prop_assert_eq!(&after.name, &before.name);
            // A name that bears the number of a try is never given twice.
            if after.state == Waiting && before.state != Waiting {
                prop_assert_eq!(after.earlier, before.earlier + before.tries);
                prop_assert_eq!(after.tries, 0);
            } else {
                prop_assert_eq!((after.earlier, after.tries), (before.earlier, before.tries));
            }
            // What has succeeded is only taken up again by name, and a person's word is never given by a request.
            prop_assert!(!(after.state == Succeeded && before.state != Succeeded));
            prop_assert!(!(after.name == "release" && after.state == Skipped && before.state != Skipped));
        }
    }

    #[test]
    fn whatever_is_refused_says_more_than_that(before in any_run(), action in any_action()) {
        if let Err(refusal) = asked(action, Some(&before)) {
            prop_assert!(refusal.to_string().len() > 30, "{}", refusal);
        }
    }

    #[test]
    fn nothing_runs_behind_what_a_person_has_not_approved(before in any_run(), action in any_action()) {
        let word = before.stages[2].state;
        let is_given = word == Succeeded || word == Skipped;
        let Ok(Answer { effect: Effect::Run { run, .. }, .. }) = asked(action, Some(&before)) else {
            return Ok(());
        };
        let (word, behind) = (&run.stages[2], &run.stages[3]);
        // Behind a word that is not given, a stage waits or was over before.
        let untouched = behind.state == before.stages[3].state && behind.by_hand == before.stages[3].by_hand;
        let waits = behind.state == Waiting;
        prop_assert!(is_given || untouched || waits, "{:?} behind {:?}", behind, word);
        prop_assert!(is_given || !(behind.state == Skipped && before.stages[3].state == Waiting));
    }
}
