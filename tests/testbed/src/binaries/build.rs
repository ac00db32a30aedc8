//! Runs the Go toolchain.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::debian::Packages;
use super::module::Module;
use super::progress::Progress;
use super::{Error, KWOK_STAGES, Program};
use crate::process::Launch;

/// The extension of files that are not complete yet.
pub(super) const PARTIAL: &str = "partial";

/// How long a build may take to end when it has to.
pub(super) const GRACE: Duration = Duration::from_secs(2);

/// How often the progress is drawn while a build runs.
const TICK: Duration = Duration::from_millis(200);

/// kwok's own stages for fake nodes and pods that start, complete and go at once, below `kustomize/stage`.
const STAGES: [&str; 5] = [
    "node/fast/node-initialize.yaml",
    "node/heartbeat-with-lease/node-heartbeat-with-lease.yaml",
    "pod/fast/pod-ready.yaml",
    "pod/fast/pod-complete.yaml",
    "pod/fast/pod-delete.yaml",
];

/// A Go that can build a module written to a folder.
#[derive(Debug)]
pub(super) struct Toolchain {
    module_folder: PathBuf,
    version: String,
}

/// Writes the module to `folder` and asks Go for its version there, as the module may select a newer toolchain.
pub(super) fn toolchain(module: &Module, folder: &Path) -> Result<Toolchain, Error> {
    // Without Go nothing is written, so that a read-only cache will do.
    let go = Command::new("go").arg("version").envs(environment()).output();
    go.map_err(|source| Error::RunGo {
        command: "go version".to_owned(),
        source,
    })?;
    write_module(module, folder)?;
    // `go version go1.26.8 linux/amd64`
    let printed = run(folder, &["version"])?;
    let version = printed.split_whitespace().nth(2).unwrap_or("unknown").to_owned();
    Ok(Toolchain {
        module_folder: folder.to_owned(),
        version,
    })
}

impl Toolchain {
    /// For example `go1.26.8`.
    pub(super) fn version(&self) -> &str {
        &self.version
    }

    /// Builds one program and puts it, complete or not at all, into `target`. `packages` are there for runc.
    pub(super) fn build(
        &self,
        module: &Module,
        program: Program,
        packages: Option<&Packages>,
        target: &Path,
        progress: &mut Progress,
    ) -> Result<(), Error> {
        let partial = target.join(format!("{program}.{}.{PARTIAL}", std::process::id()));
        let linker_flags = match packages {
            Some(_) => format!("{} -extldflags -static", module.linker_flags),
            None => module.linker_flags.to_owned(),
        };
        let mut arguments: Vec<OsString> = ["build", "-buildvcs=false", "-mod=readonly", "-trimpath"]
            .map(OsString::from)
            .into();
        arguments.extend(["-tags", program.tags(), "-ldflags", &linker_flags, "-o"].map(OsString::from));
        arguments.extend([partial.clone().into_os_string(), program.package().into()]);
        let mut environment: Vec<_> = environment().map(|(name, value)| (name.into(), value.into())).collect();
        environment.extend(packages.map(Packages::environment).transpose()?.into_iter().flatten());
        let go = Launch::new(Path::new("go"), GRACE)
            .arguments(&arguments)
            .environment(environment)
            .folder(&self.module_folder);
        let log = target.join(format!("{program}.log"));
        let command = command_line(&arguments);
        match run_long(go, &log, progress)? {
            Ran::Well => {}
            Ran::Badly { output } => return Err(Error::Go { command, output }),
            Ran::Never { source } => return Err(Error::RunGo { command, source }),
        }
        if program == Program::Kwok {
            self.copy_stages(target)?;
        }
        rename(&partial, &target.join(program.name()))
    }

    /// Joins kwok's stages into one file, so that later starts need neither Go nor its module cache.
    fn copy_stages(&self, target: &Path) -> Result<(), Error> {
        let module = run(
            &self.module_folder,
            &["list", "-mod=readonly", "-m", "-f", "{{.Dir}}", "sigs.k8s.io/kwok"],
        )?;
        let folder = Path::new(module.trim()).join("kustomize/stage");
        let mut stages = Vec::new();
        for stage in STAGES {
            let path = folder.join(stage);
            stages.push(fs::read_to_string(&path).map_err(Error::cache("read", &path))?);
        }
        let partial = target.join(format!("{KWOK_STAGES}.{PARTIAL}"));
        fs::write(&partial, stages.join("\n---\n")).map_err(Error::cache("write", &partial))?;
        rename(&partial, &target.join(KWOK_STAGES))
    }
}

/// What came of a command.
pub(super) enum Ran {
    /// It succeeded.
    Well,
    /// It failed, and said why.
    Badly {
        /// What it printed.
        output: String,
    },
    /// It could not be started.
    Never {
        /// Why not.
        source: io::Error,
    },
}

/// Runs a command as a child that cannot outlive us, and draws the progress meanwhile. Its output goes to the file `log`.
pub(super) fn run_long(launch: Launch, log: &Path, progress: &mut Progress) -> Result<Ran, Error> {
    let output = File::create(log).map_err(Error::cache("create", log))?;
    let mut child = match launch.spawn(output) {
        Ok(child) => child,
        Err(source) => return Ok(Ran::Never { source }),
    };
    let status = loop {
        progress.tick();
        if let Some(status) = child.wait(TICK) {
            break status;
        }
    };
    let output = fs::read_to_string(log).unwrap_or_default();
    if !status.success() {
        return Ok(Ran::Badly { output });
    }
    let _ = fs::remove_file(log);
    Ok(Ran::Well)
}

