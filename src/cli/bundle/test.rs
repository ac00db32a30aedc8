//! `graftling bundle test`: the cases of a bundle's own tests, rendered and compared.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use similar::TextDiff;

use super::rendering::{self, CaseError, Setting};
use crate::cli::helm;
use crate::cli::output::print;
use crate::cli::printable::{printable, printable_lines};
use crate::domain::bundle::case::{self, Case};
use crate::domain::bundle::{BundleFiles, MAX_FILE, Problem};
use crate::domain::manifest::Manifest;
use crate::domain::render::to_yaml;
use crate::render::{Renderer, RendererSettings, load_directory};

/// What holds for the whole command.
pub const HELP: &str = "\
Cases are in the files tests/*.yaml of the bundle:

  cases:
    - name: two replicas
      branch: feature/login
      values: { replicas: 2 }
      expect:
        golden: golden/two-replicas.yaml       # exactly these objects; --update writes the file
        count: 5                               # so many objects
        objects:                               # and what is said of some of them
          - { kind: Deployment, name: web, contains: { spec: { replicas: 2 } }, without: [spec.paused] }
          - { kind: Job, name: migrate, absent: true }
    - name: a mistake
      values: { replicas: many }
      expect: { error: part of the message }

A case may also say revision, pullRequest, project, environment, allowKinds, allowClaims and
isFirstDeploy.";

/// Which bundle, and what to do with golden files.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Folder of the bundle
    #[arg(value_name = "PATH", default_value = ".")]
    path: PathBuf,
    /// Write what is rendered to the golden files instead of comparing with them
    #[arg(long)]
    update: bool,
    #[command(flatten)]
    helm: helm::Helm,
}

/// Why the tests have not passed.
#[derive(Debug, thiserror::Error)]
pub enum TestError {
    /// A file or folder below `tests/` could not be read.
    #[error("could not read {}", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// A golden file could not be written.
    #[error("could not write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// Files with cases are none.
    #[error("the cases have {} problem(s):{}", _0.len(), lines(_0))]
    ParseCases(Vec<Problem>),
    /// There is nothing to test.
    #[error("the bundle has no tests: write tests/default.yaml, as shown by --help")]
    FindCases,
    /// Cases have failed; what differs was printed.
    #[error("{0} test(s) failed")]
    Fail(usize),
}

/// The cases of one file, by its path inside the bundle, or what is wrong with them.
type CaseFile = (String, Result<Vec<Case>, Vec<Problem>>);

/// What came of a case.
enum Outcome {
    Passed,
    Updated,
    Failed(Vec<String>),
}

/// Tests every case and prints what differs.
pub async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let files = Arc::new(load_directory(&arguments.path)?);
    let cases = parsed(read_cases(&arguments.path)?)?;
    let tester = Tester {
        renderer: Renderer::new(RendererSettings {
            helm: arguments.helm.clone().into(),
            ..RendererSettings::default()
        }),
        files,
        folder: arguments.path.join("tests"),
        is_updating: arguments.update,
    };
    let (mut passed, mut failures) = (0, Vec::new());
    for (file, case) in &cases {
        let name = printable(&format!("{file}: {}", case.name));
        let word = match tester.test(case).await? {
            Outcome::Passed => "ok",
            Outcome::Updated => "updated",
            Outcome::Failed(reasons) => {
                failures.push((name.clone(), reasons));
                "FAILED"
            }
        };
        passed += usize::from(word != "FAILED");
        print(&format!("test {name} ... {word}\n"))?;
    }
    print(&summary(passed, &failures))?;
    if failures.is_empty() {
        Ok(())
    } else {
        Err(TestError::Fail(failures.len()).into())
    }
}

/// The cases of every file `tests/*.yaml`, in the order of the files' names.
pub fn read_cases(bundle: &Path) -> Result<Vec<CaseFile>, TestError> {
    let folder = bundle.join("tests");
    let failed = |path: &Path| {
        let path = path.to_owned();
        |source| TestError::Read { path, source }
    };
    let entries = match fs::read_dir(&folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(failed(&folder))?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(failed(&folder))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.ends_with(".yaml") && !name.starts_with('.') && entry.file_type().map_err(failed(&folder))?.is_file() {
            names.push(name);
        }
    }
    names.sort();
    let mut files = Vec::new();
    for name in names {
        let path = folder.join(&name);
        let size = fs::metadata(&path).map_err(failed(&path))?.len();
        if size > MAX_FILE as u64 {
            return Err(failed(&path)(io::Error::other(format!("it has more than {MAX_FILE} bytes"))));
        }
        let text = fs::read_to_string(&path).map_err(failed(&path))?;
        let file = format!("tests/{name}");
        let with_excerpt = |problem: Problem| problem.with_excerpt_of(&text);
        let cases = case::parse(&file, &text).map_err(|problems| problems.into_iter().map(with_excerpt).collect());
        files.push((file, cases));
    }
    Ok(files)
}

