//! The record of what templates got wrong: a problem is written down and the rendering goes on, so that all are reported at once.
//!
//! A helper that fails gives [`unknown`] instead of a value. Every helper that gets it gives it on, a block that gets it is left
//! out, and so one cause makes one problem. A file with a problem gives no documents.

use std::collections::BTreeSet;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use handlebars::{
    Context, Handlebars, Helper, HelperDef, HelperResult, Output, RenderContext, RenderError, RenderErrorReason, Renderable, ScopedJson,
};
use serde_json::{Value, json};

use super::emit::FRAGMENT_KEY;
use super::functions::is_truthy;
use super::helpers::undefined;
use super::mark::{self, Place};

/// How many different problems end a rendering: more than anybody reads.
const MAX_RECORDED: usize = 500;

/// A problem at the tag that it was found in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Entry {
    /// Where the tag begins.
    pub(crate) place: Place,
    /// The name or helper in the tag that is meant.
    pub(crate) about: String,
    pub(crate) message: String,
}

/// The problems of one rendering. Its clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Record(Arc<Mutex<Entries>>);

#[derive(Debug, Default)]
struct Entries {
    /// What helpers inside a tag found: they do not know where they are. (about, message)
    waiting: Vec<(String, String)>,
    placed: BTreeSet<Entry>,
}

impl Record {
    /// Takes out what was recorded.
    pub(crate) fn take(&self) -> Vec<Entry> {
        let mut entries = self.entries();
        entries.waiting.clear();
        std::mem::take(&mut entries.placed).into_iter().collect()
    }

    /// Runs `work` with a record of its own, and gives the first problem that it recorded there.
    pub(crate) fn apart<T>(&self, work: impl FnOnce() -> T) -> (T, Option<Entry>) {
        let around = std::mem::take(&mut *self.entries());
        let result = work();
        let own = std::mem::replace(&mut *self.entries(), around);
        (result, own.placed.into_iter().next())
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records what a helper reports; anything that is not a helper's own report ends the rendering.
    fn absorb(&self, error: RenderError, helper: &str) -> Result<(), RenderError> {
        match error.reason() {
            RenderErrorReason::Other(message) if error.line_no.is_none() => {
                let name = message
                    .strip_prefix('"')
                    .and_then(|rest| rest.split_once('"'))
                    .map(|(name, _)| name);
                self.entries().waiting.push((name.unwrap_or(helper).to_owned(), message.clone()));
                Ok(())
            }
            _ => Err(error),
        }
    }

    /// Gives what waits the place of the tag that is finished.
    fn settle(&self, place: Option<&str>) -> Result<(), RenderError> {
        let mut entries = self.entries();
        if entries.waiting.is_empty() {
            return Ok(());
        }
        let place = place.and_then(mark::read_place).unwrap_or_default();
        for (about, message) in std::mem::take(&mut entries.waiting) {
            entries.placed.insert(Entry { place, about, message });
        }
        if entries.placed.len() > MAX_RECORDED {
            return Err(
                RenderErrorReason::IOError(io::Error::other(format!("the templates have more than {MAX_RECORDED} problems"))).into(),
            );
        }
        Ok(())
    }
}

/// What stands for a value that could not be computed.
fn unknown() -> Value {
    json!({ FRAGMENT_KEY: "unknown" })
}

fn is_unknown(value: &Value) -> bool {
    value
        .get(FRAGMENT_KEY)
        .is_some_and(|kind| kind.as_str().is_some_and(|kind| kind == "unknown"))
}

/// A helper whose errors are recorded.
pub(crate) struct Recorded<H> {
    helper: H,
    name: &'static str,
    /// Which argument is the mark of the place, for what stands outermost in a tag.
    place: Option<usize>,
    record: Record,
}

impl<H: HelperDef> Recorded<H> {
    /// A helper inside a tag.
    pub(crate) fn inside(name: &'static str, helper: H, record: &Record) -> Self {
        Self {
            helper,
            name,
            place: None,
            record: record.clone(),
        }
    }

    /// What a tag consists of; the argument with this index is the mark of its place.
    pub(crate) fn outermost(name: &'static str, place: usize, helper: H, record: &Record) -> Self {
        Self {
            place: Some(place),
            ..Self::inside(name, helper, record)
        }
    }

