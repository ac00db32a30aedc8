//! Finding and building programs, with a Go toolchain that only pretends: nothing real is compiled here.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;
use testbed::{Invocation, Running};

const LIMIT: Duration = Duration::from_secs(30);

/// Notes each build, waits for the file `release` and writes a program that does nothing.
const GO: &str = r#"#!/bin/sh
case "$1" in
version)
    [ -e "$WORLD/old" ] && echo "go: go.mod requires go >= 1.26.0" >&2 && exit 1
    echo "go version go9.9.9 test/test"
    ;;
list) echo "$WORLD/kwok-module" ;;
build)
    for argument; do
        [ "$previous" = -o ] && target=$argument
        previous=$argument
        package=$argument
    done
    echo "$package" >>"$WORLD/builds"
    [ -e "$WORLD/broken" ] && echo "undefined: everything" && exit 1
    while [ ! -e "$WORLD/release" ]; do sleep 0.02; done
    echo "built from $package" >"$target"
    ;;
esac
"#;

/// A machine with nothing on it but a shell, an empty cache and, if wanted, a pretended Go.
struct World {
    folder: TempDir,
}

impl World {
    fn without_go() -> World {
        let world = World {
            folder: tempfile::tempdir().unwrap(),
        };
        fs::create_dir_all(world.path("bin")).unwrap();
        for tool in ["sh", "sleep"] {
            let folders = ["/bin", "/usr/bin"].map(Path::new);
            let file = folders.iter().map(|folder| folder.join(tool)).find(|file| file.exists());
            symlink(file.expect("a POSIX system"), world.path("bin").join(tool)).unwrap();
        }
        world
    }

    fn with_go() -> World {
        let world = World::without_go();
        executable(&world.path("bin/go"), GO);
        for stage in [
            "node/fast/node-initialize.yaml",
            "node/heartbeat-with-lease/node-heartbeat-with-lease.yaml",
            "pod/fast/pod-ready.yaml",
            "pod/fast/pod-complete.yaml",
            "pod/fast/pod-delete.yaml",
        ] {
            let path = world.path("kwok-module/kustomize/stage").join(stage);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, format!("# {stage}\n")).unwrap();
        }
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn release(&self) {
        fs::write(self.path("release"), "").unwrap();
    }

    fn builds(&self) -> usize {
        fs::read_to_string(self.path("builds")).map_or(0, |builds| builds.lines().count())
    }

    fn prepare(&self) -> Running {
        self.prepare_with_assets(Path::new(""))
    }

    fn prepare_with_assets(&self, assets: &Path) -> Running {
        Invocation::new(env!("CARGO_BIN_EXE_prepare"))
            .environment("PATH", self.path("bin"))
            .environment("WORLD", self.folder.path())
            .environment("GRAFTLING_TESTBED_CACHE", self.path("cache"))
            .environment("KUBEBUILDER_ASSETS", assets)
            .start()
            .unwrap()
    }
}

fn executable(path: &Path, script: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, script).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// Standard output and error of a program that has ended, and whether it was content.
async fn ended(running: &Running) -> (bool, String) {
    let status = running.wait(LIMIT).await.unwrap();
    // Everything that was printed has arrived once a line that never comes can no longer come.
    let _ = running.wait_for_line("end of the output", LIMIT, |_| false).await;
    (status.success(), running.lines().join("\n"))
}

#[tokio::test]
async fn of_two_processes_that_miss_the_programs_one_builds_and_the_other_waits() {
    let world = World::with_go();
    let first = world.prepare();
    first
        .wait_for_line("begin of the build", LIMIT, |line| line.contains("building etcd"))
        .await
        .unwrap();
    let second = world.prepare();
    second
        .wait_for_line("word about waiting", LIMIT, |line| line.contains("waiting for it"))
        .await
        .unwrap();
    assert_eq!(world.builds(), 1, "the first build holds up everything");
    world.release();
    let ((first_content, first), (second_content, second)) = (ended(&first).await, ended(&second).await);
    assert!(first_content && second_content, "{first}\n{second}");
    assert_eq!(world.builds(), 7, "five programs of the control plane, kubectl and helm, each once");
    assert!(
        second.lines().any(|line| line.starts_with("etcd") && line.contains("cache")),
        "{second}"
    );
}

