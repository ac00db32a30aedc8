//! `graftling bundle new`: a bundle that works, with a comment at each place where one begins.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Args;

use crate::cli::output::print;
use crate::domain::name::check_label;

/// What the bundle is called and where it goes.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Name of the bundle, which is the name of its folder: lower-case letters, digits and '-'
    #[arg(value_name = "NAME", value_parser = parse_name)]
    name: String,
    /// Folder that gets the folder of the bundle
    #[arg(long = "in", value_name = "FOLDER", default_value = ".")]
    folder: PathBuf,
}

/// Why nothing was written, or not everything.
#[derive(Debug, thiserror::Error)]
pub enum NewError {
    /// There is something of that name.
    #[error("{} is already there: choose another name, or remove it", path.display())]
    FindFree {
        /// What is there.
        path: PathBuf,
    },
    /// A folder or a file could not be made.
    #[error("could not write {}", path.display())]
    Write {
        /// The folder or file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
}

/// The files of the new bundle. `{NAME}` stands for its name.
const FILES: [(&str, &str); 11] = [
    ("bundle.yaml", include_str!("skeleton/bundle.yaml")),
    ("values.yaml", include_str!("skeleton/values.yaml")),
    ("values.schema.json", include_str!("skeleton/values.schema.json")),
    ("pipeline.yaml", include_str!("skeleton/pipeline.yaml")),
    ("README.md", include_str!("skeleton/README.md")),
    ("templates/_labels.hbs", include_str!("skeleton/templates/_labels.hbs")),
    (
        "templates/configuration.yaml",
        include_str!("skeleton/templates/configuration.yaml"),
    ),
    ("templates/web.yaml", include_str!("skeleton/templates/web.yaml")),
    ("templates/ingress.yaml", include_str!("skeleton/templates/ingress.yaml")),
    ("tests/default.yaml", include_str!("skeleton/tests/default.yaml")),
    ("tests/golden/default.yaml", include_str!("skeleton/tests/golden/default.yaml")),
];

/// Writes the bundle and says what to do next.
pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let root = arguments.folder.join(&arguments.name);
    write(&root, &arguments.name)?;
    let place = root.display();
    print(&format!(
        "{place} is a bundle that works. Next:\n  \
         graftling bundle lint {place}\n  \
         graftling bundle test {place}\n  \
         graftling render --bundle {place} --branch feature/example\n"
    ))?;
    Ok(())
}

fn write(root: &Path, name: &str) -> Result<(), NewError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        |source| NewError::Write { path, source }
    };
    if let Some(parent) = root.parent() {
        fs::create_dir_all(parent).map_err(failed(parent))?;
    }
    // This is what finds out whether the name is free: nobody can come in between.
    match fs::create_dir(root) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(NewError::FindFree { path: root.to_owned() }),
        other => other.map_err(failed(root))?,
    }
    for folder in ["templates", "tests", "tests/golden"] {
        let path = root.join(folder);
        fs::create_dir(&path).map_err(failed(&path))?;
    }
    for (file, text) in FILES {
        let path = root.join(file);
        let mut file = fs::File::create_new(&path).map_err(failed(&path))?;
        file.write_all(text.replace("{NAME}", name).as_bytes()).map_err(failed(&path))?;
    }
    Ok(())
}

fn parse_name(text: &str) -> Result<String, String> {
    match check_label(text) {
        Ok(()) => Ok(text.to_owned()),
        Err(rule) => Err(format!("it {rule}")),
    }
}
