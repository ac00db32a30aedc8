//! What pull requests mean for the environments of their branches: which of them count, and what becomes of an environment whose pull
//! request is open no more.

use std::collections::BTreeSet;

use globset::{GlobSet, GlobSetBuilder};

use super::{GlobError, glob};
use crate::domain::git::PullRequest;

/// What a Project says of pull requests.
#[derive(Debug, Clone, Default)]
pub struct PullRequestPolicy {
    /// What a branch needs to get an environment.
    pub needs: Needs,
    /// Which open pull requests count where one is needed.
    pub filters: Filters,
    /// What becomes of an environment whose pull request was closed.
    pub on_close: OnClose,
}

/// What a branch needs to get an environment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Needs {
    /// To match the Project's globs.
    #[default]
    Branch,
    /// To match the globs, and to have an open pull request that counts.
    PullRequest,
    /// One of both.
    Either,
}

/// What becomes of an environment whose pull request is open no more while its branch is there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OnClose {
    /// It stays as long as the branch.
    #[default]
    Keep,
    /// It is scaled to zero, with its data, until the branch is pushed or the pull request reopened.
    Sleep,
    /// It is torn down.
    Teardown,
}

/// Which open pull requests count. Every filter has to let one pass; of the entries of a filter one is enough, and a filter without
/// entries lets all of them pass.
#[derive(Debug, Clone, Default)]
pub struct Filters {
    /// Labels, of which it has to bear one.
    pub labels: BTreeSet<String>,
    /// Patterns of its title.
    pub title: Vec<Pattern>,
    /// Globs over the branch to merge.
    pub source: Globs,
    /// Globs over the branch to merge into.
    pub target: Globs,
    /// Patterns of its author's login.
    pub authors: Vec<Pattern>,
    /// Patterns of the logins of authors whose pull requests never count.
    pub not_authors: Vec<Pattern>,
    /// Whether drafts count as well.
    pub drafts: Drafts,
    /// Globs over the paths of the files that it changes.
    pub paths: Globs,
}

/// Whether drafts count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Drafts {
    /// They do.
    #[default]
    Include,
    /// They do not.
    Ignore,
}

/// A filter that an open pull request does not pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Filter {
    /// `labels`.
    Labels,
    /// `title`.
    Title,
    /// `source`.
    Source,
    /// `target`.
    Target,
    /// `authors`.
    Authors,
    /// `drafts`.
    Drafts,
}

/// Globs, of which one is enough; without any, everything matches.
#[derive(Debug, Clone, Default)]
pub struct Globs(GlobSet);

/// A text in which `*` stands for any characters, and everything else for itself: `*[bot]`. Letters match whatever their case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    /// What stands between the stars, in lower case; one part more than there are stars.
    parts: Vec<String>,
}

impl Filters {
    /// The first filter that keeps the pull request from counting. Changed paths are asked for apart.
    pub fn refusal(&self, pull_request: &PullRequest) -> Option<Filter> {
        let any = |patterns: &[Pattern], text: &str| patterns.is_empty() || patterns.iter().any(|pattern| pattern.matches(text));
        let bears_label = self.labels.is_empty() || pull_request.labels.iter().any(|label| self.labels.contains(label));
        let is_excluded = self.not_authors.iter().any(|pattern| pattern.matches(&pull_request.author));
        let checks = [
            (Filter::Drafts, self.drafts == Drafts::Include || !pull_request.draft),
            (Filter::Labels, bears_label),
            (Filter::Title, any(&self.title, &pull_request.title)),
            (Filter::Source, self.source.match_one(pull_request.head.as_str())),
            (Filter::Target, self.target.match_one(&pull_request.base)),
            (Filter::Authors, !is_excluded && any(&self.authors, &pull_request.author)),
        ];
        checks.into_iter().find(|(_, passes)| !passes).map(|(filter, _)| filter)
    }
}

impl Filter {
    /// What is wrong with the pull request.
    pub fn text(self) -> &'static str {
        match self {
            Self::Labels => "its pull request bears none of the labels of pullRequests.filters.labels",
            Self::Title => "its pull request has a title that matches none of pullRequests.filters.title",
            Self::Source => "its pull request comes from a branch that matches none of pullRequests.filters.source",
            Self::Target => "its pull request is to be merged into a branch that matches none of pullRequests.filters.target",
            Self::Authors => "its pull request has an author whom pullRequests.filters.authors leaves out",
            Self::Drafts => "its pull request is a draft, and pullRequests.filters.drafts ignores those",
        }
    }
}

impl Globs {
    /// Compiles globs. `*` stays within one path segment, `**` crosses them.
    ///
    /// # Errors
    /// The first that is no glob.
    pub fn new(field: &str, texts: &[String]) -> Result<Self, GlobError> {
        let mut set = GlobSetBuilder::new();
        for text in texts {
            set.add(glob(field, text)?);
        }
        let built = set.build().map_err(|source| GlobError {
            field: field.to_owned(),
            glob: texts.join(", "),
            source,
        })?;
        Ok(Self(built))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether one of them matches.
    pub fn match_one(&self, text: &str) -> bool {
        self.0.is_empty() || self.0.is_match(text)
    }
}

impl Pattern {
    /// Reads a pattern; every text is one.
    pub fn new(text: &str) -> Self {
        Self {
            parts: text.to_lowercase().split('*').map(str::to_owned).collect(),
        }
    }