/// The golden files that cases name and that are not there.
pub fn missing_golden<'a>(bundle: &'a Path, file: &'a str, cases: &'a [Case]) -> impl Iterator<Item = Problem> + 'a {
    let named = cases.iter().filter_map(|case| Some((case, case.expect.golden.as_ref()?)));
    let missing = named.filter(|(_, golden)| !bundle.join("tests").join(golden).is_file());
    missing.map(move |(case, golden)| {
        let message = format!(
            "case {:?}: tests/{golden} is not there: write it with `graftling bundle test --update`",
            case.name
        );
        Problem::in_file(file, message)
    })
}

fn parsed(files: Vec<CaseFile>) -> Result<Vec<(String, Case)>, TestError> {
    let mut all = Vec::new();
    let mut problems = Vec::new();
    for (file, cases) in files {
        match cases {
            Ok(cases) => all.extend(cases.into_iter().map(|case| (file.clone(), case))),
            Err(mut found) => problems.append(&mut found),
        }
    }
    match (problems.is_empty(), all.is_empty()) {
        (false, _) => Err(TestError::ParseCases(problems)),
        (true, true) => Err(TestError::FindCases),
        (true, false) => Ok(all),
    }
}

struct Tester {
    renderer: Renderer,
    files: Arc<BundleFiles>,
    folder: PathBuf,
    is_updating: bool,
}

impl Tester {
    async fn test(&self, case: &Case) -> Result<Outcome, TestError> {
        match rendering::objects(&self.renderer, &self.files, &Setting::of_case(case)).await {
            Ok(objects) => self.compare(case, &objects),
            Err(error) => Ok(compare_error(case, &error)),
        }
    }

    fn compare(&self, case: &Case, objects: &[Manifest]) -> Result<Outcome, TestError> {
        if let Some(expected) = &case.expect.error {
            let reason = format!("expected an error with {expected:?}, got {} objects", objects.len());
            return Ok(Outcome::Failed(vec![reason]));
        }
        let mut reasons = case::mismatches(&case.expect, objects);
        let mut is_updated = false;
        if let Some(golden) = &case.expect.golden {
            let path = self.folder.join(golden);
            let rendered = golden_text(objects);
            let kept = match fs::read_to_string(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                text => Some(text.map_err(|source| TestError::Read {
                    path: path.clone(),
                    source,
                })?),
            };
            if kept.as_ref() != Some(&rendered) {
                if self.is_updating {
                    write(&path, &rendered)?;
                    is_updated = true;
                } else {
                    reasons.push(difference(golden, kept.as_deref(), &rendered));
                }
            }
        }
        Ok(match (reasons.is_empty(), is_updated) {
            (false, _) => Outcome::Failed(reasons),
            (true, true) => Outcome::Updated,
            (true, false) => Outcome::Passed,
        })
    }
}

fn compare_error(case: &Case, error: &CaseError) -> Outcome {
    let told = error.to_string();
    match &case.expect.error {
        Some(expected) if told.contains(expected.as_str()) => Outcome::Passed,
        Some(expected) => Outcome::Failed(vec![format!("expected an error with {expected:?}, got: {told}")]),
        None => Outcome::Failed(vec![told]),
    }
}

/// Objects as a golden file has them: in the order of applies, without the places that they were written at, which change with
/// every comment.
fn golden_text(objects: &[Manifest]) -> String {
    objects.iter().map(|object| format!("---\n{}", to_yaml(&object.body))).collect()
}

fn write(path: &Path, text: &str) -> Result<(), TestError> {
    let failed = |source| TestError::Write {
        path: path.to_owned(),
        source,
    };
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(failed)?;
    }
    fs::write(path, text).map_err(failed)
}

fn difference(golden: &str, kept: Option<&str>, rendered: &str) -> String {
    let Some(kept) = kept else {
        return format!("tests/{golden} is not there: write it with --update");
    };
    let diff = TextDiff::from_lines(kept, rendered);
    let unified = diff.unified_diff().header(&format!("tests/{golden}"), "rendered").to_string();
    format!("the objects differ from the golden file; --update writes it anew:\n{unified}")
}

fn summary(passed: usize, failures: &[(String, Vec<String>)]) -> String {
    let mut text = String::new();
    for (name, reasons) in failures {
        text.push_str(&format!("\n---- {name} ----\n"));
        for reason in reasons {
            text.push_str(&printable_lines(reason.trim_end()));
            text.push('\n');
        }
    }
    let word = if failures.is_empty() { "ok" } else { "FAILED" };
    text.push_str(&format!("\ntest result: {word}. {passed} passed; {} failed\n", failures.len()));
    text
}

fn lines(problems: &[Problem]) -> String {
    problems.iter().map(|problem| format!("\n{problem:#}")).collect()
}
