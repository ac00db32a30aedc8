//! Keeps what is known between runs of the sweep: a folder of JSON, in which each line of a file is one cell that is done.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::cell::{Baseline, Cell, Outcome};
use super::injection::Place;
use super::report::Circumstances;
use super::scenario::Scenario;

/// A folder.
#[derive(Debug)]
pub struct Store {
    folder: PathBuf,
}

/// What the runs without faults of a scenario told.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Known {
    /// The run itself.
    pub baseline: Baseline,
    /// The reads of the recovery from a crash halfway.
    pub reads: Vec<Place>,
}

/// Why something could not be kept or found again.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file cannot be read or written.
    #[error("cannot use {}", path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
    /// A file holds something else.
    #[error("cannot understand {}; remove it to begin anew", path.display())]
    Understand {
        /// Which one.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: serde_json::Error,
    },
}

impl Store {
    /// Uses a folder, which is made if it is missing.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn open(folder: &Path) -> Result<Store, Error> {
        fs::create_dir_all(folder).map_err(at(folder))?;
        Ok(Store { folder: folder.to_owned() })
    }

    /// Under which circumstances the cells were run, the last time.
    ///
    /// # Errors
    /// [`Error`].
    pub fn circumstances(&self) -> Result<Circumstances, Error> {
        let path = self.folder.join("circumstances.json");
        let text = fs::read_to_string(&path).map_err(at(&path))?;
        understand(&path, &text)
    }

    /// Keeps the circumstances.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn keep_circumstances(&self, circumstances: &Circumstances) -> Result<(), Error> {
        let path = self.folder.join("circumstances.json");
        fs::write(&path, serde_json::json!(circumstances).to_string()).map_err(at(&path))
    }

    /// What is known of a scenario.
    ///
    /// # Errors
    /// [`Error`].
    pub fn known(&self, scenario: Scenario) -> Result<Option<Known>, Error> {
        let path = self.known_file(scenario);
        match fs::read_to_string(&path) {
            Ok(text) => understand(&path, &text).map(Some),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(Error::File { path, source }),
        }
    }

    /// Keeps what is known of a scenario.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn keep(&self, scenario: Scenario, known: &Known) -> Result<(), Error> {
        let path = self.known_file(scenario);
        let text = serde_json::to_string(known).map_err(|source| Error::Understand {
            path: path.clone(),
            source,
        })?;
        fs::write(&path, text).map_err(at(&path))
    }

    /// How the cells that are done ended; of one that was run twice, the last time.
    ///
    /// # Errors
    /// [`Error`].
    pub fn outcomes(&self) -> Result<BTreeMap<Cell, Outcome>, Error> {
        let path = self.outcomes_file();
        let text = match fs::read_to_string(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            read => read.map_err(at(&path))?,
        };
        let outcomes = text.lines().map(|line| understand::<Outcome>(&path, line));
        outcomes
            .map(|outcome| outcome.map(|outcome| (outcome.cell.clone(), outcome)))
            .collect()
    }

    /// Adds a cell that is done.
    ///
    /// # Errors
    /// [`Error`].
    pub fn add(&self, outcome: &Outcome) -> Result<(), Error> {
        let path = self.outcomes_file();
        let line = serde_json::to_string(outcome).map_err(|source| Error::Understand {
            path: path.clone(),
            source,
        })?;
        let file = OpenOptions::new().create(true).append(true).open(&path);
        file.and_then(|mut file| file.write_all(format!("{line}\n").as_bytes()))
            .map_err(at(&path))
    }

    /// Where logs of runs that failed are.
    pub fn logs(&self) -> PathBuf {
        self.folder.join("logs")
    }

    fn known_file(&self, scenario: Scenario) -> PathBuf {
        self.folder.join(format!("{}.json", scenario.name()))
    }

    fn outcomes_file(&self) -> PathBuf {
        self.folder.join("cells.jsonl")
    }
}

fn understand<T: serde::de::DeserializeOwned>(path: &Path, text: &str) -> Result<T, Error> {
    serde_json::from_str(text).map_err(|source| Error::Understand {
        path: path.to_owned(),
        source,
    })
}

fn at(path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::File { path, source }
}