    /// Whether all of `text` matches. Takes time as the length of both.
    pub fn matches(&self, text: &str) -> bool {
        let text = text.to_lowercase();
        let (Some(first), Some(last)) = (self.parts.first(), self.parts.last()) else {
            return false;
        };
        if self.parts.len() == 1 {
            return text == *first;
        }
        let Some(rest) = text.strip_prefix(first.as_str()) else {
            return false;
        };
        let Some(mut rest) = rest.strip_suffix(last.as_str()) else {
            return false;
        };
        // The first place of each part leaves the most for those that follow.
        self.parts[1..self.parts.len() - 1]
            .iter()
            .all(|part| match rest.find(part.as_str()) {
                Some(at) => {
                    rest = &rest[at + part.len()..];
                    true
                }
                None => false,
            })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed parse is the test's failure")]

    use proptest::prelude::*;

    use super::*;

    fn pull_request() -> PullRequest {
        PullRequest {
            number: 7,
            head: "feature/web/a".parse().unwrap(),
            fork: None,
            base: "main".into(),
            author: "Ada".into(),
            title: "[web] A new page".into(),
            labels: vec!["preview".into(), "size/S".into()],
            draft: false,
        }
    }

    fn globs(texts: &[&str]) -> Globs {
        let texts: Vec<_> = texts.iter().map(ToString::to_string).collect();
        Globs::new("field", &texts).unwrap()
    }

    fn patterns(texts: &[&str]) -> Vec<Pattern> {
        texts.iter().map(|text| Pattern::new(text)).collect()
    }

    fn labels(texts: &[&str]) -> BTreeSet<String> {
        texts.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn feature_t5_feature_t6_of_each_filter_one_entry_is_enough_and_every_filter_has_to_let_it_pass() {
        let none = Filters::default;
        let pass = [
            none(),
            Filters {
                labels: labels(&["other", "preview"]),
                ..none()
            },
            Filters {
                title: patterns(&["fix*", "[web] *"]),
                ..none()
            },
            Filters {
                source: globs(&["x", "feature/**"]),
                ..none()
            },
            Filters {
                target: globs(&["release/*", "main"]),
                ..none()
            },
            Filters {
                authors: patterns(&["bob", "ada"]),
                ..none()
            },
            Filters {
                not_authors: patterns(&["*[bot]"]),
                ..none()
            },
            Filters {
                drafts: Drafts::Ignore,
                ..none()
            },
        ];
        for filters in &pass {
            assert_eq!(filters.refusal(&pull_request()), None, "{filters:?}");
        }
        let refuse = [
            (
                Filters {
                    labels: labels(&["Preview"]),
                    ..none()
                },
                Filter::Labels,
            ),
            (
                Filters {
                    title: patterns(&["web*"]),
                    ..none()
                },
                Filter::Title,
            ),
            (
                Filters {
                    source: globs(&["feature/*"]),
                    ..none()
                },
                Filter::Source,
            ),
            (
                Filters {
                    target: globs(&["release/*"]),
                    ..none()
                },
                Filter::Target,
            ),
            (
                Filters {
                    authors: patterns(&["bob"]),
                    ..none()
                },
                Filter::Authors,
            ),
            (
                Filters {
                    authors: patterns(&["ada"]),
                    not_authors: patterns(&["a*"]),
                    ..none()
                },
                Filter::Authors,
            ),
        ];
        for (filters, by) in &refuse {
            assert_eq!(filters.refusal(&pull_request()), Some(*by), "{filters:?}");
            // What all others let pass is refused all the same.
            let both = Filters {
                labels: if *by == Filter::Labels {
                    filters.labels.clone()
                } else {
                    labels(&["preview"])
                },
                ..filters.clone()
            };
            assert_eq!(both.refusal(&pull_request()), Some(*by), "{both:?}");
        }
    }

    #[test]
    fn feature_t6_a_draft_and_a_bot_count_only_where_they_are_let_in() {
        let draft = PullRequest {
            draft: true,
            ..pull_request()
        };
        let ignoring = Filters {
            drafts: Drafts::Ignore,
            ..Filters::default()
        };
        assert_eq!(Filters::default().refusal(&draft), None);
        assert_eq!(ignoring.refusal(&draft), Some(Filter::Drafts));
        let bot = PullRequest {
            author: "renovate[bot]".into(),
            ..pull_request()
        };
        let no_bots = Filters {
            not_authors: patterns(&["*[bot]"]),
            ..Filters::default()
        };
        assert_eq!(no_bots.refusal(&bot), Some(Filter::Authors));
        let like_a_bot = PullRequest {
            author: "robot".into(),
            ..pull_request()
        };
        assert_eq!(no_bots.refusal(&like_a_bot), None, "brackets stand for themselves");
    }

    #[test]
    fn a_star_of_a_pattern_stands_for_any_text_and_nothing_is_counted_twice() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("*", "a/b c", true),
            ("", "", true),
            ("", "a", false),
            ("a*a", "a", false),
            ("a*a", "aa", true),
            ("*ab*ab*", "ab", false),
            ("*ab*ab*", "xabab", true),
            ("a*b*c", "abbc", true),
            ("a*b*c", "acb", false),
        ] {
            assert_eq!(Pattern::new(pattern).matches(text), expected, "{pattern} {text}");
        }
    }

    /// A star takes nothing, or one character and is asked again.
    fn matches_slowly(pattern: &[char], text: &[char]) -> bool {
        match (pattern, text) {
            ([], []) => true,
            (['*', rest @ ..], _) if matches_slowly(rest, text) => true,
            (['*', ..], [_, rest @ ..]) => matches_slowly(pattern, rest),
            ([first, pattern @ ..], [same, text @ ..]) if first == same => matches_slowly(pattern, text),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn a_pattern_matches_what_its_definition_says(pattern in "[ab*]{0,7}", text in "[ab]{0,9}") {
            let chars = |text: &str| text.chars().collect::<Vec<_>>();
            prop_assert_eq!(Pattern::new(&pattern).matches(&text), matches_slowly(&chars(&pattern), &chars(&text)));
        }
    }
}
