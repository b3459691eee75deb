"""What users build against: an installed prefix, by pkg-config and by find_package, the example
program, and libramify-run alone."""

from __future__ import annotations

import csv
import os
import pathlib
import re
import subprocess

import pytest
from conftest import BUILD, SOURCE, Made, run_tool

# What every program on the machine needs anyway: the C library with its parts, the kernel's and the
# loader's own.
PLAIN = re.compile(
    r"linux-vdso|linux-gate|ld-linux|libc\.so|libm\.so|libpthread\.so|libdl\.so|librt\.so"
    # of a sanitized build
    r"|libasan|libubsan|libgcc_s|libstdc\+\+"
)
SANITIZED = "RAMIFY_SANITIZE:STRING=address" in (BUILD / "CMakeCache.txt").read_text()

pytestmark = pytest.mark.skipif(
    SANITIZED, reason="a sanitized library needs a sanitized program"
)


def call(*words: str | pathlib.Path, **more: str) -> str:
    done = subprocess.run(
        list(map(str, words)),
        capture_output=True,
        text=True,
        env={**os.environ, **more},
        check=False,
    )
    assert done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def needs(program: pathlib.Path) -> list[str]:
    """Names of the shared libraries beyond the plain ones that a program needs."""
    lines = call("ldd", program).splitlines()
    return [line.split()[0] for line in lines if not PLAIN.search(line)]


@pytest.fixture(scope="module")
def prefix(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    folder = tmp_path_factory.mktemp("prefix")
    call("cmake", "--install", BUILD, "--prefix", folder / "first")
    # An installed tree may be moved: nothing in it may remember where it was.
    (folder / "first").rename(folder / "moved")
    return folder / "moved"


@pytest.fixture(scope="module")
def packages(prefix: pathlib.Path) -> dict[str, str]:
    found = list(prefix.rglob("pkgconfig"))
    assert len(found) == 1
    return {"PKG_CONFIG_PATH": str(found[0])}


def check_prediction(program: pathlib.Path, made: Made, **more: str) -> None:
    """The program predicts what the tool predicts."""
    with made.test.open() as file:
        rows = list(csv.DictReader(file))[:5]
    table = made.folder / "five.csv"
    table.write_text("x,y,colour\n" + "".join(f"{r['x']},{r['y']},red\n" for r in rows))
    config = run_tool("info", made.wave, "--json")
    assert config.status == 0
    expected = run_tool("predict", made.wave, table).out.split()[1:]
    for row, value in zip(rows, expected, strict=True):
        code = category(made, "red")
        got = call(program, made.wave, row["x"], row["y"], str(code), **more)
        assert float(got) == pytest.approx(float(value), rel=1e-5, abs=1e-6)


def category(made: Made, text: str) -> int:
    """Code of a category: most frequent first, ties in bytewise order."""
    with made.train.open() as file:
        colours = [row["colour"] for row in csv.DictReader(file)]
    order = sorted(set(colours), key=lambda c: (-colours.count(c), c))
    return order.index(text)


def test_installed_files(prefix: pathlib.Path) -> None:
    names = {path.name for path in prefix.rglob("*") if not path.is_dir()}
    assert {
        "ramify",
        "ramify.h",
        "libramify.so",
        "libramify.a",
        "libramify-run.a",
        "ramify.pc",
        "ramify-run.pc",
        "ramifyConfig.cmake",
    } <= names
    for path in prefix.rglob("*"):
        if path.suffix in {".pc", ".cmake", ".h"}:
            text = path.read_text()
            assert str(SOURCE) not in text and str(BUILD) not in text, path
    done = call(prefix / "bin" / "ramify", "--version")
    assert done.startswith("ramify ")


def test_example_by_pkg_config(prefix, packages, made, tmp_path) -> None:
    source = SOURCE / "examples" / "predict.c"
    for package in ("ramify-run", "ramify"):
        flags = call("pkg-config", "--cflags", "--libs", package, **packages).split()
        program = tmp_path / package
        call("cc", "-std=c11", "-Wall", "-Werror", source, "-o", program, *flags)
        library = next(prefix.rglob("libramify.so")).parent
        check_prediction(program, made, LD_LIBRARY_PATH=str(library))
    assert needs(tmp_path / "ramify-run") == []
    assert "libramify.so.0" in needs(tmp_path / "ramify")
    version = call("pkg-config", "--modversion", "ramify", **packages).strip()
    assert run_tool("--version").out == f"ramify {version}\n"


def test_static_library_by_pkg_config(prefix, packages, made, tmp_path) -> None:
    """libramify.a with jansson and zlib, which pkg-config --static names."""
    flags = call("pkg-config", "--static", "--cflags", "--libs", "ramify", **packages)
    archive = next(prefix.rglob("libramify.a"))
    words = [str(archive) if word == "-lramify" else word for word in flags.split()]
    program = tmp_path / "static"
    call("cc", SOURCE / "examples" / "predict.c", "-o", program, *words)
    check_prediction(program, made)
    assert not any(name.startswith("libramify") for name in needs(program))


def test_example_by_find_package(prefix, made, tmp_path) -> None:
    build = tmp_path / "build"
    call(
        "cmake",
        "-S",
        SOURCE / "examples",
        "-B",
        build,
        f"-DCMAKE_PREFIX_PATH={prefix}",
    )
    call("cmake", "--build", build)
    check_prediction(build / "predict", made)
    check_prediction(build / "predict_shared", made)
    assert needs(build / "predict") == []


def test_run_library_builds_alone(made, tmp_path) -> None:
    build, prefix = tmp_path / "build", tmp_path / "prefix"
    call("cmake", "-S", SOURCE, "-B", build, "-DRAMIFY_RUN_ONLY=ON")
    call("cmake", "--build", build, "-j", "2")
    call("cmake", "--install", build, "--prefix", prefix)
    assert not list(prefix.rglob("libramify.*")) and not (prefix / "bin").exists()
    archive = next(prefix.rglob("libramify-run.a"))
    program = tmp_path / "predict"
    call(
        "cc",
        f"-I{prefix / 'include'}",
        SOURCE / "examples" / "predict.c",
        archive,
        "-lm",
        "-lpthread",
        "-o",
        program,
    )
    check_prediction(program, made)
    assert needs(program) == []


def exported(archive_or_library: pathlib.Path, *options: str) -> set[str]:
    lines = call("nm", "--defined-only", *options, archive_or_library).splitlines()
    return {
        line.split()[2]
        for line in lines
        if len(line.split()) == 3 and line.split()[1].isupper()
    }


def declared() -> set[str]:
    text = (SOURCE / "include" / "ramify.h").read_text()
    found = re.findall(r"^RAMIFY_API [^;(]*?(ramify_\w+)\(", text, re.MULTILINE)
    return set(found)


def test_shared_library_shows_the_header_and_nothing_else(prefix) -> None:
    names = declared()
    assert "ramify_train" in names and "ramify_open" in names
    assert exported(next(prefix.rglob("libramify.so")), "-D") == names


def test_run_library_hides_its_insides(prefix) -> None:
    names = exported(next(prefix.rglob("libramify-run.a")))
    assert "ramify_predict" in names and "ramify_predict_gradient" in names
    assert names <= declared()
    # Nothing is missing that a program would have to bring.
    lines = call("nm", "-u", next(prefix.rglob("libramify-run.a"))).splitlines()
    wanted = {line.split()[-1] for line in lines if " U " in line}
    assert not {name for name in wanted if re.match("ramify_|json|inflate|gz", name)}
