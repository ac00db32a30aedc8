#![allow(clippy::unwrap_used, reason = "a failed parse is the test's failure")]

use std::time::Instant;

use super::super::tests::server::{Reply, Server, http};
use super::*;

fn trusted() -> Vec<ArchiveHost> {
    let host = |host: &str, port| ArchiveHost {
        host: host.to_owned(),
        port,
    };
    vec![host("ci.internal", 8080), host("127.0.0.1", 8080), host("169.254.169.254", 80)]
}

#[test]
fn threat_t31_only_public_addresses_and_named_hosts_are_called_and_plain_http_only_there() {
    let allowed = |url: &str| check(&url.parse().unwrap(), &trusted());
    for url in [
        "https://ci.example.com/x",
        "https://8.8.8.8/",
        "http://ci.internal:8080/",
        "https://ci.internal:8080/",
        "http://127.0.0.1:8080/",
    ] {
        assert_eq!(allowed(url), Ok(()), "{url}");
    }
    for url in [
        "http://ci.example.com/x",
        "http://ci.internal/",
        "https://ci.internal/",
        "https://10.0.0.1/",
        "https://127.0.0.1/",
        "https://127.0.0.1:8081/",
        "https://0x7f.1/",
        "https://2130706433/",
        "https://[::1]/",
        "https://[::ffff:10.0.0.1]/",
        // Named or not.
        "http://169.254.169.254/latest/meta-data",
    ] {
        assert!(allowed(url).is_err(), "{url}");
    }
}

fn outside(server: &Server) -> Outside {
    let host = ArchiveHost {
        host: server.address.ip().to_string(),
        port: server.address.port(),
    };
    Outside::new(&[host], None).unwrap()
}

async fn get(outside: &Outside, url: &str, within: Duration) -> Result<Page, NoAnswer> {
    let request = Request::new(reqwest::Method::GET, url.parse().unwrap());
    outside.exchange(request, within).await
}

const LONG: Duration = Duration::from_secs(10);

#[tokio::test]
async fn a_redirect_is_an_answer_and_not_followed() {
    let server = Server::start(|_| http(302, "location: http://169.254.169.254/latest\r\n", "")).await;
    let page = get(&outside(&server), &format!("http://{}/x", server.address), LONG).await.unwrap();
    assert_eq!((page.status, server.requests().len()), (302, 1));
}

#[tokio::test]
async fn f70_an_endless_body_is_read_to_the_limit_and_no_further() {
    let server = Server::start(|_| Reply::Endless).await;
    let page = get(&outside(&server), &format!("http://{}/", server.address), LONG).await.unwrap();
    assert_eq!(page.body.len(), MAX_ANSWER);
}

#[tokio::test]
async fn who_does_not_answer_in_time_or_at_all_is_lost_and_not_refused() {
    let server = Server::start(|_| Reply::Hang).await;
    let started = Instant::now();
    let slow = get(
        &outside(&server),
        &format!("http://{}/", server.address),
        Duration::from_millis(100),
    )
    .await;
    assert_eq!(slow.err(), Some(NoAnswer::Lost("no whole answer within 100 ms".to_owned())));
    assert!(started.elapsed() < LONG);
    let broken = Server::start(|_| Reply::Bytes("nothing that is HTTP\r\n\r\n".to_owned())).await;
    let answer = get(&outside(&broken), &format!("http://{}/", broken.address), LONG).await;
    assert!(matches!(answer, Err(NoAnswer::Lost(_))));
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let host = ArchiveHost {
        host: "127.0.0.1".to_owned(),
        port: closed.port(),
    };
    let nobody = Outside::new(&[host], None).unwrap();
    let Err(NoAnswer::Lost(problem)) = get(&nobody, &format!("http://{closed}/?token=s3cret"), LONG).await else {
        panic!("nobody listens there")
    };
    assert!(problem.contains("refused") && !problem.contains("s3cret"), "{problem}");
}

#[tokio::test]
async fn threat_t31_a_name_that_leads_inside_is_refused_where_it_is_connected_to() {
    let server = Server::start(|_| http(200, "", "inside")).await;
    let outside = Outside::new(&[], None).unwrap();
    let url = format!("https://localhost:{}/", server.address.port());
    let Err(NoAnswer::Refused(problem)) = get(&outside, &url, LONG).await else {
        panic!("localhost is inside")
    };
    assert!(
        problem.starts_with("localhost has the address") && problem.contains("no public address"),
        "{problem}"
    );
    assert!(server.requests().is_empty());
    let trusts_another_port = ArchiveHost {
        host: "localhost".to_owned(),
        port: 1,
    };
    let answer = get(&Outside::new(&[trusts_another_port], None).unwrap(), &url, LONG).await;
    assert!(matches!(answer, Err(NoAnswer::Refused(problem)) if problem.contains("at another port")));
}
