//! What a template may use: the walk over one file's syntax tree.

use std::collections::BTreeMap;

use handlebars::Template;
use handlebars::template::{DecoratorTemplate, HelperTemplate, Parameter, TemplateElement};
use serde_json::Value;

use super::problem::Problem;
use super::scan::MAX_NESTING;
use super::template::partial_name;
use crate::domain::render::helpers::{self, Arity};
use crate::domain::render::locate;
use crate::domain::render::mark::{Of, Place};
use crate::domain::render::record::Entry;
use crate::domain::render::suggest::did_you_mean;

/// How many `#each` may stand inside one another.
const MAX_EACH: usize = 3;

/// How deep a place lies.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Depth {
    /// Blocks around it; a partial counts as one, and so do the parentheses around an `include`.
    pub(super) blocks: usize,
    /// `#each` blocks around it.
    pub(super) loops: usize,
}

/// How deep the text that is given to `tpl` may be, partials included. It is kept free below every `tpl`.
pub(super) const TPL: Depth = Depth { blocks: 16, loops: 1 };

/// A place where a partial is included.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) partial: String,
    pub(super) place: (usize, usize),
    pub(super) depth: Depth,
}

/// What the walk found in one file.
#[derive(Debug)]
pub(super) struct Checked {
    pub(super) problems: Vec<Problem>,
    pub(super) calls: Vec<Call>,
    pub(super) deepest: Depth,
    /// Whether it renders values as templates.
    pub(super) calls_tpl: bool,
}

/// Checks one parsed file, whose text is `source`. The recursion is bounded by what the scanner let through.
pub(super) fn check(file: &str, source: &str, template: &Template, partials: &BTreeMap<&str, &str>) -> Checked {
    let mut walk = Walk {
        file,
        source,
        partials,
        place: (1, 1),
        of: Of::Tag,
        contexts: 0,
        found: Checked {
            problems: Vec::new(),
            calls: Vec::new(),
            deepest: Depth::default(),
            calls_tpl: false,
        },
        depth: Depth::default(),
        parentheses: 0,
    };
    walk.template(template, Depth::default());
    walk.found
}

struct Walk<'a> {
    file: &'a str,
    source: &'a str,
    partials: &'a BTreeMap<&'a str, &'a str>,
    place: (usize, usize),
    /// Whether the place is that of the tag, or of the block whose `else if` it is.
    of: Of,
    /// How many `#each` and `#with` are around the place: each is a level that `../` leaves.
    contexts: usize,
    found: Checked,
    /// How deep the element lies that is looked at.
    depth: Depth,
    /// How many parentheses are around the call that is looked at.
    parentheses: usize,
}

