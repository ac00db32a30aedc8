//! Builds into a checked template what makes rendering safe and its errors findable.
//!
//! - `{{x}}` and `{{helper x}}` go through [`helpers::EMIT`], which writes values as marks (see [`mark`]) and knows an undefined
//!   name.
//! - Arguments of `#each`, `#with` and partials are checked by [`helpers::REQUIRE`] first, because Handlebars takes an undefined
//!   one for an empty one there.
//! - Every line of text has a mark of its source line.
//! - Every round of a loop and every partial writes a mark: one that prints nothing still writes, so that the limit on the
//!   output ends it.

use handlebars::Template;
use handlebars::template::{HelperTemplate, Parameter, Subexpression, TemplateElement};
use serde_json::Value;

use crate::domain::render::{helpers, mark};

/// How many marks a partial writes: the engine copies the context for each one, so it costs more than a round of a loop.
const FILE_COST: usize = 8;

/// Rewrites the template of the file with this number.
pub(super) fn instrument(template: Template, file: usize) -> Template {
    let mut template = rewrite(template, file);
    insert_tick(&mut template, FILE_COST);
    template
}

fn rewrite(mut template: Template, file: usize) -> Template {
    let elements = std::mem::take(&mut template.elements);
    let mappings = std::mem::take(&mut template.mapping);
    for (index, element) in elements.into_iter().enumerate() {
        let mapping = mappings.get(index);
        let line = mapping.map_or(1, |mapping| mapping.0);
        for rewritten in rewrite_element(element, file, line) {
            template.elements.push(rewritten);
            // Elements and their places go side by side; an `else if` alone has none.
            template.mapping.extend(mapping.cloned());
        }
    }
    template
}

fn rewrite_element(element: TemplateElement, file: usize, line: usize) -> Vec<TemplateElement> {
    match element {
        TemplateElement::RawString(text) => vec![TemplateElement::RawString(mark_lines(&text, file, line))],
        TemplateElement::Expression(call) | TemplateElement::HtmlExpression(call) => vec![emit(*call, file, line)],
        TemplateElement::HelperBlock(mut block) => {
            if block.name.as_name() == Some(helpers::RANGE) {
                block.name = Parameter::Name("each".to_owned());
            }
            let name = block.name.as_name().unwrap_or_default().to_owned();
            block.template = block.template.map(|inner| rewrite(inner, file));
            block.inverse = block.inverse.map(|inner| rewrite(inner, file));
            if let Some(body) = block.template.as_mut().filter(|_| name == "each") {
                insert_tick(body, 1);
            }
            let required = if name == "each" || name == "with" {
                block.params.clone()
            } else {
                Vec::new()
            };
            require(required).into_iter().chain([TemplateElement::HelperBlock(block)]).collect()
        }
        TemplateElement::PartialExpression(partial) => {
            let required = partial.params.iter().chain(partial.hash.values()).cloned().collect();
            require(required)
                .into_iter()
                .chain([TemplateElement::PartialExpression(partial)])
                .collect()
        }
        other => vec![other],
    }
}

/// `{{x}}` becomes `{{EMIT mark x}}`, `{{f x}}` becomes `{{EMIT mark (f x)}}`.
fn emit(call: HelperTemplate, file: usize, line: usize) -> TemplateElement {
    let value = if call.params.is_empty() && call.hash.is_empty() {
        call.name
    } else {
        Parameter::Subexpression(Subexpression::new(call.name, call.params, call.hash))
    };
    let place = Parameter::Literal(Value::String(mark::line(file, line)));
    expression(helpers::EMIT, vec![place, value])
}

fn require(parameters: Vec<Parameter>) -> Option<TemplateElement> {
    (!parameters.is_empty()).then(|| expression(helpers::REQUIRE, parameters))
}

fn insert_tick(template: &mut Template, cost: usize) {
    let marks = Parameter::Literal(Value::String(mark::round().repeat(cost)));
    template.elements.insert(0, expression(helpers::TICK, vec![marks]));
    if let Some(mapping) = template.mapping.first().cloned() {
        template.mapping.insert(0, mapping);
    }
}

fn expression(name: &str, parameters: Vec<Parameter>) -> TemplateElement {
    *Subexpression::new(Parameter::Name(name.to_owned()), parameters, std::collections::HashMap::new()).element
}

/// Puts a line mark before the first visible character of every line. `line` is that of the text's first visible character,
/// which is how Handlebars counts.
fn mark_lines(text: &str, file: usize, line: usize) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    let mut number = line;
    let mut has_begun = false;
    for segment in text.split_inclusive('\n') {
        match segment.find(|character: char| !character.is_whitespace()) {
            Some(start) => {
                out.push_str(&segment[..start]);
                out.push_str(&mark::line(file, number));
                out.push_str(&segment[start..]);
                has_begun = true;
            }
            None => out.push_str(segment),
        }
        number += usize::from(has_begun);
    }
    out
}
