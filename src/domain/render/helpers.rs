//! The helpers that a template may call. None of them reads a file, the environment, the clock or the network.

use handlebars::{
    Context, Handlebars, Helper, HelperDef, HelperResult, Output, RenderContext, RenderError, RenderErrorReason, Renderable, ScopedJson,
};
use serde_json::Value;

use super::emit;
use super::functions::{self, Function, is_truthy};
use super::include::{self, Include, Tpl, Work};
pub(crate) use super::include::{INCLUDE, TPL};
use super::mark;
use super::record::{Checked, Record, Recorded};
use super::suggest::did_you_mean;
use crate::domain::bundle::TemplateFile;

/// Writes a value: `{{EMIT line-mark value}}`. Like the two below, no template can call it by this name.
pub(crate) const EMIT: &str = "emit value";
/// A block that is left out when one of its arguments is not defined: `{{#CHECKED place kind argument…}}…{{/CHECKED}}`.
pub(crate) const CHECKED: &str = "check value";
/// Writes its argument, a mark.
pub(crate) const TICK: &str = "count round";

/// How many arguments a helper takes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Arity {
    pub(crate) least: usize,
    pub(crate) most: usize,
    /// How to call it.
    pub(crate) usage: &'static str,
}

/// Each block with what it does in a sentence.
const BLOCKS: [(&str, Arity, &str); 5] = [
    (
        "if",
        block("{{#if VALUE}}…{{else}}…{{/if}}"),
        "The first part where VALUE is not empty (null, false, 0, \"\", [], {}), else the second; `{{else if VALUE}}` asks on.",
    ),
    ("unless", block("{{#unless VALUE}}…{{/unless}}"), "The part where VALUE is empty."),
    (
        "each",
        block("{{#each LIST-OR-MAPPING}}…{{/each}}"),
        "The part for each entry, which is `this`; `@index`, `@key`, `@first` and `@last` say which one it is, `as |value key|` names both. `{{else}}` is for a list or mapping without entries, or null.",
    ),
    (
        RANGE,
        block("{{#range LIST-OR-MAPPING}}…{{/range}}"),
        "The same as each; to count write `{{#range (until 3)}}`.",
    ),
    (
        "with",
        block("{{#with MAPPING}}…{{/with}}"),
        "The part with the entries of MAPPING as names, which an empty one leaves out; `{{else}}` is for that case.",
    ),
];

/// Helm's name for `each`.
pub(crate) const RANGE: &str = "range";

const fn block(usage: &'static str) -> Arity {
    Arity { least: 1, most: 1, usage }
}

/// How the helper `name` is called, if there is one that gives a value.
pub(crate) fn function_arity(name: &str) -> Option<Arity> {
    let call = || described_calls().find(|(call, ..)| *call == name).map(|(_, arity, _)| arity);
    function(name).map(|function| function.arity).or_else(call)
}

/// The names of all helpers that give a value.
pub(crate) fn function_names() -> impl Iterator<Item = &'static str> {
    functions::all()
        .map(|function| function.name)
        .chain(described_calls().map(|(name, ..)| name))
}

/// Whether the last argument of the helper `name` is what it works on, so that a literal there and none before it is a mistake.
pub(crate) fn is_subject_last(name: &str) -> bool {
    function(name).is_some_and(Function::is_subject_last)
}

fn function(name: &str) -> Option<&'static Function> {
    functions::all().find(|function| function.name == name)
}

/// The helpers that render: name, how to call, what it does.
pub(crate) fn described_calls() -> impl Iterator<Item = (&'static str, Arity, &'static str)> {
    include::CALLS.into_iter()
}

/// How the block `#name` is called, if there is one.
pub(crate) fn block_arity(name: &str) -> Option<Arity> {
    BLOCKS.iter().find(|(block, ..)| *block == name).map(|(_, arity, _)| *arity)
}

