//! The contract of `GitHost::files`: the same tests for every provider.

use std::collections::BTreeMap;

use graftling::domain::git::{Commit, TreePath};
use graftling::githost::{Class, Error, Files};

use super::{Case, branch};

/// One entry of a tree: its mode, its kind and its id as Git writes them.
struct Entry<'a>(&'a str, &'a str, String, &'a str);

impl Case {
    fn blob(&self, text: &str) -> String {
        self.scratch.git(&["hash-object", "-w", "--stdin"], text)
    }

    /// A tree, whatever its names are.
    fn tree(&self, entries: &[Entry<'_>]) -> String {
        let line = |Entry(mode, kind, id, name): &Entry<'_>| format!("{mode} {kind} {id}\t{name}\n");
        let lines: String = entries.iter().map(line).collect();
        self.scratch.git(&["mktree", "--missing"], &lines)
    }

    /// Sets `main` to a commit of a tree.
    fn commit_tree(&self, tree: &str) -> Commit {
        let commit = self.scratch.git(&["commit-tree", tree, "-m", "a tree"], "");
        self.scratch.set(&commit, &["refs/heads/main"]);
        Commit {
            branch: branch("main"),
            revision: commit.parse().expect("a commit"),
        }
    }

    /// `main` with a bundle below `deploy`, beside other things.
    fn bundle(&self, template: &str) -> Commit {
        let file = |name, text| Entry("100644", "blob", self.blob(text), name);
        let templates = self.tree(&[file("web.yaml", template)]);
        let program = Entry("100755", "blob", self.blob("#!/bin/sh\n"), "run.sh");
        let deploy = self.tree(&[
            file("bundle.yaml", "name: a"),
            program,
            Entry("040000", "tree", templates, "templates"),
        ]);
        let other = self.tree(&[file("bundle.yaml", "name: b")]);
        let link = Entry("120000", "blob", self.blob("/etc/passwd"), "link");
        let root = self.tree(&[
            file(".graftling.yaml", "values: {}"),
            Entry("040000", "tree", deploy, "deploy"),
            Entry("040000", "tree", other, "deploy-2"),
            link,
            Entry("160000", "commit", "ab".repeat(20), "module"),
        ]);
        self.commit_tree(&root)
    }

    async fn files(&self, at: &Commit, path: &str) -> Result<Files, Error> {
        let path: TreePath = path.parse().expect("the path is valid");
        self.host.files(&self.name, at, &path).await
    }
}

fn expected(files: &[(&str, &str)]) -> Files {
    files
        .iter()
        .map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec()))
        .collect::<BTreeMap<_, _>>()
}

#[tokio::test]
async fn the_files_below_a_path_are_those_of_the_exact_commit() {
    for case in Case::all().await {
        let at = case.bundle("kind: A");
        let files = case.files(&at, "deploy").await.expect(case.label);
        let bundle = expected(&[
            ("bundle.yaml", "name: a"),
            ("run.sh", "#!/bin/sh\n"),
            ("templates/web.yaml", "kind: A"),
        ]);
        assert_eq!(files, bundle, "{}", case.label);
        let one = case.files(&at, ".graftling.yaml").await.expect(case.label);
        assert_eq!(one, expected(&[(".graftling.yaml", "values: {}")]), "{}", case.label);
        let deep = case.files(&at, "deploy/templates").await.expect(case.label);
        assert_eq!(deep, expected(&[("web.yaml", "kind: A")]), "{}", case.label);
    }
}

#[tokio::test]
async fn a_path_that_is_not_there_is_named_with_its_commit() {
    for case in Case::all().await {
        let at = case.bundle("kind: A");
        for path in ["missing", "deploy/missing", "deploy/bundle", "Deploy"] {
            let error = case.files(&at, path).await.expect_err(case.label);
            assert!(matches!(&error, Error::PathNotFound { .. }), "{}: {path}: {error:?}", case.label);
            assert!(error.to_string().contains(at.revision.short()), "{error}");
            assert_eq!(error.class(), Class::NeedsAttention);
        }
    }
}

#[tokio::test]
async fn f75_a_branch_that_has_moved_gives_the_commit_that_was_asked_for_or_says_so() {
    for case in Case::all().await {
        let old = case.bundle("kind: Old");
        let new = case.bundle("kind: New");
        assert_ne!(old, new);
        match case.files(&old, "deploy/templates").await {
            Ok(files) => assert_eq!(files, expected(&[("web.yaml", "kind: Old")]), "{}", case.label),
            Err(error) => {
                assert!(matches!(error, Error::BranchMoved { .. }), "{}: {error:?}", case.label);
                assert_eq!(error.class(), Class::Transient);
            }
        }
        let files = case.files(&new, "deploy/templates").await.expect(case.label);
        assert_eq!(files, expected(&[("web.yaml", "kind: New")]), "{}", case.label);
        // A commit that nobody has.
        let unknown = Commit {
            revision: "ab".repeat(20).parse().expect("a commit"),
            ..new
        };
        let error = case.files(&unknown, "deploy").await.expect_err(case.label);
        assert!(matches!(error, Error::BranchMoved { .. }), "{}: {error:?}", case.label);
    }
}

