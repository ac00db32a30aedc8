//! Receipts for people.

use jiff::Timestamp;

use super::Read;
use crate::api::receipt::FullReceipt;
use crate::cli::printable::printable;
use crate::cli::table::{age, table};

/// A line for each receipt.
pub(super) fn list(receipts: &[Read], everywhere: bool) -> String {
    let mut header = vec!["BRANCH", "PROJECT", "CREATED", "REMOVED", "KEPT", "LEFT", "SIGNED", "AGE", "NAME"];
    if everywhere {
        header.insert(0, "NAMESPACE");
    }
    let now = Timestamp::now();
    let row = |read: &Read| {
        let receipt = &read.receipt;
        let signed = if read.kept.signature.is_some() { "yes" } else { "no" };
        let mut row = vec![
            receipt.branch.clone(),
            receipt.project.rsplit('/').next().unwrap_or_default().to_owned(),
            receipt.created.to_string(),
            receipt.removed.to_string(),
            receipt.kept.to_string(),
            receipt.left.len().to_string(),
            signed.to_owned(),
            age(Some(receipt.completed_at.0), now),
            read.kept.name.clone(),
        ];
        if everywhere {
            row.insert(0, read.kept.namespace.clone());
        }
        row
    };
    table(&header, receipts.iter().map(row))
}

/// Everything that one receipt says.
pub(super) fn one(receipt: &FullReceipt) -> String {
    let signed = match (&receipt.signed_by, &receipt.unsigned_because) {
        (Some(id), _) => format!("by key {}; `graftling receipt verify` checks it", printable(id)),
        (None, Some(because)) => format!("no: {}", printable(because)),
        (None, None) => "no".to_owned(),
    };
    let mut text = format!(
        "Environment:  {}\nBranch:       {}\nProject:      {}\nRemoved:      because {}\nCompleted:    {}\nSigned:       {signed}\n\
         Created {}, removed {}, kept {}, left {}\n",
        printable(&receipt.environment),
        printable(&receipt.branch),
        printable(&receipt.project),
        printable(&receipt.because),
        receipt.completed_at.0,
        receipt.created,
        receipt.removed,
        receipt.kept,
        receipt.left.len(),
    );
    let left = receipt.left.iter().map(|left| format!("{}: {}", left.object, left.reason));
    section(&mut text, "Left", left);
    section(&mut text, "Teardown stages", receipt.teardown_stages.iter().cloned());
    let objects = receipt.objects.iter().map(|object| format!("{}: {}", object.object, object.result));
    section(&mut text, "Objects", objects);
    let volumes = receipt.volumes.iter().map(|volume| {
        let (name, policy) = (&volume.persistent_volume, &volume.reclaim_policy);
        format!("{name} ({policy}, of claim {}): {}", volume.claim, volume.result)
    });
    section(&mut text, "Volumes", volumes);
    section(
        &mut text,
        "Objects of others that went with the namespace",
        receipt.foreign_objects.iter().cloned(),
    );
    section(&mut text, "References", receipt.dangling_references.iter().cloned());
    let mentions = receipt
        .mentions
        .iter()
        .map(|mention| format!("{} {}", mention.object, mention.r#where));
    section(&mut text, "Mentioned by", mentions);
    let scan = &receipt.scan;
    text.push_str(&format!(
        "\nLast look: {} objects of {} kinds in {} requests, {} ms\n",
        scan.objects, scan.kinds, scan.requests, scan.milliseconds
    ));
    section(&mut text, "Kinds that could not be seen", scan.not_visible.iter().cloned());
    section(&mut text, "Groups that did not answer", scan.not_answering.iter().cloned());
    text
}

fn section(text: &mut String, title: &str, lines: impl Iterator<Item = String>) {
    for (number, line) in lines.enumerate() {
        if number == 0 {
            text.push_str(&format!("\n{title}:\n"));
        }
        text.push_str(&format!("  {}\n", printable(&line)));
    }
}