/// The names of all blocks.
pub(crate) fn block_names() -> impl Iterator<Item = &'static str> {
    BLOCKS.iter().map(|(name, ..)| *name)
}

/// All blocks: how to write each, what it does.
pub(crate) fn described_blocks() -> impl Iterator<Item = (Arity, &'static str)> {
    BLOCKS.iter().map(|(_, arity, description)| (*arity, *description))
}

/// An engine with these helpers and no others, for one rendering of these files: their work is limited in all, and what they have to
/// report is written to `record`.
pub(crate) fn engine(files: &[TemplateFile], record: &Record) -> Handlebars<'static> {
    let mut engine = Handlebars::new();
    engine.set_strict_mode(true);
    engine.register_escape_fn(handlebars::no_escape);
    for builtin in ["gt", "gte", "lt", "lte", "len", "log", "raw"] {
        engine.unregister_helper(builtin);
    }
    let work = Work::new();
    for function in functions::all() {
        let call = Call {
            function,
            work: work.clone(),
        };
        engine.register_helper(function.name, Box::new(Recorded::inside(function.name, call, record)));
    }
    let include = Include { work: work.clone() };
    engine.register_helper(include::INCLUDE, Box::new(Recorded::inside(include::INCLUDE, include, record)));
    let partials = files.iter().filter_map(|file| Some((file.partial.clone()?, file.inside))).collect();
    let tpl = Tpl {
        work,
        partials,
        record: record.clone(),
    };
    engine.register_helper(include::TPL, Box::new(Recorded::inside(include::TPL, tpl, record)));
    for (name, wanted) in [("if", true), ("unless", false)] {
        // The instrumentation adds the place as the second argument.
        engine.register_helper(name, Box::new(Recorded::outermost(name, 1, Condition { wanted }, record)));
    }
    engine.register_helper(EMIT, Box::new(Recorded::outermost("this value", 0, Emit, record)));
    engine.register_helper(CHECKED, Box::new(Recorded::outermost("this value", 0, Checked, record)));
    engine.register_helper(TICK, Box::new(Tick));
    engine
}

// === impl Call ===

/// A helper of the tables, with the budget that its work is taken from.
struct Call {
    function: &'static Function,
    work: Work,
}

impl HelperDef for Call {
    fn call_inner<'reg: 'rc, 'rc>(
        &self,
        helper: &Helper<'rc>,
        _: &'reg Handlebars<'reg>,
        context: &'rc Context,
        render: &mut RenderContext<'reg, 'rc>,
    ) -> Result<ScopedJson<'rc>, RenderError> {
        let count = helper.params().len();
        let mut arguments = Vec::with_capacity(count);
        let mut read = 0_usize;
        for (index, parameter) in helper.params().iter().enumerate() {
            if parameter.is_value_missing() && !self.function.may_be_undefined(index, count) {
                return Err(undefined(parameter.relative_path(), context, render));
            }
            read = read.saturating_add(functions::shallow_size(parameter.value()));
            arguments.push(parameter.value());
        }
        self.work.spend(read)?;
        let value = self.function.call(&arguments, context.data()).map_err(other)?;
        self.work.spend(functions::size(&value, usize::MAX).unwrap_or(read))?;
        Ok(ScopedJson::Derived(value))
    }
}

// === blocks ===

/// `#if` and `#unless`, which know an undefined name; the engine's own take it for false even in strict mode.
struct Condition {
    wanted: bool,
}

impl HelperDef for Condition {
    fn call<'reg: 'rc, 'rc>(
        &self,
        helper: &Helper<'rc>,
        registry: &'reg Handlebars<'reg>,
        context: &'rc Context,
        render: &mut RenderContext<'reg, 'rc>,
        out: &mut dyn Output,
    ) -> HelperResult {
        let parameter = helper.param(0).ok_or(RenderErrorReason::ParamNotFoundForIndex("if", 0))?;
        if parameter.is_value_missing() {
            return Err(undefined(parameter.relative_path(), context, render));
        }
        let branch = if is_truthy(parameter.value()) == self.wanted {
            helper.template()
        } else {
            helper.inverse()
        };
        branch.map_or(Ok(()), |template| template.render(registry, context, render, out))
    }
}

