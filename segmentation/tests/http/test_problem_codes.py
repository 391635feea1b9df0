"""The table of error codes against the code: every code raised is in it, and none of it is unused."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from mipseg.http.problem_codes import PROBLEMS, code_of, status_of, title_of

ROOT = Path(__file__).resolve().parents[3]
SOURCES = [
    path
    for folder in ("segmentation/src", "shared/src", "judge/src")
    for path in sorted((ROOT / folder).rglob("*.py"))
    # What volumes say of a missing SUV is called a reason as well, but it is a sentence.
    if path.name != "problem_codes.py" and not {"io", "suv"} & set(path.parts)
]
# What takes a code, and as which argument. Names such as `code` and `reason` take one as well.
TAKES_A_CODE = {
    "ProblemError": 0, "UsageError": 0, "TransportError": 0, "ClientError": 0, "RefusalError": 1, "TargetError": 0,
    "Judged": 0, "Scored": 1, "_BadReplyError": 0, "_EndpointDownError": 0,
}  # fmt: skip
NAMES = {"code", "reason", "UNREACHABLE", "TIMEOUT"}


def raised(tree: ast.Module) -> Iterator[str]:
    """The codes that a module gives away."""
    for node in ast.walk(tree):
        values: list[ast.expr] = []
        if isinstance(node, ast.Call):
            place = TAKES_A_CODE.get(getattr(node.func, "id", ""))
            if place is not None and place < len(node.args):
                values = [node.args[place]]
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                pairs = [(target, node.value)]
                if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                    pairs = list(zip(target.elts, node.value.elts, strict=False))
                values += [value for name, value in pairs if getattr(name, "id", "") in NAMES]
        yield from (value.value for value in values if isinstance(value, ast.Constant) and isinstance(value.value, str))


def modules() -> list[ast.Module]:
    return [ast.parse(path.read_text("utf-8")) for path in SOURCES]


def test_every_code_that_is_raised_is_in_the_table() -> None:
    found = {code for tree in modules() for code in raised(tree)}
    assert len(found) > 40
    assert found - PROBLEMS.keys() == set()


def test_no_code_of_the_table_is_unused() -> None:
    words = {
        node.value
        for tree in modules()
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    assert PROBLEMS.keys() - words - {code_of(404), code_of(405)} == set()


def test_titles_and_advice_are_short_phrases() -> None:
    for code, problem in PROBLEMS.items():
        for text in (problem.title, problem.advice):
            assert 5 <= len(text) <= 70, code
            assert text[0].islower() or text[0] == "`", code
            assert text[-1] not in ".;:", code


def test_a_status_has_one_code_and_one_title() -> None:
    assert (status_of("busy"), title_of("busy", 503)) == (503, "Too many requests at once")
    assert [code_of(status) for status in (404, 405, 418, 599)] == [
        "not-found",
        "method-not-allowed",
        "im-a-teapot",
        "error",
    ]
    assert (title_of("im-a-teapot", 418), title_of("error", 599)) == ("I'm a Teapot", "Error")


@pytest.mark.parametrize("code", ["nobody-knows-this", "timeout"])
def test_what_is_never_an_answer_has_no_status(code: str) -> None:
    with pytest.raises(KeyError, match=code):
        status_of(code)
