//! Charts rendered by helm, in the sandbox: no network, no cluster, no other process, and nothing left behind.
//!
//! A run costs tens of milliseconds and most looks at an environment change nothing, so what helm gave is kept under the digest of
//! everything that it is a function of.

mod cache;
mod complaint;
mod folder;

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Semaphore;

use self::cache::{Cache, Key};
use self::folder::Folder;
use super::Error;
use super::sandbox::{Limits, Program, Sandbox};
use crate::domain::bundle::{BundleFiles, Definitions, Problem};
use crate::domain::render::{Document, MAX_OUTPUT, Release, RenderErrors};

/// How many helms run at one time: each may use a processor and much memory.
const PLACES: usize = 2;

/// Which helm renders charts, and which cluster they see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HelmSettings {
    /// The program; `None`: the first `helm` in `PATH`.
    pub program: Option<PathBuf>,
    /// The version of Kubernetes that charts see, as `.Capabilities.KubeVersion`: fixed, so that an upgrade of the cluster alone
    /// changes no environment.
    pub kube_version: String,
    /// What charts see as `.Capabilities.APIVersions` beyond Kubernetes' own.
    pub api_versions: Vec<String>,
}

/// Runs helm. Clones share what was kept.
#[derive(Debug, Clone)]
pub(super) struct Helm {
    settings: Arc<HelmSettings>,
    sandbox: Sandbox,
    places: Arc<Semaphore>,
    cache: Arc<Mutex<Cache>>,
}

impl Default for HelmSettings {
    fn default() -> Self {
        Self {
            program: None,
            kube_version: "1.33.0".to_owned(),
            api_versions: Vec::new(),
        }
    }
}

impl Helm {
    /// A helm that has not run yet. The sandbox is set up by `launcher`, a build of this program.
    pub(super) fn new(settings: HelmSettings, launcher: PathBuf) -> Self {
        Self {
            settings: Arc::new(settings),
            sandbox: Sandbox::new(launcher),
            places: Arc::new(Semaphore::new(PLACES)),
            cache: Arc::default(),
        }
    }

    /// The key of what a release gives.
    pub(super) fn key(&self, files: &BundleFiles, release: &Release) -> Key {
        cache::key(files, release, &self.settings)
    }

    /// The documents that were kept under a key.
    pub(super) fn kept(&self, key: &Key) -> Option<Vec<Document>> {
        self.with_cache(|cache| cache.get(key))
    }

    /// Keeps documents that came from `size` bytes of helm's output.
    pub(super) fn keep(&self, key: Key, documents: &[Document], size: usize) {
        self.with_cache(|cache| cache.put(key, documents, size));
    }

    fn with_cache<T>(&self, work: impl FnOnce(&mut Cache) -> T) -> T {
        // What is kept is whole at any time, also after a panic elsewhere.
        work(&mut self.cache.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    /// What helm prints for a release.
    ///
    /// # Errors
    /// There is no helm; it cannot run; or what it says of the chart.
    pub(super) async fn output(&self, files: &BundleFiles, release: &Release) -> Result<String, Error> {
        let helm = self.program()?;
        let _place = self.places.acquire().await.ok();
        let (bytes, wanted) = (files.clone(), release.clone());
        let folder = tokio::task::spawn_blocking(move || Folder::new(&bytes, &wanted)).await;
        let folder = folder
            .map_err(std::io::Error::other)
            .and_then(|folder| folder)
            .map_err(Error::WriteChart)?;
        let program = self.invocation(helm, &folder, release);
        let output = self.run(&program, release).await?;
        if release.is_unordered && self.run(&program, release).await? != output {
            let message = "gives something else each time that it is rendered: does it use keys or values without sortAlpha?";
            let file = release.settings.file("templates");
            return Err(Error::RenderBundle(RenderErrors(vec![Problem::in_file(&file, message)])));
        }
        Ok(output)
    }

    async fn run(&self, program: &Program, release: &Release) -> Result<String, Error> {
        let output = self.sandbox.run(program.clone(), limits()).await.map_err(Error::RunHelm)?;
        if output.code != 0 {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(Error::RenderBundle(RenderErrors(complaint::problems(&said, release))));
        }
        String::from_utf8(output.stdout).map_err(|_| {
            let problem = Problem::in_file(&release.settings.file("templates"), "the rendered text is not UTF-8");
            Error::RenderBundle(RenderErrors(vec![problem]))
        })
    }

    fn program(&self) -> Result<PathBuf, Error> {
        let in_path = || {
            let path = std::env::var_os("PATH")?;
            std::env::split_paths(&path)
                .map(|folder| folder.join("helm"))
                .find(|file| file.is_file())
        };
        let given = self.settings.program.clone();
        let found = match &given {
            Some(file) => Some(file.clone()).filter(|file| file.is_file()),
            None => in_path(),
        };
        found.ok_or(Error::FindHelm { program: given })
    }

    fn invocation(&self, helm: PathBuf, folder: &Folder, release: &Release) -> Program {
        let mut args: Vec<OsString> = vec!["template".into(), (&release.name).into(), folder.chart().into()];
        args.extend(["--namespace".into(), (&release.namespace).into()]);
        args.extend(["--values".into(), folder.values().into()]);
        args.extend(["--kube-version".into(), (&self.settings.kube_version).into()]);
        for version in &self.settings.api_versions {
            args.extend(["--api-versions".into(), version.into()]);
        }
        args.push("--skip-tests".into());
        if release.settings.crds == Definitions::Apply {
            args.push("--include-crds".into());
        }
        Program {
            path: helm,
            args,
            working_directory: folder.home(),
            environment: environment(folder),
            stdin: Vec::new(),
        }
    }
}

/// helm finds nothing of a user: no repositories, no registries, no plugins, no cluster.
fn environment(folder: &Folder) -> Vec<(OsString, OsString)> {
    let home = OsString::from(folder.home());
    let homes = [
        "HOME",
        "HELM_CACHE_HOME",
        "HELM_CONFIG_HOME",
        "HELM_DATA_HOME",
        "HELM_PLUGINS",
        "TMPDIR",
        "XDG_CACHE_HOME",
        "XDG_CONFIG_HOME",
        "XDG_DATA_HOME",
    ];
    let fixed = [
        ("KUBECONFIG", "/dev/null"),
        ("TZ", "UTC"),
        ("NO_COLOR", "1"),
        ("GOMEMLIMIT", "512MiB"),
    ];
    let homes = homes.into_iter().map(|name| (name.into(), home.clone()));
    homes
        .chain(fixed.into_iter().map(|(name, value)| (name.into(), value.into())))
        .collect()
}

fn limits() -> Limits {
    Limits {
        cpu: Duration::from_secs(10),
        wall: Duration::from_secs(20),
        // helm does not start with less than 1.2 GiB of address space, nearly all of which it never touches.
        memory: 1536 * 1024 * 1024,
        output: MAX_OUTPUT + 1,
        ..Limits::default()
    }
}