    fn has_unknown(helper: &Helper<'_>) -> bool {
        helper.params().iter().any(|parameter| is_unknown(parameter.value()))
    }

    fn settle(&self, helper: &Helper<'_>) -> Result<(), RenderError> {
        let Some(index) = self.place else { return Ok(()) };
        self.record.settle(helper.param(index).and_then(|place| place.value().as_str()))
    }
}

impl<H: HelperDef> HelperDef for Recorded<H> {
    fn call_inner<'reg: 'rc, 'rc>(
        &self,
        helper: &Helper<'rc>,
        registry: &'reg Handlebars<'reg>,
        context: &'rc Context,
        render: &mut RenderContext<'reg, 'rc>,
    ) -> Result<ScopedJson<'rc>, RenderError> {
        if Self::has_unknown(helper) {
            return Ok(ScopedJson::Derived(unknown()));
        }
        self.helper.call_inner(helper, registry, context, render).or_else(|error| {
            self.record.absorb(error, self.name)?;
            Ok(ScopedJson::Derived(unknown()))
        })
    }

    fn call<'reg: 'rc, 'rc>(
        &self,
        helper: &Helper<'rc>,
        registry: &'reg Handlebars<'reg>,
        context: &'rc Context,
        render: &mut RenderContext<'reg, 'rc>,
        out: &mut dyn Output,
    ) -> HelperResult {
        // Its arguments are computed, so what waits belongs to this tag; what is found inside the block does not.
        self.settle(helper)?;
        if Self::has_unknown(helper) {
            return Ok(());
        }
        self.helper
            .call(helper, registry, context, render, out)
            .or_else(|error| self.record.absorb(error, self.name))?;
        self.settle(helper)
    }
}

/// A block around `#each`, `#with` or the call of a partial: `{{#CHECKED place kind arguments…}}…{{/CHECKED}}`. It is left out
/// when an argument is not defined, because Handlebars takes an undefined one for an empty one there.
pub(crate) struct Checked;

/// What is inside a [`Checked`] block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A loop: of a list or a mapping, or null, which has no entries.
    Each,
    /// A `#with` without an `else`, which an empty value leaves out.
    With,
    /// What takes any value.
    Any,
}

impl Kind {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Each => "each",
            Self::With => "with",
            Self::Any => "any",
        }
    }

    fn refuses(kind: &str, value: &Value) -> bool {
        kind == Self::Each.as_str() && !value.is_array() && !value.is_object() && !value.is_null()
    }

    /// Whether the block gives nothing. In strict mode the engine's own blocks fail then.
    fn leaves_out(kind: &str, value: &Value) -> bool {
        (kind == Self::Each.as_str() && value.is_null()) || (kind == Self::With.as_str() && !is_truthy(value))
    }
}

impl HelperDef for Checked {
    fn call<'reg: 'rc, 'rc>(
        &self,
        helper: &Helper<'rc>,
        registry: &'reg Handlebars<'reg>,
        context: &'rc Context,
        render: &mut RenderContext<'reg, 'rc>,
        out: &mut dyn Output,
    ) -> HelperResult {
        let kind = helper.param(1).and_then(|kind| kind.value().as_str()).unwrap_or_default();
        for parameter in helper.params().iter().skip(2) {
            if parameter.is_value_missing() {
                return Err(undefined(parameter.relative_path(), context, render));
            }
            if Kind::refuses(kind, parameter.value()) {
                let path = parameter.relative_path().map_or("this value", String::as_str);
                return Err(RenderErrorReason::Other(format!("\"{path}\" {}", no_loop(parameter.value()))).into());
            }
            if Kind::leaves_out(kind, parameter.value()) {
                return Ok(());
            }
        }
        helper
            .template()
            .map_or(Ok(()), |template| template.render(registry, context, render, out))
    }
}

fn no_loop(value: &Value) -> &'static str {
    match value {
        Value::Number(_) => "is a number, not a list or a mapping: to count write {{#range (until …)}}",
        Value::Bool(_) => "is true or false, not a list or a mapping",
        _ => "is text, not a list or a mapping",
    }
}
