//! Bundles from wherever a Project says: bytes in, files under a digest out. What the files mean is none of its business.
//!
//! What is named by its content (a commit, a digest) is fetched once and kept under a budget; what can change under its name (a
//! directory, a ConfigMap) is read anew for each pass.

pub(super) mod address;
mod archive;
mod cache;
mod config_map;
mod directory;
mod mirrors;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use kube::{Api, Client};

use self::archive::Archives;
use self::cache::{Cache, Key};
use self::mirrors::places;
use super::desired::Wish;
use super::hosts::{Connected, Hosts};
use super::settings::SourceSettings;
use crate::api::GitHost;
use crate::cluster::connection::within;
use crate::domain::bundle::archive::ArchiveError;
use crate::domain::bundle::{BundleFiles, Layout, Problem};
use crate::domain::git::{Commit, TreePath};
use crate::domain::name::{GitHostKey, NameError, ObjectName};
use crate::domain::policy::{ArchiveUrl, BundleSource, Sha256, TemplatesFrom};
use crate::githost::{self, Class};
use crate::{cluster, render};

/// All sources of bundles. Clones share the cache.
#[derive(Clone)]
pub struct Sources {
    settings: Arc<SourceSettings>,
    client: Client,
    hosts: Hosts,
    archives: Archives,
    cache: Cache,
}

