"""The library works with the packages of the base install alone."""

import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
EXTRAS = {  # modules that need an extra, and a package of it
    "spectral_lib.data.policies": "kornia",
}

# Hides every installed package that is not named on the command line.
ALONE = """
import sys
from importlib.metadata import packages_distributions
allowed = set(sys.argv[1].split())
hidden = {
    package
    for package, names in packages_distributions().items()
    if not allowed & {name.lower().replace("_", "-") for name in names}
} - {"spectral_lib"}
class Hidden:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] in hidden:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Hidden)
"""


def base_distributions() -> set[str]:
    """Names of all distributions that an install without extras brings."""
    found: set[str] = set()
    wanted = ["spectral-bias-book"]
    while wanted:
        name = wanted.pop().lower().replace("_", "-")
        if name in found:
            continue
        try:
            required = metadata.requires(name) or []
        except metadata.PackageNotFoundError:  # for another system
            continue
        found.add(name)
        plain = [line for line in required if "extra ==" not in line]
        wanted += [re.match(r"[\w.-]+", line)[0] for line in plain]
    return found


def alone(code: str) -> subprocess.CompletedProcess[str]:
    """Run code in a new process that sees the base install alone."""
    names = " ".join(base_distributions())
    return subprocess.run(
        [sys.executable, "-c", ALONE + code, names],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )


def modules() -> list[str]:
    paths = sorted((ROOT / "spectral_lib").rglob("*.py"))
    names = [".".join(p.relative_to(ROOT).with_suffix("").parts) for p in paths]
    return [name.removesuffix(".__init__") for name in names]


def test_every_module_is_imported_without_an_extra_package():
    wanted = [name for name in modules() if name not in EXTRAS]
    ran = alone("".join(f"import {name}\n" for name in wanted))
    assert ran.returncode == 0, ran.stderr


@pytest.mark.parametrize(("module", "package"), EXTRAS.items())
def test_packages_of_extras_are_hidden(module, package):
    ran = alone(f"import {module}")
    assert f"No module named '{package}'" in ran.stderr


def test_the_example_of_the_readme_trains():
    readme = (ROOT / "README.md").read_text("utf-8")
    example = readme.split("## The library")[1].split("```python\n")[1].split("```")[0]
    ran = alone(example + "assert run.loss.shape == (10, 3)")
    assert ran.returncode == 0, ran.stderr
