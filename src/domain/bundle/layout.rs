//! Which files make a bundle: those of its own layout, or those of a Helm chart that stands in its place.

use super::problem::Problem;

/// The folder of a bundle that holds a Helm chart.
pub(super) const CHART_FOLDER: &str = "chart";

/// How deep folders of a chart may be nested.
const MAX_DEPTH: usize = 16;

/// What the files of a source are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// A bundle, with `bundle.yaml`.
    Bundle,
    /// A Helm chart by itself: `Chart.yaml` and no `bundle.yaml`.
    Chart,
}

/// Whether a file can be part of a bundle, whatever its layout. Anything else beside them (a README, a licence) is left unread.
pub fn is_bundle_file(path: &str) -> bool {
    Layout::Bundle.includes(path) || Layout::Chart.includes(path)
}

// === impl Layout ===

impl Layout {
    /// The layout that these paths have.
    pub fn of<'a>(paths: impl IntoIterator<Item = &'a str>) -> Self {
        let mut is_chart = false;
        for path in paths {
            match path {
                "bundle.yaml" => return Self::Bundle,
                "Chart.yaml" => is_chart = true,
                _ => {}
            }
        }
        if is_chart { Self::Chart } else { Self::Bundle }
    }

    /// Whether a file is part of a bundle of this layout.
    ///
    /// Of a chart, only the files of Helm's own layout are, and those below `files/`: a template that reads another one is refused.
    pub fn includes(self, path: &str) -> bool {
        match self {
            Self::Bundle => {
                matches!(path, "bundle.yaml" | "values.yaml" | "values.schema.json" | "pipeline.yaml")
                    || (is_below(path, "templates") && !is_prose(path))
                    || (is_below(path, "manifests") && !path.ends_with(".md"))
                    || (is_below(path, CHART_FOLDER) && is_chart_file(path))
            }
            Self::Chart => {
                matches!(
                    path,
                    "Chart.yaml" | "Chart.lock" | "values.yaml" | "values.schema.json" | ".helmignore"
                ) || (["templates", "charts", "crds", "files"].iter().any(|folder| is_below(path, folder)) && is_chart_file(path))
            }
        }
    }

    /// Whether files of a folder, given by its path, can be part of a bundle of this layout.
    pub fn descends(self, folder: &str) -> bool {
        let depth = folder.split('/').count();
        let top = folder.split('/').next().unwrap_or_default();
        match self {
            Self::Bundle => matches!(folder, "templates" | "manifests") || (top == CHART_FOLDER && depth <= MAX_DEPTH),
            Self::Chart => matches!(top, "templates" | "charts" | "crds" | "files") && depth <= MAX_DEPTH,
        }
    }
}

/// Whether objects come from a file of a bundle: a template, plain YAML, or a template of its chart.
pub(super) fn gives_objects(file: &str) -> bool {
    let name = file.rsplit('/').next().unwrap_or_default();
    let is_yaml = name.ends_with(".yaml") || name.ends_with(".yml");
    let is_chart = is_below(file, CHART_FOLDER) && file.contains("/templates/");
    is_yaml && !name.starts_with('_') && (is_below(file, "templates") || is_below(file, "manifests") || is_chart)
}

/// What is wrong with the place or the name of a file below `templates/` or `manifests/`.
pub(super) fn misplaced(file: &str) -> Option<Problem> {
    let (folder, name) = file.split_once('/')?;
    if name.contains('/') {
        return Some(Problem::in_file(file, format!("is in a folder below {folder}: move it up")));
    }
    let is_yaml = name.ends_with(".yaml") || name.ends_with(".yml");
    if folder == "manifests" {
        return (!is_yaml).then(|| Problem::in_file(file, "is no manifest (NAME.yaml, NAME.yml)"));
    }
    let is_partial = name.starts_with('_') && name.ends_with(".hbs");
    let is_template = !name.starts_with('_') && is_yaml;
    (!is_partial && !is_template).then(|| Problem::in_file(file, "is neither a template (NAME.yaml, NAME.yml) nor a partial (_NAME.hbs)"))
}

/// Whether a file of a chart need not be text: what helm reads as a template or as YAML has to be.
pub(super) fn may_be_binary(path: &str) -> bool {
    let inside = path.strip_prefix("chart/").unwrap_or(path);
    let is_chart = inside != path || inside.starts_with("charts/") || inside.starts_with("files/");
    is_chart && !inside.split('/').any(|part| part == "templates") && !inside.ends_with(".yaml") && !inside.ends_with(".json")
}

fn is_below(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
}

/// Text for people beside the templates.
fn is_prose(file: &str) -> bool {
    file.ends_with(".md") || file == "templates/NOTES.txt"
}

/// What editors and version control leave behind is no part of a chart, nor is prose.
fn is_chart_file(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    (!name.starts_with('.') || name == ".helmignore") && !name.ends_with(".md")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn feature_p5_a_chart_without_a_bundle_around_it_is_a_layout_of_its_own() {
        assert_eq!(Layout::of(["Chart.yaml", "values.yaml"]), Layout::Chart);
        assert_eq!(Layout::of(["Chart.yaml", "bundle.yaml"]), Layout::Bundle);
        assert_eq!(Layout::of(["templates/a.yaml"]), Layout::Bundle);
    }

    #[test]
    fn feature_p5_each_layout_has_its_own_files() {
        for (path, in_bundle, in_chart) in [
            ("bundle.yaml", true, false),
            ("values.yaml", true, true),
            ("Chart.yaml", false, true),
            ("manifests/a.yaml", true, false),
            ("manifests/a.md", false, false),
            ("templates/NOTES.txt", false, true),
            ("templates/a/b.yaml", true, true),
            ("chart/Chart.yaml", true, false),
            ("chart/charts/x/.git", false, false),
            ("chart/.helmignore", true, false),
            ("charts/x-1.0.0.tgz", false, true),
            ("charts/x.md", false, false),
            ("files/a.conf", false, true),
            ("elsewhere/a.conf", false, false),
            ("chartish/a.yaml", false, false),
        ] {
            let found = (Layout::Bundle.includes(path), Layout::Chart.includes(path));
            assert_eq!(found, (in_bundle, in_chart), "{path}");
        }
    }
}
