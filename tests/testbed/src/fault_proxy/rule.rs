//! When something goes wrong: which requests or events are meant, and which of those.

use super::request::Request;
use crate::random::Seeded;

/// An event of a watch, as rules see it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Event {
    /// `ADDED`, `MODIFIED`, `DELETED`, `BOOKMARK` or `ERROR`.
    pub(super) kind: String,
    pub(super) namespace: String,
    pub(super) name: String,
}

/// Which requests are meant. What is not said is not asked for.
#[derive(Debug, Clone, Default)]
pub struct Selector {
    class: Class,
    verb: Option<String>,
    group: Option<String>,
    resource: Option<String>,
    namespace: Option<String>,
    name: Option<String>,
    subresource: Option<String>,
    user_agent: Option<String>,
    impersonated: Option<bool>,
    path: Option<String>,
    event: Option<String>,
    except: Vec<String>,
}

#[derive(Debug, Clone, Copy, Default)]
enum Class {
    #[default]
    Any,
    Writes,
    Reads,
}

impl Selector {
    /// Every request.
    pub fn any() -> Self {
        Self::default()
    }

    /// What is to change what is stored: no dry run, no question about rights, no token. See [`Request::is_write`].
    pub fn writes() -> Self {
        Self::of(Class::Writes)
    }

    /// Gets, lists and watches.
    pub fn reads() -> Self {
        Self::of(Class::Reads)
    }

    fn of(class: Class) -> Self {
        Self { class, ..Self::default() }
    }

    /// With this verb; `apply` is a server-side apply.
    pub fn verb(mut self, verb: &str) -> Self {
        self.verb = Some(verb.to_owned());
        self
    }

    /// Of this API group; the core group is empty.
    pub fn group(mut self, group: &str) -> Self {
        self.group = Some(group.to_owned());
        self
    }

    /// About this plural resource.
    pub fn resource(mut self, resource: &str) -> Self {
        self.resource = Some(resource.to_owned());
        self
    }

    /// Not about any of these plural resources.
    pub fn except(mut self, resources: &[&str]) -> Self {
        self.except.extend(resources.iter().map(|resource| (*resource).to_owned()));
        self
    }

    /// In this namespace. A Namespace is in the namespace of its own name. For an event: of an object in this namespace.
    pub fn namespace(mut self, namespace: &str) -> Self {
        self.namespace = Some(namespace.to_owned());
        self
    }

    /// About the object of this name.
    pub fn name(mut self, name: &str) -> Self {
        self.name = Some(name.to_owned());
        self
    }

    /// About this subresource; empty for the object itself.
    pub fn subresource(mut self, subresource: &str) -> Self {
        self.subresource = Some(subresource.to_owned());
        self
    }

    /// From a client whose name contains this.
    pub fn user_agent(mut self, part: &str) -> Self {
        self.user_agent = Some(part.to_owned());
        self
    }

    /// On another's behalf, or not.
    pub fn impersonated(mut self, impersonated: bool) -> Self {
        self.impersonated = Some(impersonated);
        self
    }

    /// With a path and query that contain this.
    pub fn path(mut self, part: &str) -> Self {
        self.path = Some(part.to_owned());
        self
    }

    /// Watch events of this type, such as `DELETED`. For [`Fault::SwallowEvent`](super::Fault::SwallowEvent) alone.
    pub fn event(mut self, kind: &str) -> Self {
        self.event = Some(kind.to_owned());
        self
    }

    pub(super) fn matches(&self, request: &Request) -> bool {
        self.event.is_none()
            && self.matches_but_for_the_object(request)
            && is(self.namespace.as_ref(), &request.namespace)
            && is(self.name.as_ref(), &request.name)
    }

    /// Whether an event of a watch is meant: namespace and name are those of its object.
    pub(super) fn matches_event(&self, watch: &Request, event: &Event) -> bool {
        self.matches_but_for_the_object(watch)
            && is(self.event.as_ref(), &event.kind)
            && is(self.namespace.as_ref(), &event.namespace)
            && is(self.name.as_ref(), &event.name)
    }

    fn matches_but_for_the_object(&self, request: &Request) -> bool {
        let class = match self.class {
            Class::Any => true,
            Class::Writes => request.is_write(),
            Class::Reads => matches!(request.verb.as_str(), "get" | "list" | "watch"),
        };
        let contains = |wanted: &Option<String>, text: &str| wanted.as_ref().is_none_or(|part| text.contains(part.as_str()));
        class
            && is(self.verb.as_ref(), &request.verb)
            && is(self.group.as_ref(), &request.group)
            && is(self.resource.as_ref(), &request.resource)
            && is(self.subresource.as_ref(), &request.subresource)
            && self.impersonated.is_none_or(|wanted| wanted == request.impersonated.is_some())
            && contains(&self.user_agent, &request.user_agent)
            && contains(&self.path, &format!("{}?{}", request.path, request.query))
            && !self.except.contains(&request.resource)
    }
}

