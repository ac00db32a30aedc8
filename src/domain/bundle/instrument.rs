//! Builds into a checked template what makes rendering safe and its errors findable.
//!
//! - `{{x}}` and `{{helper x}}` go through [`helpers::EMIT`], which writes values as marks (see [`mark`]) and knows an undefined
//!   name.
//! - `#each`, `#with` and the calls of partials stand inside a [`helpers::CHECKED`] block, which knows an undefined argument:
//!   Handlebars takes one for an empty one there.
//! - `#if` and `#unless` get the mark of their place as a second argument.
//! - `@root` alone becomes a path to everything: Handlebars takes it for a variable of a loop, which is not defined.
//! - Every line of text has a mark of its source line.
//! - Every round of a loop and every partial writes a mark: one that prints nothing still writes, so that the limit on the
//!   output ends it.

use handlebars::template::{HelperTemplate, Parameter, Subexpression, TemplateElement};
use handlebars::{Path, Template};
use serde_json::Value;

use crate::domain::render::mark::{self, Of, Place};
use crate::domain::render::{helpers, record::Kind};

/// How many marks a partial writes: the engine copies the context for each one, so it costs more than a round of a loop.
const FILE_COST: usize = 8;

/// What templates call everything.
const ROOT: &str = "@root";
/// The same as the engine understands it.
const WHOLE: &str = "@root.this";

/// Rewrites the template of the file with this number.
pub(super) fn instrument(mut template: Template, file: usize) -> Template {
    skip_empty_lines(&mut template);
    let begin = Place {
        file,
        line: 1,
        column: 1,
        of: Of::Tag,
    };
    let mut template = rewrite(template, begin);
    insert_tick(&mut template, FILE_COST);
    template
}

/// Everywhere else a text is placed where its first visible character is; at the beginning of a file, the parser says line 1 whatever
/// empty lines come first.
fn skip_empty_lines(template: &mut Template) {
    let (Some(TemplateElement::RawString(text)), Some(place)) = (template.elements.first(), template.mapping.first_mut()) else {
        return;
    };
    let visible = text.find(|character: char| !character.is_whitespace());
    let before = &text[..visible.unwrap_or(0)];
    if let Some((_, indentation)) = before.rsplit_once('\n') {
        place.0 += before.matches('\n').count();
        place.1 = 1 + indentation.chars().count();
    }
}

/// `around` is where the block begins that the template is part of.
fn rewrite(mut template: Template, around: Place) -> Template {
    let elements = std::mem::take(&mut template.elements);
    let mappings = template.mapping.clone();
    for (index, element) in elements.into_iter().enumerate() {
        // An `else if` has no place of its own.
        let place = mappings.get(index).map_or(Place { of: Of::Chain, ..around }, |mapping| Place {
            line: mapping.0,
            column: mapping.1,
            of: Of::Tag,
            ..around
        });
        template.elements.push(rewrite_element(element, place));
    }
    template
}

fn rewrite_element(element: TemplateElement, place: Place) -> TemplateElement {
    match element {
        TemplateElement::RawString(text) => TemplateElement::RawString(mark_lines(&text, place)),
        TemplateElement::Expression(mut call) | TemplateElement::HtmlExpression(mut call) => {
            reach_root(std::iter::once(&mut call.name), ROOT);
            reach_root(call.params.iter_mut().chain(call.hash.values_mut()), ROOT);
            emit(*call, place)
        }
        TemplateElement::HelperBlock(mut block) => {
            reach_root(&mut block.params, ROOT);
            if block.name.as_name() == Some(helpers::RANGE) {
                block.name = Parameter::Name("each".to_owned());
            }
            let name = block.name.as_name().unwrap_or_default().to_owned();
            block.template = block.template.map(|inner| rewrite(inner, place));
            block.inverse = block.inverse.map(|inner| rewrite(inner, place));
            if let Some(body) = block.template.as_mut().filter(|_| name == "each") {
                insert_tick(body, 1);
            }
            let kind = match name.as_str() {
                _ if name != "each" && name != "with" => {
                    block.params.push(literal(mark::place(place)));
                    return TemplateElement::HelperBlock(block);
                }
                _ if block.inverse.is_some() => Kind::Any,
                "each" => Kind::Each,
                _ => Kind::With,
            };
            let arguments = block.params.clone();
            checked(TemplateElement::HelperBlock(block), kind, arguments, place)
        }
        TemplateElement::PartialExpression(mut partial) => {
            // The engine reads the text of this path again.
            reach_root(&mut partial.params, WHOLE);
            reach_root(partial.hash.values_mut(), ROOT);
            let arguments: Vec<Parameter> = partial.params.iter().chain(partial.hash.values()).cloned().collect();
            let call = TemplateElement::PartialExpression(partial);
            if arguments.is_empty() {
                call
            } else {
                checked(call, Kind::Any, arguments, place)
            }
        }
        other => other,
    }
}

