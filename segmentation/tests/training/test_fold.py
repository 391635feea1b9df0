import shutil
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed: uv sync --extra train")

from mipseg.errors import ModelError  # noqa: E402
from mipseg.training.checkpoint import load_ema_network  # noqa: E402
from mipseg.training.config import Config, Stage  # noqa: E402
from mipseg.training.fold import train_fold  # noqa: E402
from mipseg.training.predict import predict, read_probabilities, write_probabilities  # noqa: E402
from mipseg.training.runs import Run  # noqa: E402
from mipseg.training.split import Split  # noqa: E402
from mipseg.training.train import Options, TimeIsUpError  # noqa: E402

CPU = torch.device("cpu")
OPTIONS = Options(CPU)


@pytest.fixture
def copied_run(trained_run: Run, tmp_path: Path) -> Run:
    """The trained run, free to be changed."""
    return replace(trained_run, folder=Path(shutil.copytree(trained_run.folder, tmp_path / "runs/tiny")))


def test_a_fold_is_predicted_by_the_network_that_did_not_see_it(trained_run: Run, split: Split) -> None:
    identity, folder = trained_run.identity(split, 1), trained_run.fold_folder(1)
    answers = read_probabilities(folder / "probabilities.npz", identity)
    assert set(answers) == {case.id for case in split.left_out(1)}
    case = split.left_out(1)[0]
    probability, logit = predict([load_ema_network(folder, identity)], case.intensity, CPU)
    assert answers[case.id][0].shape == case.mask.shape
    np.testing.assert_allclose(answers[case.id][0], probability, atol=1e-3)
    assert answers[case.id][1] == pytest.approx(logit, abs=1e-4)


def test_what_is_finished_is_not_done_again(copied_run: Run, split: Split) -> None:
    file = copied_run.fold_folder(0) / "probabilities.npz"
    before = file.stat().st_mtime_ns
    train_fold(copied_run, 0, split, OPTIONS)
    assert file.stat().st_mtime_ns == before
    file.unlink()
    train_fold(copied_run, 0, split, OPTIONS)  # trained already; it is predicted only
    assert read_probabilities(file, copied_run.identity(split, 0))


@pytest.mark.parametrize("with_checkpoint", [True, False])
def test_answers_of_another_run_are_refused(copied_run: Run, split: Split, with_checkpoint: bool) -> None:
    if not with_checkpoint:
        (copied_run.fold_folder(0) / "checkpoint.pt").unlink()
    edited = replace(copied_run, config=replace(copied_run.config, learning_rate=0.5))
    with pytest.raises(ModelError, match=r"probabilities\.npz belongs to .*config\.learning_rate is 0\.003, not 0\.5"):
        train_fold(edited, 0, split, OPTIONS)
    (copied_run.fold_folder(0) / "probabilities.npz").rename(copied_run.fold_folder(1) / "probabilities.npz")
    with pytest.raises(ModelError, match="fold is 0, not 1"):
        train_fold(copied_run, 1, split, OPTIONS)


def test_answers_for_other_data_or_another_split_are_refused(copied_run: Run, split: Split) -> None:
    file = copied_run.fold_folder(0) / "probabilities.npz"
    image = split.cases[0].image.copy()
    image[0, 0] = 0
    changed = replace(split, cases=[replace(split.cases[0], image=image), *split.cases[1:]])
    with pytest.raises(ModelError, match="data_hash is"):
        read_probabilities(file, copied_run.identity(changed, 0))
    swapped = replace(split, folds={name: 1 - fold for name, fold in split.folds.items()})
    with pytest.raises(ModelError, match="split_hash is"):
        read_probabilities(file, copied_run.identity(swapped, 0))


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "is missing; train fold0 first"), (b"", "is damaged"), (b"PK", "is damaged"), ({}, "an older version")],
)
def test_files_without_answers_are_named(
    trained_run: Run, split: Split, tmp_path: Path, content: bytes | dict[str, float] | None, message: str
) -> None:
    file = tmp_path / "fold0/probabilities.npz"
    file.parent.mkdir()
    if isinstance(content, bytes):
        file.write_bytes(content)
    elif content is not None:
        np.savez_compressed(file, patient_000=np.zeros((2, 2)))
    with pytest.raises(ModelError, match=rf"probabilities\.npz .*{message}"):
        read_probabilities(file, trained_run.identity(split, 0))


def test_a_damaged_array_is_named(trained_run: Run, split: Split, tmp_path: Path) -> None:
    identity, file = trained_run.identity(split, 0), tmp_path / "probabilities.npz"
    noise = np.random.default_rng(0).random((64, 64)).astype(np.float16)
    write_probabilities(file, {"patient_000": (noise, 1.0)}, identity)  # type: ignore[dict-item]
    content = bytearray(file.read_bytes())
    content[-2000] ^= 255
    file.write_bytes(content)
    with pytest.raises(ModelError, match="is damaged"):
        read_probabilities(file, identity)


def test_a_fold_is_trained_after_the_same_fold_of_the_run_that_it_starts_from(
    trained_run: Run, split: Split, config: Config, tmp_path: Path
) -> None:
    short = replace(config, name="second", stages=(Stage(2, 2, 2),))
    second = Run(short, tmp_path / "second", replace(trained_run, folder=tmp_path / "first"))
    train_fold(second, 1, split, OPTIONS)
    assert sorted(folder.name for folder in (tmp_path / "first").iterdir()) == ["fold1"]
    assert read_probabilities(tmp_path / "second/fold1/probabilities.npz", second.identity(split, 1))


def test_a_fold_whose_time_is_up_has_no_answers_yet(trained_run: Run, split: Split, tmp_path: Path) -> None:
    run = replace(trained_run, folder=tmp_path / "tiny")
    with pytest.raises(TimeIsUpError):
        train_fold(run, 0, split, Options(CPU, deadline=time.monotonic()))
    assert not (run.fold_folder(0) / "probabilities.npz").exists()
    train_fold(run, 0, split, OPTIONS)
    assert (run.fold_folder(0) / "probabilities.npz").exists()
