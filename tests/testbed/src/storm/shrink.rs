//! Makes a failing list short: delta debugging over whole groups between quiet points, then over single operations.

use super::operation::Operation;

/// What is left of a list that fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shrunk<T> {
    /// The shortest list found that still fails.
    pub items: Vec<T>,
    /// How many lists were tried for it.
    pub tries: usize,
}

/// The shortest list that can be found by leaving out parts of `operations`, for which `fails` holds, in at most `tries` tries.
///
/// Whole groups go first, as a group costs a quiet point; then single operations. `operations` itself is taken to fail.
pub async fn operations(operations: Vec<Operation>, tries: usize, mut fails: impl AsyncFnMut(&[Operation]) -> bool) -> Shrunk<Operation> {
    let by_group = minimise(groups(operations), tries, async |groups: &[Vec<Operation>]| {
        fails(&joined(groups)).await
    })
    .await;
    let flat: Vec<Operation> = joined(&by_group.items);
    let left = tries.saturating_sub(by_group.tries);
    let by_one = minimise(flat, left, async |items: &[Operation]| fails(&quiet_at_the_end(items)).await).await;
    Shrunk {
        items: quiet_at_the_end(&by_one.items),
        tries: by_group.tries + by_one.tries,
    }
}

/// Delta debugging (Zeller's ddmin): leaves out ever smaller parts of a list for as long as the rest fails.
///
/// # Guarantees
/// The result is a part of `items`, in their order; it is `items` or `fails` has been seen to hold for it. With enough tries, nothing
/// can be left out of it alone.
pub async fn minimise<T: Clone>(items: Vec<T>, tries: usize, mut fails: impl AsyncFnMut(&[T]) -> bool) -> Shrunk<T> {
    let mut shrunk = Shrunk { items, tries: 0 };
    let mut parts = 2;
    while shrunk.items.len() > 1 && shrunk.tries < tries {
        let size = shrunk.items.len().div_ceil(parts);
        match without_a_part(&mut shrunk, size, tries, &mut fails).await {
            Some(rest) => {
                shrunk.items = rest;
                parts = (parts - 1).max(2);
            }
            None if size == 1 => break,
            None => parts = (parts * 2).min(shrunk.items.len()),
        }
    }
    shrunk
}

/// What fails without one part of this size, the last one first: what comes late is needed least for what came before.
async fn without_a_part<T: Clone>(
    shrunk: &mut Shrunk<T>,
    size: usize,
    tries: usize,
    fails: &mut impl AsyncFnMut(&[T]) -> bool,
) -> Option<Vec<T>> {
    let starts = (0..shrunk.items.len()).step_by(size).rev();
    for start in starts {
        if shrunk.tries == tries {
            return None;
        }
        let end = (start + size).min(shrunk.items.len());
        let rest = [&shrunk.items[..start], &shrunk.items[end..]].concat();
        if rest.is_empty() {
            continue;
        }
        shrunk.tries += 1;
        if fails(&rest).await {
            return Some(rest);
        }
    }
    None
}

/// The groups of a list, each with the quiet point that ends it.
pub fn groups(operations: Vec<Operation>) -> Vec<Vec<Operation>> {
    let mut groups = vec![Vec::new()];
    for operation in operations {
        let ends = operation == Operation::Quiet;
        if let Some(last) = groups.last_mut() {
            last.push(operation);
        }
        if ends {
            groups.push(Vec::new());
        }
    }
    groups.retain(|group| !group.is_empty());
    groups
}

fn joined(groups: &[Vec<Operation>]) -> Vec<Operation> {
    groups.iter().flatten().cloned().collect()
}

/// Only quiet points judge.
fn quiet_at_the_end(operations: &[Operation]) -> Vec<Operation> {
    let mut operations = operations.to_vec();
    if operations.last() != Some(&Operation::Quiet) {
        operations.push(Operation::Quiet);
    }
    operations
}

#[cfg(test)]
mod tests {
    use super::super::generate::{Random, Weather, storm};
    use super::super::operation::{Branch, Hook};
    use super::*;

    const MANY: usize = 10_000;

    fn holds_in_order(items: &[u32], needed: &[u32]) -> bool {
        let mut rest = items.iter();
        needed.iter().all(|wanted| rest.any(|item| item == wanted))
    }

    #[tokio::test]
    async fn exactly_what_is_needed_for_the_failure_is_left() {
        let mut random = Random::new(11);
        for _ in 0..200 {
            let length = 1 + random.below(60);
            let items: Vec<u32> = (0..length).collect();
            let mut needed: Vec<u32> = (0..=random.below(3)).map(|_| random.below(length)).collect();
            needed.sort();
            needed.dedup();
            let shrunk = minimise(items, MANY, async |list: &[u32]| holds_in_order(list, &needed)).await;
            assert_eq!(shrunk.items, needed);
        }
    }

    #[tokio::test]
    async fn no_more_is_tried_than_allowed_and_what_is_left_fails() {
        for tries in 0..12 {
            let mut asked = 0;
            let shrunk = minimise((0..40_u32).collect(), tries, async |list: &[u32]| {
                asked += 1;
                holds_in_order(list, &[3, 31])
            })
            .await;
            assert_eq!(shrunk.tries, asked);
            assert!(asked <= tries && holds_in_order(&shrunk.items, &[3, 31]), "{shrunk:?}");
        }
    }

    #[tokio::test]
    async fn a_storm_shrinks_to_its_two_culprits_and_a_quiet_point() {
        let mut list = storm(
            5,
            300,
            Weather {
                faults: false,
                ..Weather::default()
            },
        );
        let culprits = [Operation::Sabotage(Branch(2)), Operation::Delete(Branch(2), Hook::Late)];
        list.insert(40, culprits[0].clone());
        list.insert(190, culprits[1].clone());
        let before = |list: &[Operation], first: &Operation, second: &Operation| {
            let at = |wanted: &Operation| list.iter().position(|operation| operation == wanted);
            let last = list.iter().rposition(|operation| operation == second);
            at(first).is_some_and(|first| last.is_some_and(|last| first < last))
        };
        let shrunk = operations(list, MANY, async |list: &[Operation]| before(list, &culprits[0], &culprits[1])).await;
        assert_eq!(shrunk.items, [&culprits[..], &[Operation::Quiet]].concat());
        assert!(shrunk.tries < 150, "{}", shrunk.tries);
    }

    #[test]
    fn groups_are_the_list_again_when_joined() {
        for seed in 0..20 {
            let list = storm(seed, 90, Weather::default());
            let groups = groups(list.clone());
            assert!(groups.iter().all(|group| group.last() == Some(&Operation::Quiet)));
            assert_eq!(joined(&groups), list);
        }
    }
}
