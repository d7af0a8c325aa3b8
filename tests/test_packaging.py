"""The package as a stranger gets it: what the wheel holds, what it asks for, what starts it."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import lockstitch
from lockstitch.engine.embedded import INSTALL_COMMAND

ROOT = Path(__file__).resolve().parents[1]
FLOORS = ("schemas", "constraint", "fsm", "engine")
SHIPPED = (".py", ".json", ".typed")
# Needed by what we call, not by what we write: transformers renders chat templates with it.
INDIRECT = {"jinja2"}


def project() -> dict[str, Any]:
    data: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return data


def requirements(lines: list[str]) -> dict[str, Requirement]:
    return {canonicalize_name(r.name): r for r in map(Requirement, lines)}


def pins() -> dict[str, str]:
    rows = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pairs = [row.split("==") for row in rows if row and not row.startswith("#")]
    return {canonicalize_name(name): version for name, version in pairs}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy of the checkout in which the links are missing."""
    copy = tmp_path_factory.mktemp("checkout") / "a-hyphenated-name"
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for folder in FLOORS:
        shutil.copytree(ROOT / folder, copy / folder, ignore=ignored)
    (copy / "src" / "lockstitch").mkdir(parents=True)
    for name in ("__init__.py", "__main__.py", "py.typed"):
        shutil.copy(ROOT / "src" / "lockstitch" / name, copy / "src" / "lockstitch")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    build = "import sys, setuptools.build_meta as b; print(b.build_wheel(sys.argv[1]))"
    target = copy.parent / "dist"
    command = [sys.executable, "-c", build, str(target)]
    done = subprocess.run(command, cwd=copy, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return next(target.glob("*.whl"))


def test_wheel_holds_every_file_under_one_name(wheel: Path) -> None:
    expected = {
        f"lockstitch/{path.relative_to(ROOT)}"
        for folder in FLOORS
        for path in (ROOT / folder).rglob("*")
        if path.suffix in SHIPPED and "__pycache__" not in path.parts
    } | {f"lockstitch/{name}" for name in ("__init__.py", "__main__.py", "py.typed")}
    with zipfile.ZipFile(wheel) as archive:
        found = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert found == expected


def test_wheel_says_who_it_is(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        info = f"lockstitch-{lockstitch.__version__}.dist-info"
        metadata = archive.read(f"{info}/METADATA").decode()
        scripts = archive.read(f"{info}/entry_points.txt").decode()
        licence = archive.read(f"{info}/licenses/LICENSE").decode()
    assert f"Version: {lockstitch.__version__}\n" in metadata
    assert "License-Expression: Apache-2.0\n" in metadata
    assert "lockstitch = lockstitch.engine.cli:main" in scripts
    assert "TERMS AND CONDITIONS" in licence


def test_installed_from_the_wheel_it_runs_anywhere(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    program = (
        "import lockstitch, sys; g = lockstitch.compile_grammar({'type': 'regex', 'value': 'ab?'});"
        "print(lockstitch.__file__, g.accepts(b'ab'), g.accepts(b'abb'))"
    )
    command = [sys.executable, "-c", program]
    path = {"PYTHONPATH": str(tmp_path / "site")}
    done = subprocess.run(
        command, cwd=tmp_path, env=path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    file, *answers = done.stdout.split()
    assert Path(file).is_relative_to(tmp_path)
    assert answers == ["True", "False"]


def test_newest_changelog_entry_is_the_version() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    entries = re.findall(r"^## \[(\d[^\]]*)\]", text, flags=re.MULTILINE)
    assert entries[0] == lockstitch.__version__


# Dependencies


def test_every_requirement_is_pinned_inside_its_range() -> None:
    extras = project()["project"]["optional-dependencies"]
    pinned = pins()
    wanted = project()["project"]["dependencies"] + extras["gguf"] + extras["bench"] + extras["dev"]
    for name, requirement in requirements(wanted).items():
        if name != "lockstitch":
            assert requirement.specifier.contains(pinned[name]), name


def test_extras_are_the_promised_ones_and_all_is_their_union() -> None:
    extras = project()["project"]["optional-dependencies"]
    assert set(extras) == {"gguf", "server", "jobs", "ray", "lora", "bench", "dev", "all"}
    (everything,) = requirements(extras["all"]).values()
    assert everything.extras == set(extras) - {"bench", "dev", "all"}


def test_dependencies_are_the_imported_ones() -> None:
    """Whatever the house imports is declared, and what is declared without an extra is imported."""
    sources = [p for floor in FLOORS for p in (ROOT / floor).rglob("*.py")]
    imported = {package for path in sources for package in absolute_imports(path)}
    owners = packages_distributions()
    used = {
        canonicalize_name(owner)
        for package in imported - sys.stdlib_module_names
        for owner in owners.get(package, [package])[:1]
    }
    base = set(requirements(project()["project"]["dependencies"]))
    extras = project()["project"]["optional-dependencies"]
    optional = {n for k, lines in extras.items() if k != "dev" for n in requirements(lines)}
    assert used <= base | optional
    assert base - INDIRECT <= used


def absolute_imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {name.name.split(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            found.add(node.module.split(".")[0])
    return found


# The commands of the README


def test_model_command_is_the_same_everywhere() -> None:
    package = INSTALL_COMMAND.rsplit(maxsplit=1)[1]
    assert package in (ROOT / "scripts" / "setup").read_text(encoding="utf-8")
    assert INSTALL_COMMAND in (ROOT / "README.md").read_text(encoding="utf-8")


def test_ci_runs_what_the_readme_says() -> None:
    run = ROOT / ".ci" / "run"
    commands = [line for line in run.read_text().splitlines() if line and line[0] != "#"]
    assert commands[-1] == "exec make test"
    assert run.stat().st_mode & 0o111
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "make test" in readme
    assert "make demo" in readme


def test_pre_commit_runs_the_tools_of_make_check() -> None:
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    (local,) = config["repos"]
    tools = {hook["entry"].split()[0] for hook in local["hooks"]}
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert tools == set(re.findall(r"python -m (\w+)", makefile))


def test_set_up_names_no_registry() -> None:
    """Which index serves packages is pip's configuration, not this repository's."""
    for name in ("Makefile", "scripts/setup", "constraints.txt", "pyproject.toml", ".ci/run"):
        text = (ROOT / name).read_text(encoding="utf-8")
        assert not re.search(r"https?://|--(extra-)?index-url[ =]", text), name
