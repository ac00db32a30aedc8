//! How long the pure parts take, each alone: what is decided for a delivery, a repository, an environment.
#![allow(missing_docs, reason = "criterion's macros make items without documentation")]
#![allow(clippy::unwrap_used, reason = "a benchmark that cannot run has no figure")]

mod subjects;

use std::hint::black_box;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use graftling::domain::outcome::absorb;

use subjects::{Branches, Conclusion, Deployment, PARTS, Signed, name_of};

const BRANCHES: usize = 5_000;

fn deliveries(criterion: &mut Criterion) {
    let (genuine, forged) = (Signed::push(), Signed::forged());
    assert!(genuine.read().is_some() && forged.read().is_none());
    criterion.bench_function("verify and parse a push of 10 KB", |bencher| {
        bencher.iter(|| black_box(&genuine).read())
    });
    criterion.bench_function("refuse a forged push of 10 KB", |bencher| {
        bencher.iter(|| black_box(&forged).read())
    });
}

fn branches(criterion: &mut Criterion) {
    let branch = "feature/a-rather-long-name/of-a-change-1234".parse().unwrap();
    criterion.bench_function("the name of an environment", |bencher| bencher.iter(|| name_of(black_box(&branch))));
    let branches = Branches::many(BRANCHES);
    let roster = branches.decide();
    assert_eq!((roster.create.len(), roster.refresh.len(), roster.retire.len()), (500, 50, 0));
    criterion.bench_function("the roster of 5 000 branches", |bencher| {
        bencher.iter(|| black_box(&branches).decide())
    });
}

fn environments(criterion: &mut Criterion) {
    let (fresh, quiet) = (Deployment::fresh(PARTS), Deployment::quiet(PARTS));
    assert!(fresh.plan().size() > 498 && quiet.plan().is_quiet());
    criterion.bench_function("plan 500 new objects", |bencher| bencher.iter(|| black_box(&fresh).plan()));
    criterion.bench_function("plan nothing for 500 objects", |bencher| bencher.iter(|| black_box(&quiet).plan()));
    let (ahead, outcomes) = (fresh.written_ahead(), fresh.outcomes());
    criterion.bench_function("merge 500 results into the inventory", |bencher| {
        bencher.iter_batched(
            || ahead.clone(),
            |mut inventory| absorb(&mut inventory, black_box(&outcomes)),
            BatchSize::SmallInput,
        )
    });
    for (objects, parts) in [(14, 2), (498, PARTS)] {
        let conclusion = Conclusion::of(&Deployment::fresh(parts));
        criterion.bench_function(&format!("the status of {objects} objects"), |bencher| {
            bencher.iter(|| black_box(&conclusion).status())
        });
    }
}

criterion_group!(benches, deliveries, branches, environments);
criterion_main!(benches);
