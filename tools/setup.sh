#!/bin/sh
# Installs what a purpose needs and the machine lacks; says nothing when there is nothing to do.
#
#     tools/setup.sh PURPOSE ...      build, test, lint, bench, cross, fuzz
#
# Packages come from the distribution (Debian and its relatives). What the tests and the linter
# need of Python is installed into .venv. Elsewhere, or without root and sudo, one sentence names
# what is missing.
set -eu
cd "$(dirname "$0")/.."

packages=""
python=""
for purpose in "$@"; do
    packages="$packages build-essential cmake ninja-build pkg-config libjansson-dev zlib1g-dev"
    packages="$packages libcminpack-dev"
    case $purpose in
    build) ;;
    test)
        packages="$packages libcmocka-dev liblapacke-dev python3-venv gnuplot-nox libopenmpi-dev"
        packages="$packages openmpi-bin"
        python=yes
        ;;
    lint) packages="$packages clang-format clang-tidy cppcheck python3-venv" python=yes ;;
    bench) packages="$packages libxsmm-dev libdnnl-dev" ;;
    cross) packages="$packages gcc-aarch64-linux-gnu libc6-dev-arm64-cross" ;;
    fuzz) packages="$packages clang libclang-rt-dev" ;;
    *)
        echo "ramify: tools/setup.sh knows build, test, lint, bench, cross and fuzz, not \"$purpose\"" >&2
        exit 2
        ;;
    esac
done

fail() {
    echo "ramify: missing and not installable here: $1 (install with your package manager)" >&2
    exit 1
}

# Without dpkg: the commands and libraries that the packages would bring.
check_without_dpkg() {
    missing=""
    for package in $packages; do
        case $package in
        build-essential) probe="cc --version" ;;
        ninja-build) probe="ninja --version" ;;
        libjansson-dev) probe="pkg-config --exists jansson" ;;
        zlib1g-dev) probe="pkg-config --exists zlib" ;;
        libcminpack-dev) probe="pkg-config --exists cminpack" ;;
        gnuplot-nox) probe="gnuplot --version" ;;
        libcmocka-dev) probe="pkg-config --exists cmocka" ;;
        liblapacke-dev) probe="pkg-config --exists lapacke" ;;
        # Peers: without them their columns say so.
        libxsmm-dev | libdnnl-dev) probe=true ;;
        # Without MPI the tests of several processes say that they are skipped.
        libopenmpi-dev | openmpi-bin) probe=true ;;
        python3-venv) probe="python3 -m venv --help" ;;
        libclang-rt-dev | libc6-dev-arm64-cross) probe=true ;;
        gcc-aarch64-linux-gnu) probe="aarch64-linux-gnu-gcc --version" ;;
        *) probe="$package --version" ;;
        esac
        $probe >/dev/null 2>&1 || missing="$missing $package"
    done
    [ -z "$missing" ] || fail "$(echo $missing)"
}

missing_packages() {
    for package in $(printf '%s\n' $packages | sort -u); do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q '^install ok installed$' ||
            printf '%s ' "$package"
    done
}

install_packages() {
    missing=$(echo $(missing_packages))
    [ -n "$missing" ] || return 0
    if [ "$(id -u)" = 0 ]; then
        as_root=""
    elif command -v sudo >/dev/null 2>&1; then
        as_root=sudo
    else
        fail "$missing"
    fi
    echo "Installing $missing"
    log=$(mktemp)
    # An old list of packages is the usual reason for a failure: fetch it only then.
    install="env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends"
    $as_root $install $missing >"$log" 2>&1 || {
        $as_root apt-get update >"$log" 2>&1 || true
        $as_root $install $missing >"$log" 2>&1 || true
    }
    missing=$(echo $(missing_packages))
    if [ -n "$missing" ]; then
        tail -n 5 "$log" >&2
        rm -f "$log"
        fail "$missing"
    fi
    rm -f "$log"
}

install_python() {
    wanted=$(cksum <tests/requirements.txt)
    [ "$(cat .venv/requirements.cksum 2>/dev/null)" = "$wanted" ] && return 0
    echo "Installing into .venv: $(grep -v '^#' tests/requirements.txt | sed 's/[<>=~].*//' |
        tr '\n' ' ')"
    log=$(mktemp)
    if python3 -m venv .venv >"$log" 2>&1 &&
        .venv/bin/python -m pip install --disable-pip-version-check -q -r tests/requirements.txt \
            >>"$log" 2>&1; then
        echo "$wanted" >.venv/requirements.cksum
        rm -f "$log"
    else
        tail -n 5 "$log" >&2
        rm -f "$log"
        echo "ramify: the Python packages in tests/requirements.txt could not be installed" >&2
        exit 1
    fi
}

if command -v dpkg-query >/dev/null 2>&1; then
    install_packages
else
    check_without_dpkg
fi
[ -z "$python" ] || install_python
