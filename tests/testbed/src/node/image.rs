//! The images of a node, made of programs of ours: no registry has them, and a node has no others.
//!
//! Their tag is a fixed one, so the default `imagePullPolicy` takes what is there. With `Always` the node would ask the registry that
//! has nothing, and fail as for an image that does not exist.

use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;

use aws_lc_rs::digest;
use serde_json::{Value, json};
use tar::{Builder, EntryType, Header};

use super::Error;

/// What holds a pod together. Only the node itself uses it.
pub const PAUSE: &str = "local.test/pause:1";

/// A shell with its tools in `/bin`, and nothing that runs by itself.
pub const BUSYBOX: &str = "local.test/busybox:1";

/// A web server on port 8080, or on what `PORT` says. Its page tells `BRANCH` and `REVISION`; `/healthz` answers `ok`. It runs as any
/// user with a read-only root, as long as `/tmp` can be written.
pub const WEB: &str = "local.test/web:1";

/// What is below [`PRIVATE`] asks for credentials that nobody has.
pub const PRIVATE: &str = "local.test/private/web:1";

/// An image that no registry has.
pub const MISSING: &str = "local.test/missing:1";

/// The start of [`WEB`].
const SERVE: &str = r#"#!/bin/sh
set -e
mkdir -p /tmp/www
echo ok >/tmp/www/healthz
echo "<!doctype html><title>${BRANCH:-no branch} at ${REVISION:-no revision}</title>" >/tmp/www/index.html
echo "serving ${BRANCH:-no branch} at ${REVISION:-no revision}"
# The first process of a container ends on request only if it says so itself.
trap 'exit 0' TERM
httpd -f -vv -p "${PORT:-8080}" -h /tmp/www &
wait "$!"
"#;

