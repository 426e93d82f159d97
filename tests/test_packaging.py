"""What is said of the package in more than one file is the same in all of them."""

import ast
import importlib
import json
import re
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

import spectral_book
import spectral_lib

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

import check_machine
import check_pins

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
CITATION = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
CODEMETA = json.loads((ROOT / "codemeta.json").read_text("utf-8"))
EXTRAS = PROJECT["optional-dependencies"]


def read(name):
    return (ROOT / name).read_text("utf-8")


def test_name_version_licence_and_date_are_the_same_everywhere():
    version, date = PROJECT["version"], str(CITATION["date-released"])
    assert CODEMETA["identifier"] == PROJECT["name"]
    assert CODEMETA["name"] == CITATION["title"]
    assert CODEMETA["description"] == PROJECT["description"]
    assert version == CITATION["version"] == CODEMETA["version"]
    assert version == spectral_lib.__version__ == spectral_book.__version__
    assert PROJECT["license"] == CITATION["license"]
    assert CODEMETA["license"].endswith("/" + PROJECT["license"])
    assert date == CODEMETA["datePublished"]
    assert f"## {version} ({date})" in read("CHANGELOG.md").splitlines()
    assert PROJECT["authors"] == CITATION["authors"]
    assert [author["name"] for author in CODEMETA["author"]] == [
        author["name"] for author in PROJECT["authors"]
    ]
    assert PROJECT["keywords"] == CITATION["keywords"] == CODEMETA["keywords"]


def test_the_pythons_named_are_those_that_the_pins_hold_for():
    start = "Programming Language :: Python :: "
    named = [c.removeprefix(start) for c in PROJECT["classifiers"] if start in c]
    (_, oldest), (_, newest) = check_machine.OLDEST, check_machine.NEWEST
    assert named == [f"3.{minor}" for minor in range(oldest, newest + 1)]
    assert PROJECT["requires-python"] == f">={named[0]}"
    assert f"Python {named[0]} to {named[-1]}" in read("README.md")
    assert {python.rpartition(".")[0] for python in check_pins.PYTHONS[:2]} == {"3.11"}
    assert check_pins.PYTHONS[2:] == named[1:]


def test_every_package_that_is_asked_for_has_one_pin():
    text = read("constraints.txt")
    pins = check_pins.read_pins(text)
    assert check_pins.as_text(pins) == text
    asked = [line for lines in EXTRAS.values() for line in lines]
    asked += PROJECT["dependencies"]
    names = {check_pins.normalised(re.match(r"[\w.-]+", line)[0]) for line in asked}
    assert names - pins.keys() == {PROJECT["name"]}


ONE, TWO = "one==1\n", "two==2\n"


@pytest.mark.parametrize(
    ("pins", "said"),
    [
        (ONE + TWO, []),
        (ONE, ["without a pin: two==2"]),
        (ONE + "three==3\n" + TWO, ["pinned and not needed: three"]),
    ],
)
def test_the_check_of_pins_names_what_is_missing_and_what_is_idle(
    tmp_path, monkeypatch, pins, said
):
    def resolve(constraints, python, platform):  # "two" is for one platform alone
        return check_pins.read_pins(ONE + TWO * platform.endswith("darwin"))

    monkeypatch.setattr(check_pins, "PINS", tmp_path / "constraints.txt")
    monkeypatch.setattr(check_pins, "resolve", resolve)
    check_pins.PINS.write_text(pins)
    assert check_pins.check() == said


def test_the_check_of_pins_says_where_there_is_no_set(tmp_path, monkeypatch):
    def resolve(constraints, python, platform):
        if python == "3.14" and platform.endswith("darwin"):
            raise ValueError("no wheel for one")
        return check_pins.read_pins(ONE)

    monkeypatch.setattr(check_pins, "PINS", tmp_path / "constraints.txt")
    monkeypatch.setattr(check_pins, "resolve", resolve)
    check_pins.PINS.write_text(ONE)
    where = "Python 3.14 on aarch64-apple-darwin"
    assert check_pins.check() == [f"{where}: no wheel for one"]


def test_pins_move_together_but_for_those_moved_on_purpose(tmp_path, monkeypatch):
    given = []

    def resolve(constraints, python, platform):
        given.append((python, check_pins.read_pins(constraints.read_text())))
        newest = {"one": "2", "torch": "2.13.0", "jupyter-book": "1.0"}
        return newest | ({"two": "3"} if platform.endswith("darwin") else {})

    monkeypatch.setattr(check_pins, "PINS", tmp_path / "constraints.txt")
    monkeypatch.setattr(check_pins, "resolve", resolve)
    check_pins.PINS.write_text("jupyter-book==1.0\none==1\ntorch==2.13.0\n")
    check_pins.move()
    assert check_pins.PINS.read_text().split() == [
        *("jupyter-book==1.0", "one==2", "torch==2.13.0", "two==3")
    ]
    assert {python for python, _ in given} == {"3.11.0"}
    assert given[0][1] == {"torch": "2.13.0", "jupyter-book": "1.0"}
    assert given[1][1]["one"] == "2"  # what the first platform took