#[tokio::test]
async fn what_is_in_the_cache_needs_no_go() {
    let world = World::with_go();
    world.release();
    let (content, printed) = ended(&world.prepare()).await;
    assert!(content && printed.contains("built now"), "{printed}");
    fs::remove_file(world.path("bin/go")).unwrap();
    let (content, printed) = ended(&world.prepare()).await;
    assert!(content && !printed.contains("built now"), "{printed}");
    assert_eq!(world.builds(), 7);
    let kwok = printed.lines().find(|line| line.starts_with("kwok")).unwrap();
    let stages = Path::new(kwok.split_whitespace().last().unwrap()).with_file_name("kwok-stages.yaml");
    assert_eq!(fs::read_to_string(stages).unwrap().matches("\n---\n").count(), 4);
}

#[tokio::test]
async fn without_go_the_error_says_what_is_missing_and_what_would_do() {
    let world = World::without_go();
    let (content, printed) = ended(&world.prepare()).await;
    assert!(!content);
    for part in ["cannot find etcd, kube-apiserver", "install Go 1.26 or newer", "KUBEBUILDER_ASSETS"] {
        assert!(printed.contains(part), "{part} is missing in: {printed}");
    }
}

#[tokio::test]
async fn a_go_that_is_too_old_does_no_harm_to_what_is_cached_and_else_says_so() {
    let world = World::with_go();
    fs::write(world.path("old"), "").unwrap();
    let (content, printed) = ended(&world.prepare()).await;
    assert!(!content && printed.contains("go.mod requires go >= 1.26.0"), "{printed}");
    fs::remove_file(world.path("old")).unwrap();
    world.release();
    ended(&world.prepare()).await;
    fs::write(world.path("old"), "").unwrap();
    let (content, printed) = ended(&world.prepare()).await;
    assert!(content && !printed.contains("built now"), "{printed}");
}

#[tokio::test]
async fn a_failed_build_shows_what_go_said_and_leaves_no_program() {
    let world = World::with_go();
    fs::write(world.path("broken"), "").unwrap();
    let (content, printed) = ended(&world.prepare()).await;
    assert!(!content);
    assert!(printed.contains("undefined: everything"), "{printed}");
    fs::remove_file(world.path("broken")).unwrap();
    world.release();
    let (content, printed) = ended(&world.prepare()).await;
    assert!(
        content && printed.lines().any(|line| line.starts_with("etcd") && line.contains("built now")),
        "{printed}"
    );
}

#[tokio::test]
async fn programs_in_kubebuilder_assets_come_first() {
    let world = World::without_go();
    let assets = world.path("assets");
    for (name, version) in [
        ("etcd", "etcd Version: 3.6.8"),
        ("kube-apiserver", "Kubernetes v1.34.1"),
        ("kube-controller-manager", "Kubernetes v1.34.1"),
        ("kube-scheduler", "Kubernetes v1.34.1"),
        ("kwok", "kwok version 0.8.0"),
        ("kubectl", "Client Version: v1.34.1"),
        ("helm", "v4.3.1"),
    ] {
        executable(&assets.join(name), &format!("#!/bin/sh\necho '{version}'\n"));
    }
    fs::write(assets.join("kwok-stages.yaml"), "").unwrap();
    let (content, printed) = ended(&world.prepare_with_assets(&assets)).await;
    assert!(content, "{printed}");
    assert_eq!(
        printed.lines().filter(|line| line.contains(" KUBEBUILDER_ASSETS ")).count(),
        7,
        "{printed}"
    );
}

#[tokio::test]
async fn servers_that_are_too_old_or_incomplete_are_not_used_and_the_error_says_why() {
    let world = World::without_go();
    let assets = world.path("assets");
    executable(&assets.join("kube-apiserver"), "#!/bin/sh\necho 'Kubernetes v1.36.0'\n");
    executable(&assets.join("kube-scheduler"), "#!/bin/sh\necho 'Kubernetes v1.32.0'\n");
    let (content, printed) = ended(&world.prepare_with_assets(&assets)).await;
    assert!(!content);
    assert!(printed.contains("version 1.32 is not supported"), "{printed}");
    assert!(printed.contains("not a complete set"), "{printed}");
}
