use super::*;
use crate::domain::roster::known::Known;

#[test]
fn environments_are_found_alike_whether_they_were_sorted_or_not() {
    let mut all = vec![existing("2", "a", '1'), existing("1", "b", '2'), existing("1", "a", '3')];
    // One that goes and one that has come since, as a look sees them.
    let again = |digit| Existing {
        uid: format!("uid {digit}"),
        deleting: digit == '4',
        ..existing("1", "b", digit)
    };
    all.extend([again('4'), again('5')]);
    let (as_named, sorted) = (Known::AsNamed(all.iter().collect()), Known::sorted(all.iter().collect()));
    for repository in ["1", "2", "3"] {
        for name in ["a", "b", "c"] {
            let of_branch = |known: &Known<'_>| -> Vec<String> {
                let found = known.of_branch(&repository.parse().unwrap(), &branch(name));
                found.iter().map(|environment| environment.revision.clone()).collect()
            };
            let expected = all
                .iter()
                .filter(|one| one.repository.to_string() == repository && one.branch == branch(name));
            let expected: Vec<_> = expected.map(|one| one.revision.clone()).collect();
            assert_eq!(of_branch(&as_named), expected);
            assert_eq!(of_branch(&sorted), expected);
            let has_name = all.iter().any(|one| one.name == computed(repository, name));
            assert_eq!(as_named.has_name(&computed(repository, name)), has_name);
            assert_eq!(sorted.has_name(&computed(repository, name)), has_name);
        }
    }
}
