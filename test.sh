#!/usr/bin/env bash
# Everything that must pass, on a machine that has only Rust and git: format, lints, tests, doc tests, documentation.
set -euo pipefail
cd "$(dirname "$0")"

step() { printf '\n== %s\n' "$*"; "$@"; }

# What the machine may lack: rustc links with cc, libFuzzer is C++, ovs-ofctl is what the OpenFlow codec is held to, the
# testbed starts switches and Pods of its own (a switch that the package starts is left alone), and a minimal toolchain has
# no rustfmt or clippy. Everything else comes through Cargo.
packages=()
lacks() { for program; do command -v "$program" >/dev/null || return 0; done; return 1; }
PATH=$PATH:/usr/sbin:/sbin
if lacks cc c++; then packages+=(gcc g++ libc6-dev); fi
if lacks ovs-ofctl ovsdb-tool ovsdb-server; then packages+=(openvswitch-common); fi
if lacks ovs-vswitchd ovs-vsctl; then packages+=(openvswitch-switch); fi
if lacks setpriv nsenter; then packages+=(util-linux); fi
if lacks ip; then packages+=(iproute2); fi
if lacks ethtool; then packages+=(ethtool); fi
if lacks ping; then packages+=(iputils-ping); fi
if lacks tcpdump; then packages+=(tcpdump); fi
if ((${#packages[@]})); then
    if [ "$(id -u)" = 0 ]; then as_root=(); else as_root=(sudo); fi
    if "${as_root[@]}" true; then
        step "${as_root[@]}" apt-get update -qq
        step "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}"
    else
        echo "skipped: not root, so ${packages[*]} can't be installed; the tests that need them say so"
    fi
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

if [ "$(id -u)" != 0 ]; then
    echo "skipped: the tests with real Pods, for network namespaces need root; rootless switches were tested"
fi
