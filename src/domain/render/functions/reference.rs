//! The table of all helpers for people, written from the tables that the engine uses.

use std::fmt::Write;

use super::all;
use crate::domain::render::helpers;

/// All helpers and blocks as a Markdown table.
pub fn reference() -> String {
    let blocks = helpers::described_blocks().map(|(arity, description)| (arity.usage, description));
    let mut functions: Vec<_> = all()
        .map(|function| (function.name, function.arity.usage, function.description))
        .chain(helpers::described_calls().map(|(name, arity, description)| (name, arity.usage, description)))
        .collect();
    functions.sort_by_key(|(name, ..)| (name.to_ascii_lowercase(), *name));
    let mut out = String::from(INTRODUCTION);
    table(&mut out, "Blocks", blocks);
    table(
        &mut out,
        "Helpers",
        functions.into_iter().map(|(_, usage, description)| (usage, description)),
    );
    out.push_str(DIFFERENCES);
    out
}

fn table(out: &mut String, title: &str, rows: impl Iterator<Item = (&'static str, &'static str)>) {
    let _ = write!(out, "\n## {title}\n\n| write | what it gives |\n|---|---|\n");
    for (usage, description) in rows {
        let _ = writeln!(out, "| `{}` | {} |", usage.replace('|', "\\|"), description.replace('|', "\\|"));
    }
}

const INTRODUCTION: &str = "\
<!-- Generated from src/domain/render/functions: INSTA_UPDATE=always cargo test --test it helpers:: -->
# Template helpers

Names, meaning and order of arguments are Helm's where Helm has them: the value to work on comes last. Handlebars has no pipes; what
Helm writes as `{{ .Values.name | trunc 63 | quote }}` is `{{quote (trunc 63 values.name)}}` here.

No helper reads a file, the process environment, the clock, the network or the cluster. The same input gives the same output.
A name that is not defined is an error, except where a helper's description says otherwise. What a helper gives is at most 1 MiB.
";

const DIFFERENCES: &str = "
## Where Helm differs

- **Undefined and null are errors** where Helm writes nothing, or `<nil>`: `quote`, `upper` and the like refuse null. `default`,
  `coalesce`, `empty` and `required` take undefined values; `hasKey`, `get` and `dig` take an undefined mapping.
- **Strings stay strings.** A value is never read as YAML again: a tag `1.10` or a branch `true` stays text without `quote`.
  `toYaml`, `toJson` and `include` give structure; what another helper makes of them is text. Text written by `toYaml` is the same
  YAML as Helm's, but not the same bytes.
- **`tpl` gives text.** What it renders cannot change the structure of the document; `{{toYaml (fromYaml (tpl …))}}` says so
  expressly. The text may include partials, if these do not call `tpl`, and may nest blocks 16 deep, one of them a loop.
- **`include` and partials** are named by a literal. `include` drops the newlines at the end.
- **Whole numbers stay whole.** 1000000 is `1000000`, not `1e+06`, and `eq 1 1.0` is true. Text that is no number is refused by `int`
  and arithmetic, where Helm takes it for 0; what does not fit into 64 bits is refused, where Helm wraps around.
- **`trunc` counts characters**, not bytes. `replace` refuses an empty text to replace.
- **Comparing different types**: `eq \"1\" 1` is false where Helm fails.
- **Lines.** A block's tag alone on its line leaves no line behind, so charts' `{{-` is not needed. `~` cuts off white space and
  line ends on its side: `key:{{~ nindent 4 (toYaml x)}}`. At a block's tag it joins the lines around it.
- **A value keeps its last line end in a block scalar**: below `key: |`, a text that ends with one gives an empty line more than
  Helm's. `key: {{quote values.text}}` is exact.
- **Names in blocks.** Inside `#each`, `#range`, `#with` and a partial with a context, the outermost names begin with `@root.`, where
  Helm writes `$.`: `{{@root.values.port}}`. `@root` alone is everything, `this` what is around.
- **`keys` and `values` are sorted.**
- **`fromYaml` and `fromJson` fail** on text that cannot be read, and give lists and scalars too.
- **Random text is derived**, not drawn: `randAlphaNum`, `randAlpha`, `randNumeric` and `uuidv4` take a label, and give the same for
  the same environment and label for ever. It is **not secret**: whoever knows the bundle and the environment can compute it. For a
  password add a seed that only the Project knows: `{{randAlphaNum 32 \"database\" values.seed}}`.
- **`lookup`** is Handlebars' own. Nothing reads the cluster. `now`, `env`, `getHostByName`, `genCA` and `.Files` do not exist.
";
