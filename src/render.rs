//! STAND-IN until the render branch brings its own.
use crate::domain::bundle::{Bundle, Problem};
use crate::domain::render::{RenderContext, RenderErrors, Rendered, render as pure};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
/// e
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// p
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Problems(Vec<Problem>),
    /// io
    #[error("could not read it")]
    Read(#[source] std::io::Error),
}
/// l
pub fn load_directory(path: &Path) -> Result<Bundle, Error> {
    let mut files = BTreeMap::new();
    fn walk(root: &Path, dir: &Path, files: &mut BTreeMap<String, Vec<u8>>) -> std::io::Result<()> {
        for e in std::fs::read_dir(dir)? {
            let e = e?;
            if e.path().is_dir() {
                walk(root, &e.path(), files)?;
            } else {
                files.insert(
                    e.path().strip_prefix(root).map(|p| p.display().to_string()).unwrap_or_default(),
                    std::fs::read(e.path())?,
                );
            }
        }
        Ok(())
    }
    walk(path, path, &mut files).map_err(Error::Read)?;
    Bundle::parse(&files).map_err(Error::Problems)
}
/// r
pub async fn render(bundle: Arc<Bundle>, context: RenderContext) -> Result<Rendered, RenderErrors> {
    pure(&bundle, &context)
}