#[tokio::test]
async fn f74_what_is_no_regular_file_is_refused_by_its_name() {
    for case in Case::all().await {
        let at = case.bundle("kind: A");
        for (path, words) in [
            ("link", &["link", "symbolic link"][..]),
            ("link/x", &["link", "symbolic link"]),
            (".", &["link", "symbolic link"]),
            (".graftling.yaml/x", &[".graftling.yaml", "a folder is needed"]),
        ] {
            let error = case.files(&at, path).await.expect_err(case.label);
            assert!(matches!(error, Error::RefuseTree { .. }), "{}: {path}: {error:?}", case.label);
            assert!(words.iter().all(|word| error.to_string().contains(word)), "{}: {error}", case.label);
        }
        let file = Entry("100644", "blob", case.blob("name: a"), "bundle.yaml");
        let deploy = case.tree(&[file, Entry("160000", "commit", "ab".repeat(20), "module")]);
        let at = case.commit_tree(&case.tree(&[Entry("040000", "tree", deploy, "deploy")]));
        let error = case.files(&at, "deploy").await.expect_err(case.label);
        assert!(error.to_string().contains("module is a submodule"), "{}: {error}", case.label);
    }
}

#[tokio::test]
async fn f74_a_pointer_of_git_lfs_is_refused_by_its_name() {
    for case in Case::all().await {
        let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n";
        let tree = case.tree(&[Entry("100644", "blob", case.blob(pointer), "values.yaml")]);
        let at = case.commit_tree(&case.tree(&[Entry("040000", "tree", tree, "deploy")]));
        let error = case.files(&at, "deploy").await.expect_err(case.label);
        assert!(
            error.to_string().contains("values.yaml is kept by Git LFS"),
            "{}: {error}",
            case.label
        );
    }
}

#[tokio::test]
async fn f74_a_file_that_is_too_large_is_refused_by_its_name_and_elsewhere_it_is_passed_over() {
    for case in Case::all().await {
        let large = case.blob(&"x".repeat(5 * 1024 * 1024));
        let tree = case.tree(&[Entry("100644", "blob", large, "dump.sql")]);
        let small = case.tree(&[Entry("100644", "blob", case.blob("name: a"), "bundle.yaml")]);
        let root = case.tree(&[Entry("040000", "tree", tree, "large"), Entry("040000", "tree", small, "small")]);
        let at = case.commit_tree(&root);
        let error = case.files(&at, "large").await.expect_err(case.label);
        assert!(error.to_string().contains("dump.sql has"), "{}: {error}", case.label);
        assert_eq!(case.files(&at, "small").await.expect(case.label).len(), 1, "{}", case.label);
    }
}

/// Git refuses to make such trees by its ordinary commands; a pushed object can be one.
#[tokio::test]
async fn threat_t30_names_in_a_tree_never_lead_out_of_it() {
    for case in Case::all().await {
        let file = case.blob("hostile");
        for name in ["..", ".git", "."] {
            let inner = case.tree(&[Entry("100644", "blob", file.clone(), "x")]);
            let mut raw = format!("40000 {name}\0").into_bytes();
            raw.extend((0..20).map(|index| u8::from_str_radix(&inner[2 * index..2 * index + 2], 16).expect("hexadecimal")));
            let path = case.scratch.root().join("raw");
            std::fs::write(&path, raw).expect("the file can be written");
            let path = path.to_str().expect("the path is text");
            let hostile = case.scratch.git(&["hash-object", "-w", "--literally", "-t", "tree", path], "");
            let at = case.commit_tree(&case.tree(&[Entry("040000", "tree", hostile, "deploy")]));
            match case.files(&at, "deploy").await {
                // GitHub's archive writes "." as the folder itself and ".git" as any name: it stays below the path.
                Ok(files) => assert!(files.keys().all(|name| !name.contains("..")), "{}: {files:?}", case.label),
                // Git's own archive of such a tree cannot be made, which Gitea answers with 500.
                Err(error) => assert!(
                    matches!(
                        error,
                        Error::RefuseTree { .. } | Error::BranchMoved { .. } | Error::Unusable { .. } | Error::ServerError { .. }
                    ),
                    "{}: {name}: {error:?}",
                    case.label
                ),
            }
        }
    }
}

#[tokio::test]
async fn f64_files_of_a_deleted_repository_are_an_error() {
    for case in Case::all().await {
        let at = case.bundle("kind: A");
        case.delete_repository();
        let error = case.files(&at, "deploy").await.expect_err(case.label);
        assert!(matches!(error, Error::RepositoryNotFound { .. }), "{}: {error:?}", case.label);
    }
}
