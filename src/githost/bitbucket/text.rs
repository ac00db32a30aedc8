//! What has another form at Bitbucket: remarks in comments that nobody is to see, and the keys of build statuses.

use aws_lc_rs::digest;

/// Bitbucket shows HTML comments as they stand. A definition of a link that nothing refers to is seen by nobody.
const BEFORE: &str = "[//]: # (";
const AFTER: &str = ")";
const HTML_BEFORE: &str = "<!-- graftling";
const HTML_AFTER: &str = " -->";
const OURS: &str = "graftling";

/// A comment as it is sent: a line that is a remark of ours stays unseen.
pub(super) fn hidden(body: &str) -> String {
    let line = |line: &str| {
        let remark = line.strip_prefix(HTML_BEFORE).and_then(|rest| rest.strip_suffix(HTML_AFTER));
        match remark.filter(|remark| !remark.contains(['(', ')'])) {
            Some(remark) => format!("{BEFORE}{OURS}{remark}{AFTER}"),
            None => line.to_owned(),
        }
    };
    body.split('\n').map(line).collect::<Vec<_>>().join("\n")
}

/// A comment as it was before [`hidden`].
pub(super) fn shown(body: &str) -> String {
    let line = |line: &str| {
        let line = line.strip_suffix('\r').unwrap_or(line);
        let remark = line.strip_prefix(BEFORE).and_then(|rest| rest.strip_suffix(AFTER));
        match remark.and_then(|remark| remark.strip_prefix(OURS)) {
            Some(remark) => format!("{HTML_BEFORE}{remark}{HTML_AFTER}"),
            None => line.to_owned(),
        }
    };
    body.split('\n').map(line).collect::<Vec<_>>().join("\n")
}

/// The key of a build status: the context, or its beginning and a digest of all of it where it is too long.
pub(super) fn key(context: &str, longest: usize) -> String {
    if context.chars().count() <= longest {
        return context.to_owned();
    }
    let digest = digest::digest(&digest::SHA256, context.as_bytes());
    let digits: String = digest.as_ref().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let beginning: String = context.chars().take(longest - digits.len() - 1).collect();
    format!("{beginning}-{digits}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remark_of_ours_is_seen_by_nobody_and_reads_back_as_it_was() {
        let body = "<!-- graftling:shop/x -->\nready\n\n<!-- graftling:answer:7 -->";
        let sent = hidden(body);
        assert_eq!(sent, "[//]: # (graftling:shop/x)\nready\n\n[//]: # (graftling:answer:7)");
        assert_eq!(shown(&sent), body);
        assert_eq!(shown(&sent.replace('\n', "\r\n")), body);
        assert_eq!(hidden("text <!-- graftling -->"), "text <!-- graftling -->");
        assert_eq!(shown("[//]: # (somebody's)"), "[//]: # (somebody's)");
    }

    #[test]
    fn a_long_context_has_a_key_of_its_own_that_fits() {
        assert_eq!(key("preview/shop", 40), "preview/shop");
        let contexts = ["a", "b"].map(|end| format!("preview/{}{end}", "x".repeat(60)));
        let keys = contexts.each_ref().map(|context| key(context, 40));
        assert!(keys.iter().all(|key| key.chars().count() == 40), "{keys:?}");
        assert_ne!(keys[0], keys[1]);
        assert_eq!(keys[0], key(&contexts[0], 40));
        assert_eq!(key(&"ä".repeat(41), 40).chars().count(), 40);
    }
}