/// Why there are no files.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A directory could not be read.
    #[error("could not read the directory")]
    ReadDirectory(#[source] render::Error),
    /// No bundle of this name is shipped with the server.
    #[error("{0}")]
    FindShipped(String),
    /// The directory is not below a root that the server allows.
    #[error("{0}")]
    AllowDirectory(String),
    /// The ConfigMap could not be read.
    #[error("could not read ConfigMap {name}")]
    ReadConfigMap {
        /// Its name.
        name: ObjectName,
        /// The cause.
        #[source]
        source: Box<cluster::Error>,
    },
    /// The ConfigMap is missing, or its keys are no files.
    #[error("{0}")]
    CheckConfigMap(String),
    /// The Git host of the Project is not connected.
    #[error("GitHost {0} does not exist or is not ready")]
    FindHost(ObjectName),
    /// The default branch has not been seen yet.
    #[error("the repository's default branch has not been seen yet")]
    FindDefaultBranch,
    /// The Git host did not give the files.
    #[error("the files of commit {} could not be had", commit.revision.short())]
    ReadCommit {
        /// The commit.
        commit: Commit,
        /// The cause.
        #[source]
        source: Box<githost::Error>,
    },
    /// The settings of the client for archives cannot be used.
    #[error("could not prepare the client for archives: {0}")]
    PrepareClient(String),
    /// What is asked for of a branch is no path inside of it.
    #[error("the file of the branch has no valid path")]
    NameBranchFile(#[source] NameError),
    /// An archive could not be fetched.
    #[error("could not fetch the archive: {problem}")]
    FetchArchive {
        /// What went wrong.
        problem: String,
        /// Whether it may pass by itself.
        class: Class,
    },
    /// The archive is another one than the Project pins.
    #[error("the archive has the digest {found} and not the one in spec.bundle.archive.sha256: it was changed, or the digest is wrong")]
    CompareDigest {
        /// What its bytes give.
        found: String,
    },
    /// The archive is refused.
    #[error("the archive is refused: {0}")]
    ReadArchive(ArchiveError),
    /// There are more or larger files than a bundle may have.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    LimitFiles(Vec<Problem>),
    /// Another pass was fetching the same, and it failed.
    #[error(transparent)]
    Shared(Arc<Error>),
    /// The fetch ended without an answer, or has not ended yet.
    #[error("fetching has not ended yet; the next pass finds what it brings")]
    Await,
}

/// Finds out whether the settings can be used, before anything depends on them.
///
/// # Errors
/// As [`Sources::new`].
pub fn check(settings: &SourceSettings) -> Result<(), Error> {
    Archives::new(&settings.archive_hosts, settings.ca.as_deref()).map(drop)
}

/// A pass waits for a fetch so long; the fetch goes on, and the next pass finds its result.
const PATIENCE: Duration = Duration::from_secs(30);

impl Error {
    /// What decides when to try again.
    pub fn class(&self) -> Class {
        match self {
            Self::ReadCommit { source, .. } => source.class(),
            Self::FetchArchive { class, .. } => *class,
            Self::Shared(error) => error.class(),
            Self::ReadConfigMap { .. } | Self::Await | Self::FindDefaultBranch | Self::FindHost(_) => Class::Transient,
            Self::ReadDirectory(_)
            | Self::FindShipped(_)
            | Self::AllowDirectory(_)
            | Self::CheckConfigMap(_)
            | Self::NameBranchFile(_)
            | Self::PrepareClient(_)
            | Self::CompareDigest { .. }
            | Self::ReadArchive(_)
            | Self::LimitFiles(_) => Class::NeedsAttention,
        }
    }

    /// Whether the commit is no head any more, and its host gives the files of heads alone.
    pub fn is_outdated(&self) -> bool {
        match self {
            Self::ReadCommit { source, .. } => matches!(**source, githost::Error::BranchMoved { .. }),
            Self::Shared(error) => error.is_outdated(),
            _ => false,
        }
    }

    /// Whether there are files and they are wrong, rather than no files.
    pub fn is_about_content(&self) -> bool {
        match self {
            Self::ReadDirectory(_) | Self::ReadArchive(_) | Self::LimitFiles(_) => true,
            Self::Shared(error) => error.is_about_content(),
            _ => false,
        }
    }
}

impl Sources {
    /// Sources under the server's settings. `client` reads ConfigMaps and GitHosts.
    ///
    /// # Errors
    /// [`Error::PrepareClient`] when the file with further certificate authorities cannot be used.
    pub fn new(settings: SourceSettings, client: Client, hosts: Hosts) -> Result<Self, Error> {
        Ok(Self {
            archives: Archives::new(&settings.archive_hosts, settings.ca.as_deref())?,
            cache: Cache::new(settings.cache),
            settings: Arc::new(settings),
            client,
            hosts,
        })
    }

    /// The files of the bundle that `wish` asks for.
    ///
    /// # Errors
    /// See [`Error`]. Nothing was changed, and what was fetched before is kept.
    pub async fn files(&self, wish: &Wish) -> Result<Arc<BundleFiles>, Error> {
        match &wish.project.bundle {
            BundleSource::Shipped(name) => {
                let folder = directory::shipped(name, &self.settings.bundles).await?;
                directory::read(folder).await.map(Arc::new)
            }
            BundleSource::Directory(path) => {
                let allowed = directory::allowed(path, &self.settings.roots).await?;
                directory::read(allowed).await.map(Arc::new)
            }
            BundleSource::ConfigMap(name) => self.config_map(wish, name).await.map(Arc::new),
            BundleSource::Repository { path, from } => self.repository(wish, path, *from).await,
            BundleSource::Archive { url, digest } => self.archive(url, digest).await,
        }
    }

    async fn config_map(&self, wish: &Wish, name: &ObjectName) -> Result<BundleFiles, Error> {
        let api = Api::namespaced(self.client.clone(), wish.project.key.namespace.as_str());
        let read = within(
            || format!("read ConfigMap {name}"),
            api.get_opt(name.as_str()),
            cluster::Error::Connect,
        );
        match read.await {
            Ok(Some(object)) => accept(config_map::files(object)?),
            Ok(None) => Err(Error::CheckConfigMap(format!("ConfigMap {name} does not exist"))),
            Err(error) => Err(Error::ReadConfigMap {
                name: name.clone(),
                source: Box::new(error),
            }),
        }
    }

    async fn repository(&self, wish: &Wish, path: &TreePath, from: TemplatesFrom) -> Result<Arc<BundleFiles>, Error> {
        let identity = &wish.identity;
        let commit = match from {
            TemplatesFrom::DefaultBranch => wish.default_branch.clone().ok_or(Error::FindDefaultBranch)?,
            TemplatesFrom::Branch => own_commit(wish),
        };
        let key = Key::Commit {
            host: wish.project.host.clone(),
            repository: identity.repository.clone(),
            revision: commit.revision.clone(),
            path: path.clone(),
        };
        let (sources, places, path) = (self.clone(), places(&wish.project), path.clone());
        let fetch = async move {
            match sources.files_at(&places, &commit, &path).await? {
                Ok(files) => accept(files),
                Err(error) => Err(Error::ReadCommit {
                    commit,
                    source: Box::new(error),
                }),
            }
        };
        self.cached(key, fetch).await
    }

    async fn archive(&self, url: &ArchiveUrl, digest: &Sha256) -> Result<Arc<BundleFiles>, Error> {
        let (archives, url, pinned) = (self.archives.clone(), url.clone(), digest.clone());
        let fetch = async move { accept(archives.files(&url, &pinned).await?) };
        self.cached(Key::Archive(digest.clone()), fetch).await
    }

    /// A file of the environment's own branch at its very commit; `None` if the commit has none. What it says is the branch's word: it
    /// must grant nothing that the Project does not.
    ///
    /// # Errors
    /// As [`Sources::files`].
    pub async fn branch_file(&self, wish: &Wish, file: &'static str) -> Result<Option<Vec<u8>>, Error> {
        let path: &TreePath = &file.parse().map_err(Error::NameBranchFile)?;
        let commit = own_commit(wish);
        let (sources, places, place) = (self.clone(), places(&wish.project), path.clone());
        let key = Key::Commit {
            host: wish.project.host.clone(),
            repository: wish.identity.repository.clone(),
            revision: commit.revision.clone(),
            path: path.clone(),
        };
        let fetch = async move {
            let files = match sources.files_at(&places, &commit, &place).await? {
                Ok(files) => files,
                // That there is none is kept too, or every pass would ask again.
                Err(githost::Error::PathNotFound { .. }) => BTreeMap::new(),
                Err(error) => {
                    let source = Box::new(error);
                    return Err(Error::ReadCommit { commit, source });
                }
            };
            BundleFiles::new(files).map_err(Error::LimitFiles)
        };
        let files = self.cached(key, fetch).await?;
        let name = path.parts().last().unwrap_or_default();
        Ok(files.files().get(name).cloned())
    }

    async fn cached(
        &self,
        key: Key,
        fetch: impl Future<Output = Result<BundleFiles, Error>> + Send + 'static,
    ) -> Result<Arc<BundleFiles>, Error> {
        match tokio::time::timeout(PATIENCE, self.cache.get(key, fetch)).await {
            Ok(Ok(files)) => Ok(files),
            Ok(Err(error)) => Err(Error::Shared(error)),
            Err(_) => Err(Error::Await),
        }
    }

    /// The connection to a Git host, made now if nobody has met it yet.
    async fn connected(&self, key: &GitHostKey) -> Option<Connected> {
        if let Some(connected) = self.hosts.get(key) {
            return Some(connected);
        }
        let api: Api<GitHost> = Api::namespaced(self.client.clone(), key.namespace.as_str());
        let object = within(
            || format!("read GitHost {}", key.name),
            api.get_opt(key.name.as_str()),
            cluster::Error::Connect,
        );
        self.hosts.refresh(&object.await.ok().flatten()?, None).await;
        self.hosts.get(key)
    }
}

fn own_commit(wish: &Wish) -> Commit {
    Commit {
        branch: wish.identity.branch.clone(),
        revision: wish.identity.revision.clone(),
    }
}

/// Takes in what a source gave: what is no part of a bundle is left out, as in a directory.
fn accept(mut files: BTreeMap<String, Vec<u8>>) -> Result<BundleFiles, Error> {
    let layout = Layout::of(files.keys().map(String::as_str));
    files.retain(|path, _| layout.includes(path));
    BundleFiles::new(files).map_err(Error::LimitFiles)
}
