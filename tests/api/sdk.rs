//! Unkey's official TypeScript SDK works against this server: `tests/sdk/drive.mjs` drives it.

use crate::harness::World;
use keyward::authz::preset::Preset;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::sync::LazyLock;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sdk")
}

/// Where the SDK is installed; `npm ci` brings what is missing.
pub fn node_modules() -> PathBuf {
    static INSTALLED: LazyLock<PathBuf> = LazyLock::new(|| {
        let modules = folder().join("node_modules");
        let there = |package: &str| modules.join(package).join("package.json").is_file();
        if !there("@unkey/api") || !there("@unkey/ratelimit") {
            let installed = Command::new("npm").args(["ci", "--no-progress"]).current_dir(folder()).output();
            let fault = match installed {
                Ok(output) if output.status.success() => None,
                Ok(output) => Some(String::from_utf8_lossy(&output.stderr).into_owned()),
                Err(error) => Some(format!("npm: {error}")),
            };
            if let Some(fault) = fault {
                panic!("the SDK is not installed; `make test` installs it, and Node.js with it\n{fault}");
            }
        }
        modules
    });
    INSTALLED.clone()
}

#[test]
fn the_official_sdk_finds_what_it_expects() {
    node_modules();
    let world = World::new();
    let readonly = world.root_key(&Preset::Readonly.tuples());
    let output = Command::new("node")
        .arg("drive.mjs")
        .current_dir(folder())
        .env("KEYWARD_URL", world.server.url())
        .env("KEYWARD_ROOT_KEY", world.admin.root_key())
        .env("KEYWARD_READONLY_ROOT_KEY", readonly.root_key())
        .output()
        .expect("Node.js, which `make test` installs");
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "\n{said}");
    // A program that ends early must not count as one that passed.
    let summary = said.lines().last().unwrap_or_default();
    assert!(summary.ends_with(" passed, 0 failed") && !summary.starts_with("0 "), "\n{said}");
}
