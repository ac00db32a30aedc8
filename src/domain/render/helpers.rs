//! The helpers that a template may call. None of them reads a file, the environment, the clock or the network.

use handlebars::{
    Context, Handlebars, Helper, HelperDef, HelperResult, Output, RenderContext, RenderError, RenderErrorReason, Renderable, ScopedJson,
};
use serde_json::Value;

use super::emit;
use super::functions::{FUNCTIONS, Function, is_truthy};
use super::record::{Checked, Record, Recorded};
use super::suggest::did_you_mean;

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

const BLOCKS: [(&str, Arity); 4] = [
    ("if", block("{{#if VALUE}}…{{else}}…{{/if}}")),
    ("unless", block("{{#unless VALUE}}…{{/unless}}")),
    ("each", block("{{#each LIST-OR-MAPPING}}…{{/each}}")),
    ("with", block("{{#with MAPPING}}…{{/with}}")),
];

const fn block(usage: &'static str) -> Arity {
    Arity { least: 1, most: 1, usage }
}

/// How the helper `name` is called, if there is one that gives a value.
pub(crate) fn function_arity(name: &str) -> Option<Arity> {
    FUNCTIONS
        .iter()
        .find(|function| function.name == name)
        .map(|function| function.arity)
}

/// The names of all helpers that give a value.
pub(crate) fn function_names() -> impl Iterator<Item = &'static str> {
    FUNCTIONS.iter().map(|function| function.name)
}

/// How the block `#name` is called, if there is one.
pub(crate) fn block_arity(name: &str) -> Option<Arity> {
    BLOCKS.iter().find(|(block, _)| *block == name).map(|(_, arity)| *arity)
}

/// The names of all blocks.
pub(crate) fn block_names() -> impl Iterator<Item = &'static str> {
    BLOCKS.iter().map(|(name, _)| *name)
}

/// An engine with these helpers and no others; what they have to report is written to `record`.
pub(crate) fn engine(record: &Record) -> Handlebars<'static> {
    let mut engine = Handlebars::new();
    engine.set_strict_mode(true);
    engine.register_escape_fn(handlebars::no_escape);
    for builtin in ["gt", "gte", "lt", "lte", "len", "log", "raw"] {
        engine.unregister_helper(builtin);
    }
    for function in FUNCTIONS {
        engine.register_helper(function.name, Box::new(Recorded::inside(function.name, function, record)));
    }
    for (name, wanted) in [("if", true), ("unless", false)] {
        // The instrumentation adds the place as the second argument.
        engine.register_helper(name, Box::new(Recorded::outermost(name, 1, Condition { wanted }, record)));
    }
    engine.register_helper(EMIT, Box::new(Recorded::outermost("this value", 0, Emit, record)));
    engine.register_helper(CHECKED, Box::new(Recorded::outermost("this value", 0, Checked, record)));
    engine.register_helper(TICK, Box::new(Tick));
    engine
}

// === impl Function ===

impl HelperDef for &Function {
    fn call_inner<'reg: 'rc, 'rc>(
        &self,
        helper: &Helper<'rc>,
        _: &'reg Handlebars<'reg>,
        context: &'rc Context,
        render: &mut RenderContext<'reg, 'rc>,
    ) -> Result<ScopedJson<'rc>, RenderError> {
        let mut arguments = Vec::with_capacity(helper.params().len());
        for (index, parameter) in helper.params().iter().enumerate() {
            if parameter.is_value_missing() && !(index == 0 && self.is_first_optional) {
                return Err(undefined(parameter.relative_path(), context, render));
            }
            arguments.push(parameter.value());
        }
        (self.apply)(&arguments, context.data())
            .map(ScopedJson::Derived)
            .map_err(|message| other(format!("{}: {message}", self.name)))
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

fn other(message: String) -> RenderError {
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
            Ok(value) if !value.is_missing() => {
                let outermost = if parent == "this" { context.data() } else { &Value::Null };
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
