//! The small bounds hold, whole; and each defence that is switched off is missed.

use model::bounds::{self, CALM};
use model::config::{Config, Defences};
use model::explore::{Explored, explore};
use model::world::Budget;

fn assert_holds(config: &Config) {
    let explored = explore(config, 1);
    let traces: Vec<_> = explored
        .counterexamples
        .iter()
        .map(|found| format!("{}\n{}", found.property, found.trace))
        .collect();
    assert!(traces.is_empty(), "{}:\n{}", config.name, traces.join("\n\n"));
    assert!(explored.states > 100, "{} explores next to nothing: {explored:?}", config.name);
}

#[test]
fn crashes_and_failed_writes_anywhere_lead_to_the_same_end() {
    assert_holds(&bounds::small()[0]);
}

#[test]
fn f08_f17_a_replaced_leader_and_a_late_write_do_no_harm() {
    assert_holds(&bounds::small()[1]);
}

#[test]
fn f64_whatever_the_git_host_answers_nothing_goes_without_proof() {
    assert_holds(&bounds::small()[2]);
}

#[test]
fn f43_a_backup_that_comes_back_costs_nothing_that_is_not_ours() {
    assert_holds(&bounds::small()[3]);
}

#[test]
fn f40_f41_what_others_make_and_people_do_is_survived() {
    assert_holds(&bounds::small()[4]);
}

/// Explores with a defence switched off, and returns the trace of what that breaks.
fn counterexample(config: Config, defences: Defences, property: &str) -> String {
    let Explored { counterexamples, .. } = explore(&Config { defences, ..config }, 1);
    let found = counterexamples.iter().find(|found| found.property.starts_with(property));
    let found = found.unwrap_or_else(|| panic!("{property} is not broken: {counterexamples:?}"));
    println!("{}\n{}\n", found.property, found.trace);
    found.trace.clone()
}

#[test]
fn invariant_s1_without_preconditions_something_of_others_is_written() {
    let defences = Defences {
        preconditions: false,
        ..Defences::ALL
    };
    let trace = counterexample(bounds::others(1, 1), defences, "S1");
    assert!(trace.contains("somebody else"), "{trace}");
}

#[test]
fn invariant_s4_feature_x7_without_a_second_sighting_an_old_copy_of_the_repository_removes_an_environment() {
    let defences = Defences {
        second_sighting: false,
        ..Defences::ALL
    };
    let trace = counterexample(bounds::two_branches(2, 1), defences, "S4");
    assert!(trace.contains("the host lies: Stale"), "{trace}");
}

#[test]
fn invariant_s4_feature_x7_without_a_look_for_the_default_branch_an_empty_answer_removes_an_environment() {
    let defences = Defences {
        default_branch: false,
        ..Defences::ALL
    };
    let trace = counterexample(bounds::two_branches(1, 2), defences, "S4");
    assert!(trace.contains("the host lies: Empty"), "{trace}");
}

#[test]
fn f02_without_writing_ahead_something_is_orphaned() {
    let defences = Defences {
        write_ahead: false,
        ..Defences::ALL
    };
    let trace = counterexample(bounds::crashes(1, 1), defences, "write ahead");
    assert!(trace.contains("apply Namespace"), "{trace}");
}

#[test]
fn invariant_s6_without_the_fence_a_former_leader_writes_after_its_successor() {
    let defences = Defences {
        fence: false,
        ..Defences::ALL
    };
    let trace = counterexample(bounds::leaders(2, 1), defences, "S6");
    assert!(trace.contains("another replica takes the lead"), "{trace}");
}

#[test]
fn invariant_s5_without_a_look_at_pods_an_account_goes_while_it_is_used() {
    let config = Config {
        budget: Budget { changes: 2, ..CALM },
        ..bounds::crashes(2, 0)
    };
    let defences = Defences {
        pods: false,
        ..Defences::ALL
    };
    let trace = counterexample(config, defences, "S5");
    assert!(trace.contains("delete Account"), "{trace}");
}

#[test]
fn invariant_l1_without_a_look_for_orphans_a_stripped_environment_leaves_its_namespace() {
    let defences = Defences {
        orphans: false,
        ..Defences::ALL
    };
    let trace = counterexample(bounds::others(2, 1), defences, "L1");
    assert!(trace.contains("Strip"), "{trace}");
}