// === what the instrumentation calls ===

struct Emit;

impl HelperDef for Emit {
    fn call_inner<'reg: 'rc, 'rc>(
        &self,
        helper: &Helper<'rc>,
        _: &'reg Handlebars<'reg>,
        context: &'rc Context,
        render: &mut RenderContext<'reg, 'rc>,
    ) -> Result<ScopedJson<'rc>, RenderError> {
        let mark = helper.param(0).and_then(|mark| mark.value().as_str()).unwrap_or_default();
        let parameter = helper.param(1).ok_or(RenderErrorReason::ParamNotFoundForIndex("emit", 1))?;
        if parameter.is_value_missing() {
            return Err(undefined(parameter.relative_path(), context, render));
        }
        let text = emit::emit(parameter.value()).map_err(|message| match parameter.relative_path() {
            Some(path) => other(format!("\"{path}\" {message}")),
            None => other(format!("this value {message}")),
        })?;
        // The text of a partial has its own line marks.
        if mark::has_lines(&text) {
            return Ok(ScopedJson::Derived(Value::String(text)));
        }
        // Each line that it gives came from this line of the template.
        let text = text.replace('\n', &format!("\n{mark}"));
        let begins = if text.starts_with('\n') { "" } else { mark };
        Ok(ScopedJson::Derived(Value::String(format!("{begins}{text}"))))
    }
}

struct Tick;

impl HelperDef for Tick {
    fn call<'reg: 'rc, 'rc>(
        &self,
        helper: &Helper<'rc>,
        _: &'reg Handlebars<'reg>,
        _: &'rc Context,
        _: &mut RenderContext<'reg, 'rc>,
        out: &mut dyn Output,
    ) -> HelperResult {
        let mark = helper.param(0).and_then(|mark| mark.value().as_str()).unwrap_or_default();
        Ok(out.write(mark)?)
    }
}

// === errors ===

pub(super) fn other(message: String) -> RenderError {
    RenderErrorReason::Other(message).into()
}

/// `"values.imgae" is not defined (did you mean "image"?)`
pub(super) fn undefined<'rc>(path: Option<&String>, context: &'rc Context, render: &RenderContext<'_, 'rc>) -> RenderError {
    let path = path.map_or("this value", String::as_str);
    if block_arity(path).or_else(|| function_arity(path)).is_some() {
        return other(format!("\"{path}\" is not defined; as a helper it needs an argument"));
    }
    let mut known = path;
    loop {
        let (parent, last) = known.rsplit_once(['.', '/']).unwrap_or(("this", known));
        match render.evaluate(context, parent) {
            Ok(value) if value.as_json().is_null() && !value.is_missing() => {
                return other(format!(
                    "\"{path}\" is not defined: \"{parent}\" is null, so ask with {{{{#if {parent}}}}} first"
                ));
            }
            Ok(value) if !value.is_missing() => {
                let outermost = if parent == "this" { context.data() } else { &Value::Null };
                // Inside of #each, #with and a partial the outermost names need a way out.
                if outermost.get(last).is_some() {
                    return other(format!("\"{path}\" is not defined (did you mean \"@root.{path}\"?)"));
                }
                let keys = [value.as_json(), outermost]
                    .into_iter()
                    .filter_map(Value::as_object)
                    .flat_map(|keys| keys.keys());
                let hint = did_you_mean(last, keys.map(String::as_str));
                return other(format!("\"{path}\" is not defined{hint}"));
            }
            _ if parent == "this" => return other(format!("\"{path}\" is not defined")),
            _ => known = parent,
        }
    }
}
