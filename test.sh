#!/usr/bin/env bash
# Everything that must pass, on a machine that has only Rust and git: format, lints, tests, doc tests, documentation.
set -euo pipefail
cd "$(dirname "$0")"

step() { printf '\n== %s\n' "$*"; "$@"; }

# What the machine may lack: rustc links with cc, libFuzzer is C++, and a minimal toolchain has no rustfmt or clippy.
# Everything else comes through Cargo.
if ! command -v cc >/dev/null || ! command -v c++ >/dev/null; then
    as_root=$([ "$(id -u)" = 0 ] || echo sudo)
    $as_root apt-get update -qq
    $as_root apt-get install -y -qq --no-install-recommends gcc g++ libc6-dev
fi
for component in rustfmt clippy; do
    command -v "cargo-${component/rustfmt/fmt}" >/dev/null || rustup component add "$component"
done

step cargo fmt --all --check
step cargo clippy --workspace --all-targets --all-features --locked -- -D warnings
step cargo test --workspace --all-features --locked
RUSTDOCFLAGS="-D warnings" step cargo doc --workspace --all-features --no-deps --locked
# The fuzz targets live in a workspace of their own; they must at least compile.
step cargo check --manifest-path fuzz/Cargo.toml --locked
