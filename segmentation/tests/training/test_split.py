import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from mipseg.errors import DatasetError
from mipseg.io.dataset import Case
from mipseg.training import split as module
from mipseg.training.identity import hash_cases, hash_folds
from mipseg.training.split import FOLDS_FILE, Split, make_folds, read_folds


def many_cases() -> list[Case]:
    rng = np.random.default_rng(0)
    drawn = []
    for number in range(63):
        height = 900 if number % 9 == 0 else 489
        mask = np.zeros((height, 4), bool)
        mask[: rng.integers(1, 300)] = number < 33
        drawn.append(Case(f"{'patient' if number < 33 else 'control'}_x{number}", np.zeros_like(mask, np.uint8), mask))
    return drawn


def test_folds_are_even_stratified_and_repeatable() -> None:
    cases = many_cases()
    folds = make_folds(cases)
    assert folds == make_folds(list(reversed(cases)))
    for group in ("patient", "control"):
        counts = Counter(fold for name, fold in folds.items() if name.startswith(group))
        assert max(counts.values()) - min(counts.values()) <= 1
    tall = Counter(folds[c.id] for c in cases if c.image.shape[0] == 900)
    assert max(tall.values()) - min(tall.values()) <= 2
    # Small and large tumours are shared out: the quarter with the smallest is spread over all folds.
    patients = sorted((c for c in cases if c.has_tumour and c.image.shape[0] < 600), key=lambda c: c.mask.sum())
    smallest = Counter(folds[c.id] for c in patients[:10])
    assert smallest == dict.fromkeys(range(5), 2)


def test_the_kept_file_names_the_whole_data_set() -> None:
    kept = json.loads(FOLDS_FILE.read_text())
    assert sum(name.startswith("patient") for name in kept) == 142
    assert sum(name.startswith("control") for name in kept) == 342
    assert set(kept.values()) == set(range(5))
    name = next(iter(kept))
    case = Case(name, np.zeros((9, 9), np.uint8), np.zeros((9, 9), bool))
    assert read_folds([case], Path("nowhere")) == {name: kept[name]}


def test_cases_without_a_fold_are_named(tmp_path: Path) -> None:
    file, cases = tmp_path / "folds.json", many_cases()
    file.write_text(json.dumps({case.id: 3 for case in cases[:60]}))
    assert read_folds(cases[:60], tmp_path) == {case.id: 3 for case in cases[:60]}
    with pytest.raises(DatasetError, match=r"3 cases have no fold in .*: control_x60, control_x61, control_x62\. "):
        read_folds(cases, tmp_path)
    file.write_text("{}")
    with pytest.raises(DatasetError, match=r"63 cases .*: patient_x0, patient_x1, .*patient_x4, …\. "):
        read_folds(cases, tmp_path)


@pytest.mark.parametrize("content", ["[]", "{", '{"a": "b"}', '{"a": null}'])
def test_a_damaged_file_of_folds_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "folds.json").write_text(content)
    with pytest.raises(DatasetError, match=r"folds\.json is damaged"):
        read_folds([], tmp_path)


def test_every_fold_needs_both_kinds() -> None:
    patients, controls = many_cases()[:6], many_cases()[-3:]
    folds = {case.id: number % 3 for number, case in enumerate([*patients, *controls])}
    Split([*patients, *controls], folds).require_both_kinds()
    with pytest.raises(DatasetError, match="fold 0 of 3 has no control; each needs"):
        Split(patients, folds).require_both_kinds()
    with pytest.raises(DatasetError, match="fold 1 of 2 has no patient"):
        Split(
            [*patients, *controls], folds | {case.id: 0 for case in patients} | {controls[2].id: 1}
        ).require_both_kinds()


def test_the_data_set_is_dealt_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cases, file = many_cases(), tmp_path / "folds.json"
    monkeypatch.setattr(module, "load_dataset", lambda _: cases)
    monkeypatch.setattr("sys.argv", ["split"])
    monkeypatch.setenv("MIPSEG_DATA_DIR", str(tmp_path))
    module.main()
    assert json.loads(file.read_text()) == make_folds(cases)
    assert "dealt 63 cases to 5 folds" in capsys.readouterr().out


def test_a_split_parts_the_cases(split: Split) -> None:
    assert split.count == 2
    assert [case.id for case in split.left_out(1)] == ["patient_001", "patient_003", "control_005", "control_007"]
    assert [case.id for case in split.training(1)] == ["patient_000", "patient_002", "control_004", "control_006"]
    assert split.training(None) == split.cases
    assert split.left_out(None) == []


def test_hashes_are_of_the_cases_their_folds_and_the_patients_without_reference(
    split: Split, unlabelled: list[Case]
) -> None:
    assert split.hashes == (hash_cases(split.cases), hash_folds(split.folds), None)
    # The fold of a case that is not here says nothing.
    more = Split(split.cases, {**split.folds, "patient_999": 1}, unlabelled)
    assert more.hashes == (*split.hashes[:2], hash_cases(unlabelled))