impl Walk<'_> {
    fn refuse(&mut self, message: impl Into<String>) {
        self.refuse_word("", message);
    }

    /// Refuses a word in the tag that is looked at.
    fn refuse_word(&mut self, word: &str, message: impl Into<String>) {
        let (line, column) = self.place;
        let entry = Entry {
            place: Place {
                file: 0,
                line,
                column,
                of: self.of,
            },
            about: word.to_owned(),
            message: message.into(),
        };
        self.found.problems.push(locate::problem(self.file, self.source, &entry));
    }

    fn template(&mut self, template: &Template, depth: Depth) {
        self.found.deepest = self.found.deepest.max(depth);
        for (index, element) in template.elements.iter().enumerate() {
            // An `else if` has no place of its own; the block's is near enough.
            self.of = Of::Chain;
            if let Some(mapping) = template.mapping.get(index) {
                self.place = (mapping.0, mapping.1);
                self.of = Of::Tag;
            }
            self.depth = depth;
            match element {
                TemplateElement::RawString(_) | TemplateElement::Comment(_) => {}
                TemplateElement::Expression(call) | TemplateElement::HtmlExpression(call) => self.expression(call),
                TemplateElement::HelperBlock(block) => self.block(block, depth),
                TemplateElement::PartialExpression(partial) => self.partial(partial),
                TemplateElement::PartialBlock(_) => {
                    self.refuse("blocks of partials ({{#> …}}) are not supported: use {{> name key=value}}")
                }
                TemplateElement::DecoratorExpression(_) | TemplateElement::DecoratorBlock(_) => {
                    self.refuse("inline partials and decorators ({{* …}}) are not supported: write the partial to templates/_NAME.hbs");
                }
                _ => self.refuse("this construct is not supported"),
            }
        }
    }

    fn expression(&mut self, call: &HelperTemplate) {
        if call.params.is_empty() && call.hash.is_empty() {
            self.parameter(&call.name);
        } else {
            self.function(call);
        }
    }

    fn parameter(&mut self, parameter: &Parameter) {
        self.levels(parameter);
        if let Parameter::Subexpression(inner) = parameter
            && let TemplateElement::Expression(call) = inner.as_element()
        {
            self.function(call);
        }
    }

    /// Handlebars takes a `../` too many for none. What is around a partial is not known here.
    fn levels(&mut self, parameter: &Parameter) {
        let Parameter::Path(_) = parameter else { return };
        let name = parameter.as_name().unwrap_or_default();
        let levels = name.split('/').take_while(|part| *part == "..").count();
        if levels > self.contexts && partial_name(self.file).is_none() {
            let around = self.contexts;
            let word = name.to_owned();
            self.refuse_word(
                &word,
                format!("\"{name}\" is not defined: it leaves {levels} block(s), but {around} (#each, #with) are around it"),
            );
        }
    }

    fn function(&mut self, call: &HelperTemplate) {
        let name = call.name.as_name().unwrap_or_default();
        match helpers::function_arity(name) {
            Some(arity) => self.arguments(name, arity, call),
            None => {
                let hint = did_you_mean(name, helpers::function_names());
                let message = match helpers::block_arity(name) {
                    Some(block) => format!("\"{name}\" is a block: {}", block.usage),
                    None => format!("there is no helper \"{name}\"{hint}"),
                };
                self.refuse_word(name, message);
            }
        }
        match name {
            helpers::INCLUDE => self.include(call),
            helpers::TPL => self.tpl(),
            _ => {}
        }
        self.parentheses += 1;
        for parameter in &call.params {
            self.parameter(parameter);
        }
        self.parentheses -= 1;
    }

    fn include(&mut self, call: &HelperTemplate) {
        match call.params.first() {
            Some(Parameter::Literal(Value::String(name))) => self.call(name, self.parentheses + 1),
            Some(_) => self.refuse("the name of a partial must not be computed: {{include \"NAME\" this}}"),
            None => {}
        }
    }

    fn tpl(&mut self) {
        self.found.calls_tpl = true;
        let below = self.depth.plus(TPL).plus(Depth {
            blocks: self.parentheses + 1,
            loops: 0,
        });
        self.found.deepest = self.found.deepest.max(below);
        if let Some(message) = below.excess() {
            self.refuse(format!("{message}, counting the room that tpl needs"));
        }
    }

    fn arguments(&mut self, name: &str, arity: Arity, call: &HelperTemplate) {
        if let Some(key) = call.hash.keys().min() {
            self.refuse_word(
                key,
                format!("the helper \"{name}\" takes no named argument \"{key}\": {}", arity.usage),
            );
        } else if !(arity.least..=arity.most).contains(&call.params.len()) {
            self.refuse_word(name, format!("wrong number of arguments: {}", arity.usage));
        } else if helpers::is_subject_last(name) && ends_with_the_only_literal(&call.params) {
            self.refuse_word(name, format!("the value comes last, as in Helm: {}", arity.usage));
        }
    }

    fn block(&mut self, block: &HelperTemplate, depth: Depth) {
        let name = block.name.as_name().unwrap_or_default();
        match helpers::block_arity(name) {
            Some(arity) => self.arguments(name, arity, block),
            None if helpers::function_arity(name).is_some() => {
                self.refuse_word(name, format!("write {{{{#if ({name} …)}}}} instead of {{{{#{name} …}}}}"))
            }
            None => {
                let hint = did_you_mean(name, helpers::block_names());
                self.refuse_word(name, format!("there is no block \"#{name}\"{hint}"));
            }
        }
        for parameter in &block.params {
            self.parameter(parameter);
        }
        let inner = Depth {
            blocks: depth.blocks + 1,
            loops: depth.loops + usize::from(name == "each" || name == helpers::RANGE),
        };
        if let Some(message) = inner.excess() {
            self.refuse(message);
            return;
        }
        let outer = self.contexts;
        for (template, is_inverse) in [(&block.template, false), (&block.inverse, true)] {
            let is_context = !is_inverse && matches!(name, "each" | "range" | "with");
            self.contexts = outer + usize::from(is_context);
            if let Some(template) = template {
                self.template(template, inner);
            }
        }
        self.contexts = outer;
    }

    fn partial(&mut self, partial: &DecoratorTemplate) {
        let Parameter::Name(name) = &partial.name else {
            return self.refuse("the name of a partial must not be computed");
        };
        for parameter in partial.params.iter().chain(partial.hash.values()) {
            self.parameter(parameter);
        }
        self.call(name, 1);
    }

    /// A use of the partial `name`, so many levels below the element.
    fn call(&mut self, name: &str, levels: usize) {
        if !self.partials.contains_key(name) {
            let hint = did_you_mean(name, self.partials.keys().copied());
            let message = format!("there is no partial \"{name}\", which would be templates/_{name}.hbs{hint}");
            return self.refuse_word(name, message);
        }
        let depth = self.depth.plus(Depth { blocks: levels, loops: 0 });
        self.found.calls.push(Call {
            partial: name.to_owned(),
            place: self.place,
            depth,
        });
    }
}

/// Whether all arguments but the last are looked up: then the order must be wrong.
fn ends_with_the_only_literal(parameters: &[Parameter]) -> bool {
    let is_literal = |parameter: &Parameter| matches!(parameter, Parameter::Literal(_));
    parameters
        .split_last()
        .is_some_and(|(last, others)| is_literal(last) && !others.iter().all(is_literal))
}

// === impl Depth ===

impl Depth {
    pub(super) fn plus(self, other: Self) -> Self {
        Self {
            blocks: self.blocks + other.blocks,
            loops: self.loops + other.loops,
        }
    }

    pub(super) fn max(self, other: Self) -> Self {
        Self {
            blocks: self.blocks.max(other.blocks),
            loops: self.loops.max(other.loops),
        }
    }

    /// Whether it is no deeper than `limit`.
    pub(super) fn is_within(self, limit: Self) -> bool {
        self.blocks <= limit.blocks && self.loops <= limit.loops
    }

    /// Which limit it goes beyond.
    pub(super) fn excess(self) -> Option<String> {
        if self.loops > MAX_EACH {
            return Some(format!("more than {MAX_EACH} #each inside one another"));
        }
        (self.blocks > MAX_NESTING).then(|| format!("blocks are nested deeper than {MAX_NESTING}"))
    }
}