/// Makes every `@root` a path to everything, which is called `name` in problems.
fn reach_root<'a>(parameters: impl IntoIterator<Item = &'a mut Parameter>, name: &str) {
    for parameter in parameters {
        match parameter {
            Parameter::Path(path @ Path::Local(_)) => {
                if matches!(path, Path::Local((0, _, raw)) if raw == ROOT)
                    && let Ok(Path::Relative((steps, _))) = Path::parse(WHOLE)
                {
                    *path = Path::Relative((steps, name.to_owned()));
                }
            }
            Parameter::Subexpression(inner) => {
                if let TemplateElement::Expression(call) = inner.element.as_mut() {
                    reach_root(call.params.iter_mut().chain(call.hash.values_mut()), ROOT);
                }
            }
            _ => {}
        }
    }
}

/// `{{x}}` becomes `{{EMIT mark x}}`, `{{f x}}` becomes `{{EMIT mark (f x)}}`.
fn emit(call: HelperTemplate, place: Place) -> TemplateElement {
    let value = if call.params.is_empty() && call.hash.is_empty() {
        call.name
    } else {
        Parameter::Subexpression(Subexpression::new(call.name, call.params, call.hash))
    };
    expression(helpers::EMIT, vec![literal(mark::place(place)), value])
}

/// `{{#CHECKED place kind arguments…}}element{{/CHECKED}}`
fn checked(element: TemplateElement, kind: Kind, arguments: Vec<Parameter>, place: Place) -> TemplateElement {
    let mut parameters = vec![literal(mark::place(place)), literal(kind.as_str().to_owned())];
    parameters.extend(arguments);
    match expression(helpers::CHECKED, parameters) {
        TemplateElement::Expression(mut block) => {
            let mut body = Template::new();
            body.elements.push(element);
            block.block = true;
            block.template = Some(body);
            TemplateElement::HelperBlock(block)
        }
        other => other,
    }
}

fn literal(text: String) -> Parameter {
    Parameter::Literal(Value::String(text))
}

fn insert_tick(template: &mut Template, cost: usize) {
    let marks = literal(mark::round().repeat(cost));
    template.elements.insert(0, expression(helpers::TICK, vec![marks]));
    if let Some(mapping) = template.mapping.first().cloned() {
        template.mapping.insert(0, mapping);
    }
}

fn expression(name: &str, parameters: Vec<Parameter>) -> TemplateElement {
    *Subexpression::new(Parameter::Name(name.to_owned()), parameters, std::collections::HashMap::new()).element
}

/// Puts a mark before the first visible character of every line. `place` is that of the text's first visible character, which is
/// how Handlebars counts.
fn mark_lines(text: &str, place: Place) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    let mut place = Place { of: Of::Text, ..place };
    let mut has_begun = false;
    for segment in text.split_inclusive('\n') {
        match segment.find(|character: char| !character.is_whitespace()) {
            Some(start) => {
                if has_begun {
                    place.column = segment[..start].chars().count() + 1;
                }
                out.push_str(&segment[..start]);
                out.push_str(&mark::place(place));
                out.push_str(&segment[start..]);
                has_begun = true;
            }
            None => out.push_str(segment),
        }
        place.line += usize::from(has_begun);
    }
    out
}
