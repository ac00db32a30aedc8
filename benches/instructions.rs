//! How many instructions the pure parts take, each counted once by callgrind: figures that a busy machine does not change.
//!
//! `contest figures` compares them with those of `tests/reports/baseline.json`.
#![allow(missing_docs, reason = "gungraun's macros make items without documentation")]
#![allow(clippy::unwrap_used, reason = "a benchmark that cannot run has no figure")]
#![allow(
    clippy::disallowed_methods,
    reason = "the main that gungraun makes ends the process, and nothing is held by then"
)]

mod subjects;

use std::hint::black_box;

use graftling::api::environment::EnvironmentStatus;
use graftling::domain::bundle::{Bundle, BundleFiles};
use graftling::domain::event::Delivery;
use graftling::domain::git::BranchName;
use graftling::domain::inventory::Inventory;
use graftling::domain::name::EnvironmentName;
use graftling::domain::outcome::{Outcome, absorb};
use graftling::domain::plan::Plan;
use graftling::domain::render::{self, RenderContext, Rendered};
use graftling::domain::roster::Roster;
use gungraun::{Callgrind, LibraryBenchmarkConfig, library_benchmark, library_benchmark_group, main};

use subjects::{Branches, Conclusion, Deployment, PARTS, Signed, context, name_of, parts, reference};

const BRANCHES: usize = 5_000;

/// Subjects outlive their benchmark, so that their end is not counted.
fn kept<T>(subject: T) -> &'static T {
    Box::leak(Box::new(subject))
}

fn genuine() -> &'static Signed {
    let signed = kept(Signed::push());
    assert!(signed.read().is_some());
    signed
}

fn forged() -> &'static Signed {
    let signed = kept(Signed::forged());
    assert!(signed.read().is_none());
    signed
}

#[library_benchmark]
#[bench::push_of_10_kb(genuine())]
#[bench::forged_push_of_10_kb(forged())]
fn verify_and_parse(signed: &Signed) -> Option<Delivery> {
    black_box(signed).read()
}

fn branch() -> &'static BranchName {
    kept("feature/a-rather-long-name/of-a-change-1234".parse().unwrap())
}

#[library_benchmark]
#[bench::of_an_environment(branch())]
fn name(branch: &BranchName) -> EnvironmentName {
    name_of(black_box(branch))
}

fn branches() -> &'static Branches {
    let branches = kept(Branches::many(BRANCHES));
    let roster = branches.decide();
    assert_eq!((roster.create.len(), roster.refresh.len(), roster.retire.len()), (500, 50, 0));
    branches
}

#[library_benchmark]
#[bench::of_5000_branches(branches())]
fn roster(branches: &Branches) -> Roster {
    black_box(branches).decide()
}

#[library_benchmark]
#[bench::of_14_objects(kept(reference()))]
fn parse_bundle(files: &BundleFiles) -> Bundle {
    Bundle::parse(black_box(files).files()).unwrap()
}

/// A bundle and what its templates see.
struct Rendering {
    bundle: Bundle,
    context: RenderContext,
}

fn rendering(count: usize) -> &'static Rendering {
    kept(Rendering {
        bundle: Bundle::parse(reference().files()).unwrap(),
        context: context(parts(count)),
    })
}

#[library_benchmark]
#[bench::of_14_objects(rendering(2))]
#[bench::of_498_objects(rendering(PARTS))]
fn render_bundle(rendering: &Rendering) -> Rendered {
    render::render(&rendering.bundle, black_box(&rendering.context)).unwrap()
}

fn fresh() -> &'static Deployment {
    let deployment = kept(Deployment::fresh(PARTS));
    assert!(deployment.plan().size() > 498);
    deployment
}

fn quiet() -> &'static Deployment {
    let deployment = kept(Deployment::quiet(PARTS));
    assert!(deployment.plan().is_quiet());
    deployment
}

#[library_benchmark]
#[bench::of_500_new_objects(fresh())]
#[bench::of_nothing_for_500_objects(quiet())]
fn plan(deployment: &Deployment) -> Plan {
    black_box(deployment).plan()
}

fn results() -> (Inventory, &'static [Outcome]) {
    let deployment = Deployment::fresh(PARTS);
    (deployment.written_ahead(), kept(deployment.outcomes()))
}

#[library_benchmark]
#[bench::of_500_results(results())]
fn merge_inventory((mut inventory, outcomes): (Inventory, &[Outcome])) -> Inventory {
    absorb(&mut inventory, black_box(outcomes));
    inventory
}

fn conclusion(parts: usize) -> &'static Conclusion {
    kept(Conclusion::of(&Deployment::fresh(parts)))
}

#[library_benchmark]
#[bench::of_14_objects(conclusion(2))]
#[bench::of_498_objects(conclusion(PARTS))]
fn status(conclusion: &Conclusion) -> EnvironmentStatus {
    black_box(conclusion).status()
}

library_benchmark_group!(
    name = parts_of_the_server;
    benchmarks = verify_and_parse, name, roster, parse_bundle, render_bundle, plan, merge_inventory, status
);

// Nobody looks at caches, and to simulate them takes as long again.
main!(
    config = LibraryBenchmarkConfig::default().tool(Callgrind::with_args(["--cache-sim=no"]));
    library_benchmark_groups = parts_of_the_server
);
