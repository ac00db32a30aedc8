//! The API server's clock: what deadlines are written and judged by.

use http::Request;
use jiff::Timestamp;
use jiff::fmt::rfc2822;
use kube::Client;
use kube::client::Body;

use super::Error;
use super::connection::within;

/// Asks the API server what time it is: every answer of its says so. Whole seconds.
///
/// # Errors
/// The server did not answer, or its answer tells no time.
pub async fn server_time(client: &Client) -> Result<Timestamp, Error> {
    let what = || "the API server's clock".to_owned();
    // Everybody who is let in at all may read the version, and it costs the server next to nothing.
    let request = Request::get("/version").body(Body::empty());
    let request = request.map_err(|source| Error::Read {
        what: what(),
        source: kube::Error::HttpError(source),
    })?;
    let answer = within(
        || format!("read {}", what()),
        client.send(request),
        |source| Error::Read { what: what(), source },
    )
    .await?;
    let date = answer.headers().get(http::header::DATE).and_then(|date| date.to_str().ok());
    date.and_then(parse).ok_or(Error::TellTime)
}

/// The `Date` of HTTP is that of mails (RFC 2822), in GMT.
fn parse(date: &str) -> Option<Timestamp> {
    rfc2822::parse(date).ok().map(|zoned| zoned.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_date_of_an_answer_is_read_as_http_writes_it() {
        let read = parse("Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(read.map(Timestamp::as_second), Some(784_111_777));
        for text in ["", "yesterday", "1994-11-06T08:49:37Z"] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }
}