def test_conda_binder_and_devcontainer_install_what_make_does_with_the_same_pins():
    conda = yaml.safe_load(read("environment.yml"))["dependencies"]
    pip = next(part["pip"] for part in conda if isinstance(part, dict))
    extra = re.search(r"^install: \$\(VENV\)/(\w+)\.installed", read("Makefile"), re.M)[
        1
    ]
    assert pip == ["--constraint constraints.txt", f"--editable .[{extra}]"]
    binder = read(".binder/requirements.txt").splitlines()
    assert "--constraint ../constraints.txt" in binder
    pythons = [part for part in conda if "python=" in str(part)]
    pythons += [read(".binder/runtime.txt").strip()]
    container = json.loads(read(".devcontainer/devcontainer.json"))
    assert container["updateContentCommand"].startswith("make install")
    pythons += [container["image"]]
    for text in pythons:
        minor = int(re.search(r"python[=:-]3\.(\d+)", text)[1])
        assert check_machine.OLDEST <= (3, minor) <= check_machine.NEWEST


def test_installs_that_are_advised_work_from_a_checkout():
    paths = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("book/*.md")]
    for folder in ("spectral_lib", "spectral_book", "benchmarks"):
        paths += (ROOT / folder).rglob("*.py")
    lines = [line for path in paths for line in path.read_text("utf-8").splitlines()]
    advised = [line for line in lines if "pip install" in line]
    assert advised
    for line in advised:
        assert PROJECT["name"] not in line, line  # no index has it
        extras = re.search(r"'\.\[([a-z,]+)\]'", line)
        assert not extras or set(extras[1].split(",")) <= EXTRAS.keys(), line


def test_both_packages_say_that_they_are_typed():
    for package in (spectral_lib, spectral_book):
        assert (Path(package.__file__).parent / "py.typed").is_file()


def test_on_windows_the_book_says_where_it_runs(monkeypatch):
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(ImportError, match="Linux and macOS; on Windows, inside WSL2"):
        importlib.reload(spectral_book)


LINUX = {"system": "Linux", "machine": "x86_64", "glibc": "2.36"}
MAC = {"system": "Darwin", "machine": "arm64", "macos": "14.0"}


@pytest.mark.parametrize(
    ("machine", "sentence"),
    [
        (LINUX | {"python": "3.11.0"}, ""),
        (LINUX | {"python": "3.14.8", "glibc": "2.28"}, ""),
        (LINUX | {"python": "3.15.0rc1"}, "Python 3.11 to 3.14; this is 3.15.0rc1"),
        (LINUX | {"python": "3.10.13"}, "make install PYTHON=python3.12"),
        (LINUX | {"glibc": "2.27"}, "glibc 2.28 or newer; this system has glibc 2.27"),
        (LINUX | {"glibc": ""}, "this system has another C library"),
        (LINUX | {"machine": "aarch64"}, ""),
        (LINUX | {"machine": "riscv64"}, "x86-64 or arm64; this is riscv64"),
        (MAC, ""),
        (MAC | {"macos": "13.6"}, "macOS 14 or newer; this is 13.6"),
        (MAC | {"machine": "x86_64"}, "Apple silicon"),
        ({"system": "Windows", "machine": "AMD64"}, "inside WSL2"),
    ],
)
def test_make_says_what_stands_in_the_way_of_the_pins(machine, sentence):
    found = check_machine.obstacle(**{"python": "3.12.1"} | machine)
    assert sentence in found
    assert bool(sentence) == bool(found)


def test_every_file_of_text_is_read_and_written_in_utf_8():
    """Else an umlaut stops it where a machine's locale is another."""
    folders = ("spectral_book", "spectral_lib", "scripts", "benchmarks")
    paths = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    assert paths
    unsaid = []
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            call = isinstance(node, ast.Call) and opens_text(node)
            if call and "utf-8" not in ast.unparse(node):
                unsaid.append(f"{path}:{node.lineno}: {ast.unparse(node)}")
    assert unsaid == []


def opens_text(call):
    """Whether a call opens a file as text, as far as its words tell."""
    name = ast.unparse(call.func).rpartition(".")[2]
    of_pillow = ast.unparse(call.func) == "Image.open"
    binary = any(isinstance(a, ast.Constant) and "b" in str(a.value) for a in call.args)
    opens = name in ("open", "fdopen") and not binary and not of_pillow
    return opens or name in ("read_text", "write_text")