/// A file of an archive.
enum Entry<'a> {
    Folder(u32),
    File(u32, &'a [u8]),
    Link(&'a str),
}

/// Writes an archive with all images to `path`, from the programs in `programs`.
pub(super) fn write(path: &Path, programs: &Path) -> Result<(), Error> {
    let pause = read(&programs.join("pause"))?;
    let busybox = programs.join("busybox");
    let applets = applets(&busybox)?;
    let busybox = read(&busybox)?;
    let archive = archive(&pause, &busybox, &applets).and_then(|archive| fs::write(path, archive));
    archive.map_err(|source| Error::Write {
        path: path.to_owned(),
        source,
    })
}

fn read(program: &Path) -> Result<Vec<u8>, Error> {
    fs::read(program).map_err(|source| Error::BuildImage {
        path: program.to_owned(),
        source,
    })
}

fn applets(busybox: &Path) -> Result<Vec<String>, Error> {
    let output = Command::new(busybox).arg("--list").output();
    let output = output.map_err(|source| Error::BuildImage {
        path: busybox.to_owned(),
        source,
    })?;
    let names = String::from_utf8_lossy(&output.stdout);
    Ok(names
        .lines()
        .filter(|name| *name != "busybox")
        .map(|name| format!("bin/{name}"))
        .collect())
}

fn archive(pause: &[u8], busybox: &[u8], applets: &[String]) -> io::Result<Vec<u8>> {
    let mut shell = vec![
        (
            "etc/passwd",
            Entry::File(0o644, b"root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n"),
        ),
        ("etc/group", Entry::File(0o644, b"root:x:0:\nnobody:x:65534:\n")),
        ("bin/busybox", Entry::File(0o755, busybox)),
    ];
    shell.extend(applets.iter().map(|applet| (applet.as_str(), Entry::Link("/bin/busybox"))));
    let pause = layer(&[("pause", Entry::File(0o755, pause))])?;
    let shell = layer(&shell)?;
    let serve = layer(&[("bin/serve", Entry::File(0o755, SERVE.as_bytes()))])?;
    let mut layout = Layout {
        archive: Builder::new(Vec::new()),
        known: Vec::new(),
        index: Vec::new(),
    };
    layout.add(PAUSE, &[&pause], json!({ "Entrypoint": ["/pause"] }))?;
    layout.add(BUSYBOX, &[&shell], json!({ "Cmd": ["sh"] }))?;
    layout.add(WEB, &[&shell, &serve], json!({ "Entrypoint": ["/bin/serve"] }))?;
    layout.finish()
}

/// A layer: the folders that programs expect, and `files`.
fn layer(files: &[(&str, Entry<'_>)]) -> io::Result<Vec<u8>> {
    let mut archive = Builder::new(Vec::new());
    let folders = ["bin", "dev", "etc", "home", "proc", "run", "sys", "var"];
    for folder in folders {
        put(&mut archive, folder, &Entry::Folder(0o755))?;
    }
    put(&mut archive, "tmp", &Entry::Folder(0o1777))?;
    for (name, entry) in files {
        put(&mut archive, name, entry)?;
    }
    archive.into_inner()
}

fn put(archive: &mut Builder<Vec<u8>>, name: &str, entry: &Entry<'_>) -> io::Result<()> {
    let mut header = Header::new_gnu();
    header.set_size(0);
    header.set_mode(0o777);
    match entry {
        Entry::Folder(mode) => {
            header.set_entry_type(EntryType::Directory);
            header.set_mode(*mode);
            archive.append_data(&mut header, format!("{name}/"), io::empty())
        }
        Entry::File(mode, content) => {
            header.set_size(content.len() as u64);
            header.set_mode(*mode);
            archive.append_data(&mut header, name, *content)
        }
        Entry::Link(target) => {
            header.set_entry_type(EntryType::Symlink);
            archive.append_link(&mut header, name, target)
        }
    }
}

/// Images as the Open Container Initiative lays them out in an archive: content by its digest, and an index of names.
struct Layout {
    archive: Builder<Vec<u8>>,
    known: Vec<String>,
    index: Vec<Value>,
}

impl Layout {
    fn add(&mut self, name: &str, layers: &[&[u8]], mut start: Value) -> io::Result<()> {
        start["Env"] = json!(["PATH=/bin"]);
        start["WorkingDir"] = json!("/");
        let described = layers.iter().map(|layer| self.blob("layer.v1.tar", layer));
        let layers = described.collect::<io::Result<Vec<Value>>>()?;
        let digests: Vec<&Value> = layers.iter().map(|layer| &layer["digest"]).collect();
        let configuration = json!({
            "architecture": architecture(),
            "os": "linux",
            "config": start,
            "rootfs": { "type": "layers", "diff_ids": digests },
        });
        let configuration = self.blob("config.v1+json", configuration.to_string().as_bytes())?;
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": media_type("manifest.v1+json"),
            "config": configuration,
            "layers": layers,
        });
        let mut manifest = self.blob("manifest.v1+json", manifest.to_string().as_bytes())?;
        manifest["annotations"] = json!({ "io.containerd.image.name": name });
        self.index.push(manifest);
        Ok(())
    }

    /// Adds content once, and describes it.
    fn blob(&mut self, kind: &str, content: &[u8]) -> io::Result<Value> {
        let digest = digest::digest(&digest::SHA256, content);
        let hex: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        if !self.known.contains(&hex) {
            put(&mut self.archive, &format!("blobs/sha256/{hex}"), &Entry::File(0o644, content))?;
            self.known.push(hex.clone());
        }
        Ok(json!({ "mediaType": media_type(kind), "digest": format!("sha256:{hex}"), "size": content.len() }))
    }

    fn finish(mut self) -> io::Result<Vec<u8>> {
        let index = json!({ "schemaVersion": 2, "manifests": self.index }).to_string();
        put(&mut self.archive, "index.json", &Entry::File(0o644, index.as_bytes()))?;
        let version = br#"{"imageLayoutVersion":"1.0.0"}"#;
        put(&mut self.archive, "oci-layout", &Entry::File(0o644, version))?;
        self.archive.into_inner()
    }
}

fn media_type(kind: &str) -> String {
    format!("application/vnd.oci.image.{kind}")
}

/// The machine's architecture in the words of images.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}