/// Writes the files, each atomically: another process may do the same or build from them right now.
fn write_module(module: &Module, folder: &Path) -> Result<(), Error> {
    for (name, content) in module.files {
        let path = folder.join(name);
        let parent = path.parent().unwrap_or(folder);
        fs::create_dir_all(parent).map_err(Error::cache("create", parent))?;
        if fs::read_to_string(&path).is_ok_and(|present| present == *content) {
            continue;
        }
        let partial = folder.join(format!("{name}.{}.{PARTIAL}", std::process::id()));
        fs::write(&partial, content).map_err(Error::cache("write", &partial))?;
        rename(&partial, &path)?;
    }
    Ok(())
}

pub(super) fn run(folder: &Path, arguments: &[&str]) -> Result<String, Error> {
    run_by(&[], folder, arguments)
}

/// Runs go with further variables, such as those that choose another Go.
fn run_by(variables: &[(&str, &str)], folder: &Path, arguments: &[&str]) -> Result<String, Error> {
    let command = command_line(&arguments.iter().map(OsString::from).collect::<Vec<_>>());
    let mut go = Command::new("go");
    go.args(arguments).envs(environment()).envs(variables.iter().copied());
    let output = go.current_dir(folder).output();
    let output = output.map_err(|source| Error::RunGo {
        command: command.clone(),
        source,
    })?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        // With -json, go says on its output why it failed.
        let printed = [output.stdout, output.stderr].concat();
        Err(Error::Go {
            command,
            output: String::from_utf8_lossy(&printed).into_owned(),
        })
    }
}

/// Keeps the user's flags and workspaces out, and needs no C compiler.
pub(super) fn environment() -> impl Iterator<Item = (&'static str, &'static str)> {
    [("CGO_ENABLED", "0"), ("GOFLAGS", ""), ("GOWORK", "off")].into_iter()
}

fn command_line(arguments: &[OsString]) -> String {
    let words: Vec<_> = arguments.iter().map(|argument| argument.to_string_lossy()).collect();
    format!("go {}", words.join(" "))
}

pub(super) fn rename(from: &Path, to: &Path) -> Result<(), Error> {
    fs::rename(from, to).map_err(Error::cache("write", to))
}

/// Runs `go build` with these arguments in the source of a main module, with further variables, and draws the progress. Whoever reads an
/// error of it is told `what` was run.
pub(super) fn main_module(
    source: &Path,
    arguments: &[OsString],
    variables: &[(&str, &str)],
    log: &Path,
    progress: &mut Progress,
    what: String,
) -> Result<(), Error> {
    let flags = ["build", "-buildvcs=false", "-mod=readonly", "-trimpath"].map(OsString::from);
    let arguments: Vec<OsString> = flags.into_iter().chain(arguments.iter().cloned()).collect();
    let go = Launch::new(Path::new("go"), GRACE)
        .arguments(&arguments)
        .environment(environment().map(|(name, value)| (name.into(), value.into())))
        .environment(variables.iter().map(|(name, value)| (name.into(), value.into())))
        .folder(source);
    match run_long(go, log, progress)? {
        Ran::Well => Ok(()),
        Ran::Badly { output } => Err(Error::Go { command: what, output }),
        Ran::Never { source } => Err(Error::RunGo { command: what, source }),
    }
}

/// The folder of a module's source, which is what it was when its sum was pinned.
pub(super) fn fetch(folder: &Path, module: &str, sum: &str) -> Result<PathBuf, Error> {
    fetch_by(&[], folder, module, sum)
}

/// Does so with further variables, such as those that choose another Go.
pub(super) fn fetch_by(variables: &[(&str, &str)], folder: &Path, module: &str, sum: &str) -> Result<PathBuf, Error> {
    let arguments = ["mod", "download", "-json", module];
    let printed = run_by(variables, folder, &arguments)?;
    let told: serde_json::Value = serde_json::from_str(&printed).unwrap_or_default();
    match (told["Dir"].as_str(), told["Sum"].as_str()) {
        (Some(source), Some(told)) if told == sum => Ok(PathBuf::from(source)),
        _ => Err(Error::Go {
            command: format!("go {}", arguments.join(" ")),
            output: format!("it is not the module with the sum {sum}: {printed}"),
        }),
    }
}

/// Copies a folder; the copies can be written to, as what is in the module cache cannot.
pub(super) fn copy(from: &Path, to: &Path) -> Result<(), Error> {
    fs::create_dir_all(to).map_err(Error::cache("create", to))?;
    for entry in fs::read_dir(from).map_err(Error::cache("read", from))? {
        let path = entry.map_err(Error::cache("read", from))?.path();
        let target = to.join(path.file_name().unwrap_or_default());
        if path.is_dir() {
            copy(&path, &target)?;
        } else {
            let bytes = fs::read(&path).map_err(Error::cache("read", &path))?;
            fs::write(&target, bytes).map_err(Error::cache("write", &target))?;
        }
    }
    Ok(())
}