fn is(wanted: Option<&String>, text: &str) -> bool {
    wanted.is_none_or(|wanted| wanted == text)
}

/// Which requests are meant, and which of those in their order.
#[derive(Debug, Clone)]
pub struct Rule {
    pub(super) selector: Selector,
    from: u64,
    times: Option<u64>,
    chance: Option<(u64, u8)>,
}

impl Rule {
    /// Every request that the selector means.
    pub fn on(selector: Selector) -> Self {
        Self {
            selector,
            from: 1,
            times: None,
            chance: None,
        }
    }

    /// Only the `n`-th match, counted from one.
    pub fn nth(self, n: u64) -> Self {
        self.from(n).times(1)
    }

    /// The `n`-th match and all later ones, counted from one.
    pub fn from(mut self, n: u64) -> Self {
        self.from = n;
        self
    }

    /// At most so many times.
    pub fn times(mut self, times: u64) -> Self {
        self.times = Some(times);
        self
    }

    /// Each match with this chance in percent. The same seed decides the same about the n-th match, whenever it comes.
    pub fn chance(mut self, seed: u64, percent: u8) -> Self {
        self.chance = Some((seed, percent));
        self
    }

    /// Whether the `number`-th match is meant, when it was `acted` on so many times before.
    pub(super) fn decides(&self, number: u64, acted: u64) -> bool {
        let lucky = |(seed, percent): (u64, u8)| Seeded::nth(seed, number) % 100 < u64::from(percent);
        number >= self.from && self.times.is_none_or(|times| acted < times) && self.chance.is_none_or(lucky)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decisions(rule: &Rule, matches: u64) -> Vec<u64> {
        let mut acted = 0;
        let decide = |number: &u64| {
            let decided = rule.decides(*number, acted);
            acted += u64::from(decided);
            decided
        };
        (1..=matches).filter(decide).collect()
    }

    #[test]
    fn matches_are_counted_from_one() {
        let rule = || Rule::on(Selector::any());
        assert_eq!(decisions(&rule(), 3), [1, 2, 3]);
        assert_eq!(decisions(&rule().nth(2), 4), [2]);
        assert_eq!(decisions(&rule().from(3), 4), [3, 4]);
        assert_eq!(decisions(&rule().from(2).times(2), 5), [2, 3]);
    }

    #[test]
    fn a_seed_decides_always_the_same() {
        let rule = |seed| Rule::on(Selector::any()).chance(seed, 30);
        let first = decisions(&rule(7), 1000);
        assert_eq!(first, decisions(&rule(7), 1000));
        assert_ne!(first, decisions(&rule(8), 1000));
        assert!((230..370).contains(&first.len()), "{} of 1000 at 30 percent", first.len());
        assert!(decisions(&rule(7).times(2), 1000).len() == 2);
        assert!(decisions(&Rule::on(Selector::any()).chance(7, 0), 1000).is_empty());
    }

    #[test]
    fn a_selector_asks_for_what_it_says_and_for_nothing_else() {
        let request = Request {
            verb: "apply".to_owned(),
            resource: "configmaps".to_owned(),
            namespace: "a".to_owned(),
            name: "settings".to_owned(),
            path: "/api/v1/namespaces/a/configmaps/settings".to_owned(),
            ..Request::default()
        };
        let meant = [
            Selector::any(),
            Selector::writes(),
            Selector::writes()
                .verb("apply")
                .group("")
                .resource("configmaps")
                .namespace("a")
                .name("settings"),
            Selector::any()
                .subresource("")
                .path("/configmaps/")
                .except(&["leases"])
                .impersonated(false),
        ];
        assert!(meant.iter().all(|selector| selector.matches(&request)));
        let not_meant = [
            Selector::reads(),
            Selector::any().verb("patch"),
            Selector::any().subresource("status"),
            Selector::any().name("other"),
            Selector::any().except(&["configmaps"]),
            Selector::any().impersonated(true),
            Selector::any().user_agent("kubectl"),
            Selector::any().event("ADDED"),
        ];
        assert!(!not_meant.iter().any(|selector| selector.matches(&request)));
    }

    #[test]
    fn an_event_is_known_by_its_object_and_not_by_the_watch() {
        let watch = Request {
            verb: "watch".to_owned(),
            resource: "configmaps".to_owned(),
            ..Request::default()
        };
        let event = Event {
            kind: "DELETED".to_owned(),
            namespace: "a".to_owned(),
            name: "settings".to_owned(),
        };
        let all = Selector::any().resource("configmaps").namespace("a").name("settings");
        assert!(all.matches_event(&watch, &event));
        assert!(all.clone().event("DELETED").matches_event(&watch, &event));
        assert!(!all.event("ADDED").matches_event(&watch, &event));
        assert!(!Selector::any().name("other").matches_event(&watch, &event));
    }
}
