//! `include` and `tpl`: the two helpers that render, and the budget of all helpers.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use handlebars::{
    BlockContext, Context, Handlebars, Helper, HelperDef, Output, PathAndJson, RenderContext, RenderError, RenderErrorReason, Renderable,
    ScopedJson, Template,
};
use serde_json::Value;

use super::emit::{self, Fragment, MAX_TEXT};
use super::helpers::{Arity, other, undefined};
use super::record::{Entry, Record};
use crate::domain::bundle;

/// What all helpers of one rendering may read and write together, in bytes.
const MAX_WORK: usize = 256 * 1024 * 1024;
/// What one call costs at least, and what rendering a template does.
const CALL: usize = 64;
const RENDERING: usize = 1024;

/// The name of the helper that renders a partial.
pub(crate) const INCLUDE: &str = "include";
/// The name of the helper that renders a value.
pub(crate) const TPL: &str = "tpl";

/// The two helpers, with what they do in a sentence.
pub(crate) const CALLS: [(&str, Arity, &str); 2] = [
    (
        INCLUDE,
        Arity {
            least: 2,
            most: 2,
            usage: "{{include \"PARTIAL\" CONTEXT}}",
        },
        "What the partial gives for CONTEXT (`this`, or a dict), for nindent or another helper; `@root` is everything, as ever.",
    ),
    (
        TPL,
        Arity {
            least: 2,
            most: 2,
            usage: "{{tpl TEXT CONTEXT}}",
        },
        "TEXT rendered as a template that sees CONTEXT, as text.",
    ),
];

/// What is left of [`MAX_WORK`]. A result that is thrown away is not in the output, so the output's limit does not see it.
#[derive(Debug, Clone)]
pub(crate) struct Work(Arc<AtomicUsize>);

/// `{{include "name" context}}`.
pub(super) struct Include {
    pub(super) work: Work,
}

/// `{{tpl text context}}`.
pub(super) struct Tpl {
    pub(super) work: Work,
    /// The partials that the text may include, by name, and how deep they are.
    pub(super) partials: BTreeMap<String, bundle::Inside>,
    /// What the text gets wrong is one problem of the call.
    pub(super) record: Record,
}

// === impl Work ===

impl Work {
    pub(super) fn new() -> Self {
        Self(Arc::new(AtomicUsize::new(MAX_WORK)))
    }

    /// Takes the cost of a call that reads or writes so many bytes.
    pub(super) fn spend(&self, bytes: usize) -> Result<(), RenderError> {
        // An error of input and output ends the rendering; another would be recorded, and the work would go on.
        self.pay(bytes).map_err(|error| RenderErrorReason::IOError(error).into())
    }

    fn pay(&self, bytes: usize) -> std::io::Result<()> {
        let cost = bytes.saturating_add(CALL);
        let spent = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(cost));
        let exceeded = || std::io::Error::other(format!("the helpers work on more than {} MiB", MAX_WORK >> 20));
        spent.map(|_| ()).map_err(|_| exceeded())
    }
}

// === impl Include ===

impl HelperDef for Include {
    fn call_inner<'reg: 'rc, 'rc>(
        &self,
        helper: &Helper<'rc>,
        registry: &'reg Handlebars<'reg>,
        context: &'rc Context,
        render: &mut RenderContext<'reg, 'rc>,
    ) -> Result<ScopedJson<'rc>, RenderError> {
        let name = parameter(helper, 0, context, render)?.value().as_str().unwrap_or_default();
        let seen = parameter(helper, 1, context, render)?;
        let template = registry
            .get_template(name)
            .ok_or_else(|| RenderErrorReason::PartialNotFound(name.to_owned()))?;
        let mut text = rendered(template, registry, context, render, seen, &self.work)?;
        text.truncate(text.trim_end_matches(['\n', '\r']).len());
        Ok(ScopedJson::Derived(Fragment::Marked(text).into_value()))
    }
}

// === impl Tpl ===

