//! What a node needs and Go cannot build: two packages of Debian, fetched by apt and unpacked, never installed.
//!
//! apt reads the sources that the machine is set up with and writes to a folder of ours alone: neither its lists nor its cache
//! are touched.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::build::{self, PARTIAL, Ran};
use super::progress::Progress;
use super::{Error, Program};
use crate::process::Launch;

/// The static shell of our images, and the library with which runc filters system calls.
const PACKAGES: [&str; 2] = ["busybox-static", "libseccomp-dev"];

/// Stands in for pkg-config, which a machine need not have: the folders are told by variables.
const PKG_CONFIG: &str = "#!/bin/sh\ncase \" $* \" in *\" --libs \"*) echo -lseccomp ;; esac\n";

/// The unpacked packages. Dropping it removes them.
#[derive(Debug)]
pub(super) struct Packages {
    folder: PathBuf,
}

impl Packages {
    /// The programs that are needed to fetch and unpack.
    pub(super) const TOOLS: [&'static str; 2] = ["apt-get", "dpkg-deb"];

    /// Fetches and unpacks the packages below `target`.
    pub(super) fn fetch(target: &Path, progress: &mut Progress) -> Result<Packages, Error> {
        progress.begin(&format!("fetching {} by apt", PACKAGES.join(" and ")));
        let packages = Packages {
            folder: target.join(format!("debian.{}.{PARTIAL}", std::process::id())),
        };
        // apt insists on these folders.
        for folder in ["lists/partial", "archives/partial", "root"] {
            let folder = packages.folder.join(folder);
            fs::create_dir_all(&folder).map_err(Error::cache("create", &folder))?;
        }
        packages.apt(&["update"], progress)?;
        packages.apt(&[&["download"], PACKAGES.as_slice()].concat(), progress)?;
        for archive in packages.archives()? {
            let arguments = [OsString::from("-x"), archive.into_os_string(), packages.root().into_os_string()];
            packages.run("dpkg-deb", &arguments, progress)?;
        }
        let stand_in = packages.folder.join("pkg-config");
        fs::write(&stand_in, PKG_CONFIG).map_err(Error::cache("write", &stand_in))?;
        make_executable(&stand_in)?;
        Ok(packages)
    }

    /// Puts the shell into `target`, complete or not at all.
    pub(super) fn take_busybox(&self, target: &Path) -> Result<(), Error> {
        let places = ["bin/busybox", "usr/bin/busybox"].map(|place| self.root().join(place));
        let found = places.iter().find(|place| place.is_file()).unwrap_or(&places[0]);
        let partial = target.join(format!("busybox.{}.{PARTIAL}", std::process::id()));
        fs::copy(found, &partial).map_err(Error::cache("copy", found))?;
        make_executable(&partial)?;
        build::rename(&partial, &target.join(Program::Busybox.name()))
    }

    /// The variables with which Go links a program with the library for filters.
    pub(super) fn environment(&self) -> Result<Vec<(OsString, OsString)>, Error> {
        let libraries = self.root().join("usr/lib");
        // Below a folder that is named after the machine's architecture.
        let entries = fs::read_dir(&libraries).map_err(Error::cache("read", &libraries))?;
        let mut folders = entries.filter_map(|entry| Some(entry.ok()?.path()));
        let library = folders.find(|folder| folder.join("libseccomp.a").is_file()).unwrap_or(libraries);
        let flag = |flag: &str, folder: &Path| format!("\"{flag}{}\"", folder.display());
        let variables: [(&str, OsString); 4] = [
            ("CGO_ENABLED", "1".into()),
            ("CGO_CFLAGS", flag("-I", &self.root().join("usr/include")).into()),
            ("CGO_LDFLAGS", flag("-L", &library).into()),
            ("PKG_CONFIG", self.folder.join("pkg-config").into()),
        ];
        Ok(variables.map(|(name, value)| (name.into(), value)).into())
    }

    fn apt(&self, command: &[&str], progress: &mut Progress) -> Result<(), Error> {
        let place = |name: &str, folder: &str| OsString::from(format!("{name}={}", self.folder.join(folder).display()));
        let options = [
            place("Dir::State::lists", "lists"),
            place("Dir::Cache", ""),
            place("Dir::Cache::archives", "archives"),
            // The user to whom apt would drop its rights cannot write here.
            "APT::Sandbox::User=root".into(),
            "Acquire::Languages=none".into(),
            "Acquire::Retries=2".into(),
            "Acquire::http::Timeout=20".into(),
            "Acquire::https::Timeout=20".into(),
        ];
        let mut arguments = vec![OsString::from("--quiet")];
        arguments.extend(options.into_iter().flat_map(|option| ["-o".into(), option]));
        arguments.extend(command.iter().map(OsString::from));
        self.run("apt-get", &arguments, progress)
    }

    fn run(&self, program: &str, arguments: &[OsString], progress: &mut Progress) -> Result<(), Error> {
        let launch = Launch::new(Path::new(program), build::GRACE)
            .arguments(arguments)
            .folder(&self.folder);
        let failed = |output| {
            let words: Vec<_> = arguments.iter().map(|word| word.to_string_lossy()).collect();
            let command = format!("{program} {}", words.join(" "));
            Err(Error::Debian { command, output })
        };
        match build::run_long(launch, &self.folder.join("log"), progress)? {
            Ran::Well => Ok(()),
            Ran::Badly { output } => failed(output),
            Ran::Never { source } => failed(source.to_string()),
        }
    }

    fn archives(&self) -> Result<Vec<PathBuf>, Error> {
        let entries = fs::read_dir(&self.folder).map_err(Error::cache("read", &self.folder))?;
        let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
        Ok(paths.filter(|path| path.extension().is_some_and(|name| name == "deb")).collect())
    }

    fn root(&self) -> PathBuf {
        self.folder.join("root")
    }
}

impl Drop for Packages {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn make_executable(path: &Path) -> Result<(), Error> {
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).map_err(Error::cache("change", path))
}
