//! Which paths a merge would change.

use std::collections::BTreeSet;

use http::StatusCode;
use serde::Deserialize;

use super::{Github, owner_and_name, wire};
use crate::domain::git::{BranchName, RepositoryName, Revision};
use crate::githost::Error;

const COMPARE: &str = "ask which files a pull request changes";

/// GitHub tells of a comparison so many files and never more, without saying that there are others.
const MOST_FILES: usize = 300;

#[derive(Deserialize)]
struct Comparison {
    files: Option<Vec<ChangedFile>>,
}

#[derive(Deserialize)]
struct ChangedFile {
    filename: String,
    /// Of a renamed file.
    previous_filename: Option<String>,
}

/// The files from where both parted to `head`; all of them are on the first page.
pub(super) async fn changed_paths(
    github: &Github,
    name: &RepositoryName,
    base: &BranchName,
    head: &Revision,
) -> Result<Option<BTreeSet<String>>, Error> {
    let (owner, repository) = owner_and_name(name)?;
    let mut url = github
        .api
        .url(&["repos", owner, repository, "compare", &format!("{base}...{head}")]);
    // Its commits are of no use here.
    url.query_pairs_mut().append_pair("per_page", "1");
    let answer = github.api.get(COMPARE, url).await?;
    match answer.status {
        StatusCode::OK => {
            let files = answer.decode::<Comparison>(COMPARE)?.files;
            Ok(files.filter(|files| files.len() < MOST_FILES).map(names))
        }
        // One of both is gone, or they have no commit in common.
        StatusCode::NOT_FOUND => answer.decode::<wire::Problem>(COMPARE).map(|_| None),
        _ => Err(answer.unexpected(COMPARE)),
    }
}

fn names(files: Vec<ChangedFile>) -> BTreeSet<String> {
    let names = files.into_iter().flat_map(|file| [Some(file.filename), file.previous_filename]);
    names.flatten().collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a step that fails is the test's failure")]

    use serde_json::{Value, json};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;
    use crate::githost::github::Settings;

    /// What GitHub is asked for first, and what becomes of its answer.
    async fn ask(status: u16, body: Value) -> (String, Result<Option<BTreeSet<String>>, Error>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let served = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            let body = body.to_string();
            let length = body.len();
            let reply = format!(
                "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
            );
            stream.write_all(reply.as_bytes()).await.unwrap();
            String::from_utf8(head).unwrap().split(' ').nth(1).unwrap().to_owned()
        });
        let github = Github::connect(&Settings::new(url)).unwrap();
        let (name, base, head) = (
            "acme/shop".parse().unwrap(),
            "release/1".parse().unwrap(),
            "ab".repeat(20).parse().unwrap(),
        );
        let answer = changed_paths(&github, &name, &base, &head).await;
        (served.await.unwrap(), answer)
    }

    fn files(count: usize) -> Value {
        let files: Vec<_> = (0..count)
            .map(|number| json!({"filename": format!("f{number}"), "status": "added"}))
            .collect();
        json!({"status": "ahead", "commits": [], "files": files})
    }

    #[tokio::test]
    async fn feature_t7_a_comparison_gives_both_names_of_what_was_renamed() {
        let renamed = json!({"filename": "web/new", "previous_filename": "lib/old", "status": "renamed"});
        let (target, answer) = ask(200, json!({"files": [renamed, {"filename": "api/a", "status": "removed"}]})).await;
        assert_eq!(
            target,
            format!("/api/v3/repos/acme/shop/compare/release%2F1...{}?per_page=1", "ab".repeat(20))
        );
        assert_eq!(
            answer.unwrap().unwrap().into_iter().collect::<Vec<_>>(),
            ["api/a", "lib/old", "web/new"]
        );
    }

    #[tokio::test]
    async fn feature_t7_a_comparison_that_may_be_cut_off_or_is_none_says_that_nothing_is_known() {
        assert_eq!(ask(200, files(299)).await.1.unwrap().unwrap().len(), 299);
        assert_eq!(ask(200, files(300)).await.1.unwrap(), None);
        assert_eq!(ask(200, json!({"files": null})).await.1.unwrap(), None);
        assert_eq!(ask(404, json!({"message": "Not Found"})).await.1.unwrap(), None);
        assert!(ask(502, json!({})).await.1.is_err());
    }
}
