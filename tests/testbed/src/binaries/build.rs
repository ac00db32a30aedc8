//! Runs the Go toolchain.

use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::module::Module;
use super::progress::Progress;
use super::{Error, KWOK_STAGES, Program};
use crate::process::Launch;

/// The extension of files that are not complete yet.
pub(super) const PARTIAL: &str = "partial";

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

    /// Builds one program and puts it, complete or not at all, into `target`.
    pub(super) fn build(&self, module: &Module, program: Program, target: &Path, progress: &mut Progress) -> Result<(), Error> {
        let partial = target.join(format!("{program}.{}.{PARTIAL}", std::process::id()));
        let arguments: Vec<OsString> = [
            "build",
            "-buildvcs=false",
            "-mod=readonly",
            "-trimpath",
            "-ldflags",
            module.linker_flags,
            "-o",
        ]
        .iter()
        .map(OsString::from)
        .chain([partial.clone().into_os_string(), program.package().into()])
        .collect();
        self.run_long(&arguments, &target.join(format!("{program}.log")), progress)?;
        if program == Program::Kwok {
            self.copy_stages(target)?;
        }
        rename(&partial, &target.join(program.name()))
    }

    /// Runs go as a child that cannot outlive us, and draws the progress meanwhile.
    fn run_long(&self, arguments: &[OsString], log: &Path, progress: &mut Progress) -> Result<(), Error> {
        let command = command_line(arguments);
        let output = File::create(log).map_err(Error::cache("create", log))?;
        let mut go = Launch::new(Path::new("go"), Duration::from_secs(2))
            .arguments(arguments)
            .environment(environment().map(|(name, value)| (name.into(), value.into())))
            .folder(&self.module_folder)
            .spawn(output)
            .map_err(|source| Error::RunGo {
                command: command.clone(),
                source,
            })?;
        let status = loop {
            progress.tick();
            if let Some(status) = go.wait(TICK) {
                break status;
            }
        };
        let output = fs::read_to_string(log).unwrap_or_default();
        if !status.success() {
            return Err(Error::Go { command, output });
        }
        let _ = fs::remove_file(log);
        Ok(())
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

/// Writes the files, each atomically: another process may do the same or build from them right now.
fn write_module(module: &Module, folder: &Path) -> Result<(), Error> {
    fs::create_dir_all(folder).map_err(Error::cache("create", folder))?;
    for (name, content) in module.files {
        let path = folder.join(name);
        if fs::read_to_string(&path).is_ok_and(|present| present == *content) {
            continue;
        }
        let partial = folder.join(format!("{name}.{}.{PARTIAL}", std::process::id()));
        fs::write(&partial, content).map_err(Error::cache("write", &partial))?;
        rename(&partial, &path)?;
    }
    Ok(())
}

fn run(folder: &Path, arguments: &[&str]) -> Result<String, Error> {
    let command = command_line(&arguments.iter().map(OsString::from).collect::<Vec<_>>());
    let output = Command::new("go").args(arguments).envs(environment()).current_dir(folder).output();
    let output = output.map_err(|source| Error::RunGo {
        command: command.clone(),
        source,
    })?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(Error::Go {
            command,
            output: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }
}

/// Keeps the user's flags and workspaces out, and needs no C compiler.
fn environment() -> impl Iterator<Item = (&'static str, &'static str)> {
    [("CGO_ENABLED", "0"), ("GOFLAGS", ""), ("GOWORK", "off")].into_iter()
}

fn command_line(arguments: &[OsString]) -> String {
    let words: Vec<_> = arguments.iter().map(|argument| argument.to_string_lossy()).collect();
    format!("go {}", words.join(" "))
}

fn rename(from: &Path, to: &Path) -> Result<(), Error> {
    fs::rename(from, to).map_err(Error::cache("write", to))
}
