#![allow(clippy::unwrap_used, reason = "a server that cannot be started is the test's failure")]

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use testbed::https::{Answer, HttpsServer};

use super::*;

fn bundle() -> Vec<u8> {
    let mut builder = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::default()));
    let mut header = tar::Header::new_gnu();
    header.set_size(7);
    builder.append_data(&mut header, "web/bundle.yaml", &b"name: a"[..]).unwrap();
    builder.into_inner().unwrap().finish().unwrap()
}

fn digest_of(bytes: &[u8]) -> Sha256 {
    hex(digest::digest(&digest::SHA256, bytes).as_ref()).parse().unwrap()
}

/// A client that may reach `server` although it is on loopback.
fn allowed(server: &HttpsServer) -> Archives {
    let (host, port) = server
        .host()
        .rsplit_once(':')
        .map(|(host, port)| (host.to_owned(), port.parse().unwrap()))
        .unwrap();
    Archives::new(&[ArchiveHost { host, port }], Some(&server.authority())).unwrap()
}

async fn ask(archives: &Archives, url: &str) -> Result<Vec<String>, String> {
    let files = archives.files(&url.parse().unwrap(), &digest_of(&bundle())).await;
    files.map(|files| files.into_keys().collect()).map_err(|error| error.to_string())
}

#[tokio::test]
async fn an_archive_with_the_right_digest_is_read_and_any_other_is_refused() {
    let server = HttpsServer::start().await.unwrap();
    server.set("/web.tgz", Answer::File(bundle()));
    server.set("/moved.tgz", Answer::Redirect(server.url("/web.tgz")));
    let archives = allowed(&server);
    for path in ["/web.tgz", "/moved.tgz"] {
        assert_eq!(ask(&archives, &server.url(path)).await.unwrap(), ["bundle.yaml"]);
    }
    let mut other = bundle();
    other.write_all(b"x").unwrap();
    server.set("/web.tgz", Answer::File(other));
    assert!(
        ask(&archives, &server.url("/web.tgz"))
            .await
            .unwrap_err()
            .contains("spec.bundle.archive.sha256")
    );
    server.set("/web.tgz", Answer::Status(404));
    assert!(ask(&archives, &server.url("/web.tgz")).await.unwrap_err().contains("HTTP 404"));
    server.set("/web.tgz", Answer::Status(503));
    let error = archives
        .files(&server.url("/web.tgz").parse().unwrap(), &digest_of(b""))
        .await
        .unwrap_err();
    assert_eq!(error.class(), Class::Transient);
}

#[tokio::test]
async fn threat_t30_an_archive_without_end_is_given_up_at_the_limit() {
    let server = HttpsServer::start().await.unwrap();
    server.set("/web.tgz", Answer::Endless);
    let error = ask(&allowed(&server), &server.url("/web.tgz")).await.unwrap_err();
    assert!(error.contains("more than 32 MiB"), "{error}");
}

#[tokio::test]
async fn threat_t31_neither_a_name_nor_an_address_nor_a_redirect_leads_inside() {
    let server = HttpsServer::start().await.unwrap();
    server.set("/web.tgz", Answer::File(bundle()));
    let port = server.host().rsplit_once(':').unwrap().1.to_owned();
    let open = Archives::new(&[], Some(&server.authority())).unwrap();
    for url in [
        server.url("/web.tgz"),
        format!("https://127.0.0.1:{port}/web.tgz"),
        format!("https://0x7f.1:{port}/web.tgz"),
        format!("https://2130706433:{port}/web.tgz"),
        format!("https://[::1]:{port}/web.tgz"),
        format!("https://[::ffff:127.0.0.1]:{port}/web.tgz"),
        "https://169.254.169.254/latest/meta-data".to_owned(),
    ] {
        let error = open.files(&url.parse().unwrap(), &digest_of(&bundle())).await.unwrap_err();
        assert!(error.to_string().contains("public"), "{url}: {error}");
        assert_eq!(error.class(), Class::NeedsAttention, "{url}");
    }
    let archives = allowed(&server);
    for (target, word) in [
        ("https://169.254.169.254/x".to_owned(), "no public address"),
        ("https://10.0.0.1/x".to_owned(), "no public address"),
        (format!("http://{}/web.tgz", server.host()), "only https"),
        ("https://localhost:1/web.tgz".to_owned(), "another port"),
        (server.url("/loop"), "redirects"),
    ] {
        server.set("/loop", Answer::Redirect(target));
        let error = ask(&archives, &server.url("/loop")).await.unwrap_err();
        assert!(error.contains(word), "{error}");
    }
}

#[tokio::test]
async fn a_server_that_nobody_vouches_for_is_not_trusted() {
    let server = HttpsServer::start().await.unwrap();
    server.set("/web.tgz", Answer::File(bundle()));
    let port = server.host().rsplit_once(':').unwrap().1.parse().unwrap();
    let host = "localhost".to_owned();
    let archives = Archives::new(&[ArchiveHost { host, port }], None).unwrap();
    assert!(
        ask(&archives, &server.url("/web.tgz"))
            .await
            .unwrap_err()
            .contains("could not fetch")
    );
    let missing = Archives::new(&[], Some(Path::new("/nowhere/ca.pem")));
    assert!(matches!(missing.map(drop), Err(Error::PrepareClient(_))));
}
