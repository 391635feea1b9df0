"""Every hazard of docs/hazards.md has a test that names it, and every name is in the list."""

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HAZARDS = re.findall(r"^\| (H\d+) \|", (ROOT / "docs/hazards.md").read_text("utf-8"), re.MULTILINE)


def named_by_tests() -> Iterator[tuple[str, str]]:
    """A hazard and the test that names it, for each marker of a test function in the workspace."""
    for file in ROOT.glob("*/tests/**/test_*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                for decorator in node.decorator_list:
                    if ast.unparse(decorator).startswith("pytest.mark.hazard("):
                        assert isinstance(decorator, ast.Call)
                        for argument in decorator.args:
                            yield ast.literal_eval(argument), f"{file.name}::{node.name}"


def test_the_list_is_complete() -> None:
    assert [f"H{number}" for number in range(1, 24)] == HAZARDS


def test_every_hazard_has_a_test_and_every_name_is_a_hazard() -> None:
    tested = {hazard for hazard, _ in named_by_tests()}
    assert sorted(set(HAZARDS) - tested) == []
    assert sorted(tested - set(HAZARDS)) == []


@pytest.mark.hazard("H23")
def test_every_locked_package_has_a_hash() -> None:
    packages = tomllib.loads((ROOT / "uv.lock").read_text("utf-8"))["package"]
    foreign = [package for package in packages if "registry" in package["source"]]
    assert len(foreign) > 50
    for package in foreign:
        files = [*package.get("wheels", []), *([package["sdist"]] if "sdist" in package else [])]
        assert files, package["name"]
        assert all(re.fullmatch("sha256:[0-9a-f]{64}", file["hash"]) for file in files), package["name"]
