//! The look at an environment's URL, as it is written in a Project.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A request to the URL of each environment: it counts as ready only once the answer is as it should be. The server asks, through whatever
/// stands before the environment, follows no redirect, and asks no other host.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UrlProbe {
    /// The path, with its query.
    #[serde(default = "UrlProbe::root")]
    #[schemars(length(min = 1, max = 1024), regex(pattern = r"^/[^\s#]*$"))]
    pub path: String,
    /// Which statuses are good: `200`, or `200-399` for all between.
    #[serde(default = "UrlProbe::good")]
    #[schemars(length(min = 1, max = 16), inner(regex(pattern = r"^[1-5][0-9]{2}(-[1-5][0-9]{2})?$")))]
    pub statuses: Vec<String>,
    /// How long the answer may take: from `1s` to `30s`.
    #[serde(default = "UrlProbe::soon")]
    #[schemars(regex(pattern = r"^([1-9]|[12][0-9]|30)s$"))]
    pub timeout: String,
}

impl UrlProbe {
    fn root() -> String {
        "/".to_owned()
    }

    fn good() -> Vec<String> {
        vec!["200-399".to_owned()]
    }

    fn soon() -> String {
        "5s".to_owned()
    }
}
