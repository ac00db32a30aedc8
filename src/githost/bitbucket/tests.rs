//! What needs no Bitbucket: addresses, names and tokens. The rest stands in `tests/it/githost/bitbucket`.
#![allow(clippy::unwrap_used, reason = "a failed parse is the test's failure")]

use futures::FutureExt;

use super::*;

fn settings(url: &str, api_url: Option<&str>) -> Settings {
    let mut settings = Settings::new(url);
    settings.api_url = api_url.map(str::to_owned);
    settings
}

#[test]
fn the_clouds_address_is_the_cloud_and_any_other_a_data_center() {
    let problem = |url: &str, api_url: Option<&str>| {
        let host = connect(&settings(url, api_url)).unwrap();
        let name = "wrong".parse().unwrap();
        // Nothing is sent: the answer is there at once.
        let error = host.repository(&name).now_or_never().unwrap().unwrap_err();
        error.to_string().split(" on ").last().unwrap().to_owned()
    };
    for (url, api_url, expected) in [
        ("https://bitbucket.org", None, "Bitbucket Cloud"),
        (
            "https://bitbucket.org/",
            Some("https://proxy.example.com/bitbucket"),
            "Bitbucket Cloud",
        ),
        ("http://127.0.0.1:1", Some("http://127.0.0.1:1/2.0/"), "Bitbucket Cloud"),
        ("https://bitbucket.example.com", None, "Bitbucket Data Center"),
        ("https://bitbucket.org.example.com", None, "Bitbucket Data Center"),
        (
            "https://a.example/x",
            Some("https://a.example/x/rest/api/1.0"),
            "Bitbucket Data Center",
        ),
    ] {
        assert_eq!(problem(url, api_url), expected, "{url} {api_url:?}");
    }
    assert!(connect(&settings("ssh://git@example.com", None)).is_err());
    assert!(connect(&settings("https://mia:pass@example.com", None)).is_err());
}

#[test]
fn the_parts_of_a_name_cannot_leave_their_place() {
    for name in ["acme/shop", "WEB/web-ui.js", "~mia/shop"] {
        assert!(parts(&name.parse().unwrap(), "A/B").is_ok(), "{name}");
    }
    for name in [
        "shop",
        "acme//shop",
        "./shop",
        "acme/.",
        "acme/a?b",
        "acme/a%2fb",
        "/shop",
        "acme/",
        "a/b/c",
        "acme/ä",
    ] {
        let error = parts(&name.parse().unwrap(), "A/B").unwrap_err();
        assert!(error.to_string().contains("must have the form A/B"), "{name}: {error}");
    }
}

#[test]
fn threat_t06_a_token_that_no_header_can_carry_is_refused_and_never_shown() {
    for username in [None, Some("mia@example.com".to_owned())] {
        let mut settings = settings("https://bitbucket.org", None);
        settings.username = username;
        settings.token = Some("s3cret\nX-Injected: 1".to_owned().into());
        let Err(error) = connect(&settings) else { panic!("it was taken") };
        assert!(matches!(error, Error::Misconfigured { .. }), "{error}");
        assert!(!format!("{error:?} {error} {settings:?}").contains("s3cret"));
        settings.token = Some("s3cret\n".to_owned().into());
        assert!(connect(&settings).is_ok());
    }
}
