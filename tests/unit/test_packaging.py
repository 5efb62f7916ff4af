"""What is installed is ours, complete, pinned, and never uploaded."""

from __future__ import annotations

import importlib
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
TOP_LEVEL = ("patterns", "traces", "simulator", "costmodel", "gatherline")
DATA_SUFFIXES = {".toml", ".csv"}  # cores, SoCs, runtimes and tables of the cost models
MODEL_FILES = {"gatherline/models/digits.onnx", "gatherline/models/digits.pt2", "gatherline/models/digits.json"}


def pyproject() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.mark.parametrize("name", TOP_LEVEL)
def test_the_package_that_is_imported_is_ours(name: str) -> None:
    module = importlib.import_module(name)
    assert module.__file__ is not None, f"{name} is a namespace package: its __init__.py is missing"
    assert Path(module.__file__).resolve() == ROOT / name / "__init__.py"


def test_the_explicit_package_list_names_every_folder_with_code() -> None:
    folders = {file.parent for name in TOP_LEVEL for file in (ROOT / name).rglob("*.py")}
    found = sorted(str(folder.relative_to(ROOT)).replace("/", ".") for folder in folders)
    assert found == sorted(pyproject()["tool"]["setuptools"]["packages"])


def test_every_package_has_an_init_file() -> None:
    for name in pyproject()["tool"]["setuptools"]["packages"]:
        assert (ROOT / name.replace(".", "/") / "__init__.py").is_file(), name


def test_the_project_cannot_be_uploaded() -> None:
    assert "Private :: Do Not Upload" in pyproject()["project"]["classifiers"]


def test_every_dependency_is_pinned_exactly() -> None:
    project = pyproject()["project"]
    asked = [*project["dependencies"], *(need for extra in project["optional-dependencies"].values() for need in extra)]
    names = {normal(re.match(r"[A-Za-z0-9._-]+", need).group()) for need in asked}  # type: ignore[union-attr]
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if line and not line.startswith("#")]
    pins = {normal(line.split("==")[0]) for line in lines if re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][A-Za-z0-9.]*", line)}
    assert len(pins) == len(lines), "a line of constraints.txt is no exact pin, or a name stands there twice"
    assert names - {"gatherline"} <= pins


def test_the_embedded_model_is_where_the_package_looks_for_it() -> None:
    assert pyproject()["tool"]["setuptools"]["package-data"]["gatherline"] == ["models/*"]
    assert all((ROOT / name).is_file() for name in MODEL_FILES)


@pytest.mark.slow
def test_the_wheel_holds_the_five_packages_their_data_and_nothing_else(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, tree)
    ignored = shutil.ignore_patterns("__pycache__")
    for name in (*TOP_LEVEL, "tests"):
        shutil.copytree(ROOT / name, tree / name, ignore=ignored)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(tmp_path), str(tree)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    (wheel,) = tmp_path.glob("*.whl")
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    ours = {str(file.relative_to(ROOT)) for name in TOP_LEVEL for file in (ROOT / name).rglob("*.py")}
    profiles = {str(file.relative_to(ROOT)) for file in (ROOT / "traces/workloads/profiles").glob("*.csv")}
    assert profiles
    cost_data = {
        str(file.relative_to(ROOT)) for file in (ROOT / "costmodel").rglob("*.*") if file.suffix in DATA_SUFFIXES
    }
    pages = {
        str(file.relative_to(ROOT))
        for file in (ROOT / "gatherline/report/page").iterdir()
        if file.suffix in (".jinja", ".css", ".js")
    }
    assert pages
    assert names == ours | MODEL_FILES | profiles | cost_data | pages
