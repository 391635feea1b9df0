"""The list of verbs, and what is imported for each of them."""

import subprocess
import sys

import pytest

from mipseg.cli.main import VERBS, load_verb
from tests.cli.conftest import Command

HEAVY = {"numpy", "scipy", "pydantic", "PIL", "pydicom", "highdicom", "nibabel", "SimpleITK", "openvino", "onnxruntime"}
HEAVY |= {"scipy.stats", "mipseg.phantom", "mipseg.evaluation.summary", "mipseg.report.case", "rich.progress"}


def imported(code: str) -> set[str]:
    """Which of the heavy modules some code imports."""
    code += "\nimport sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return HEAVY & set(done.stdout.split())


def test_the_list_of_verbs_imports_none_of_them() -> None:
    assert (
        imported("from typer.testing import CliRunner; from mipseg.cli.main import app\nCliRunner().invoke(app)")
        == set()
    )


@pytest.mark.parametrize(
    ("verb", "needed"),
    [
        ("segment", {"numpy", "scipy", "pydantic", "PIL"}),
        ("info", {"pydantic"}),
        ("serve", {"pydantic"}),
    ],
)
def test_a_verb_imports_what_all_its_inputs_need(verb: str, needed: set[str]) -> None:
    assert imported(f"from mipseg.cli.main import load_verb; load_verb({verb!r})") == needed


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_is_listed_with_the_first_line_of_its_help(verb: str) -> None:
    assert (load_verb(verb).help or "").splitlines()[0] == VERBS[verb]


def test_an_unknown_verb_is_wrong_use(mipseg: Command) -> None:
    answer = mipseg("segmnt")
    assert answer.code == 2
    assert "Did you mean 'segment'?" in answer.stderr