impl HelperDef for Tpl {
    fn call_inner<'reg: 'rc, 'rc>(
        &self,
        helper: &Helper<'rc>,
        registry: &'reg Handlebars<'reg>,
        context: &'rc Context,
        render: &mut RenderContext<'reg, 'rc>,
    ) -> Result<ScopedJson<'rc>, RenderError> {
        let source = parameter(helper, 0, context, render)?.value();
        let seen = parameter(helper, 1, context, render)?;
        let source = emit::text(source).map_err(|message| other(format!("tpl: argument 1 should be text, but it {message}")))?;
        // Compiling takes more than reading.
        self.work.spend(source.len().saturating_mul(8))?;
        let template = bundle::compile_text(&source, &self.partials).map_err(|problem| explained(&problem.to_string()))?;
        let (text, problem) = self
            .record
            .apart(|| rendered(&template, registry, context, render, seen, &self.work));
        if let Some(Entry { place, message, .. }) = problem {
            return Err(match place.file {
                bundle::TEXT_NUMBER => explained(&format!("{}:{}: {message}", bundle::TEXT, place.line)),
                _ => explained(&format!("in a partial that the text includes: {message}")),
            });
        }
        let text = text?;
        let text = emit::text(&Fragment::Marked(text).into_value()).map_err(|message| other(format!("tpl {message}")))?;
        Ok(ScopedJson::Derived(Value::String(text)))
    }
}

/// `tpl: line 2 of the text: …`
fn explained(message: &str) -> RenderError {
    let own = message.strip_prefix(bundle::TEXT).and_then(|rest| rest.strip_prefix(':'));
    other(match own.and_then(|rest| rest.split_once(": ")) {
        Some((line, message)) => format!("tpl: line {line} of the text: {message}"),
        None => format!("tpl: {message}"),
    })
}

// === both ===

fn parameter<'a, 'rc>(
    helper: &'a Helper<'rc>,
    index: usize,
    context: &'rc Context,
    render: &RenderContext<'_, 'rc>,
) -> Result<&'a PathAndJson<'rc>, RenderError> {
    let parameter = helper
        .param(index)
        .ok_or(RenderErrorReason::ParamNotFoundForIndex("include", index))?;
    if parameter.is_value_missing() {
        return Err(undefined(parameter.relative_path(), context, render));
    }
    Ok(parameter)
}

/// The text of `template` for `seen`, with its marks. `@root` and the variables of a loop around it stay what they are.
fn rendered<'reg: 'rc, 'rc>(
    template: &'rc Template,
    registry: &'reg Handlebars<'reg>,
    context: &'rc Context,
    around: &RenderContext<'_, '_>,
    seen: &PathAndJson<'_>,
    work: &Work,
) -> Result<String, RenderError> {
    work.spend(RENDERING)?;
    let mut block = BlockContext::new();
    if let Some(parent) = around.block() {
        block.local_variables_mut().clone_from(parent.local_variables());
    }
    match seen.context_path() {
        Some(path) => block.base_path_mut().clone_from(path),
        None => {
            work.spend(super::functions::size(seen.value(), usize::MAX).unwrap_or(MAX_TEXT))?;
            block.set_base_value(seen.value().clone());
        }
    }
    let mut render = RenderContext::new(None);
    render.push_block(block);
    let mut output = Bounded { text: String::new(), work };
    template.render(registry, context, &mut render, &mut output)?;
    Ok(output.text)
}

/// Text of at most [`MAX_TEXT`] bytes, paid from the budget.
struct Bounded<'a> {
    text: String,
    work: &'a Work,
}

impl Output for Bounded<'_> {
    fn write(&mut self, part: &str) -> std::io::Result<()> {
        self.work.pay(part.len())?;
        if self.text.len() + part.len() > MAX_TEXT {
            return Err(std::io::Error::other(format!(
                "what include or tpl gives is longer than {MAX_TEXT} bytes"
            )));
        }
        self.text.push_str(part);
        Ok(())
    }
}
