import shutil
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed: uv sync --extra train")

from mipseg.errors import ModelError  # noqa: E402
from mipseg.io.dataset import Case  # noqa: E402
from mipseg.model.inference import infer  # noqa: E402
from mipseg.training import fold as module  # noqa: E402
from mipseg.training.checkpoint import load_ema_network  # noqa: E402
from mipseg.training.config import BOTH, Config  # noqa: E402
from mipseg.training.fold import train_network  # noqa: E402
from mipseg.training.network import UNet  # noqa: E402
from mipseg.training.predict import as_networks, read_probabilities, write_probabilities  # noqa: E402
from mipseg.training.runs import Run  # noqa: E402
from mipseg.training.split import Split  # noqa: E402
from mipseg.training.train import NetworkTask, Options, TimeIsUpError  # noqa: E402

CPU = torch.device("cpu")
OPTIONS = Options(CPU)


@pytest.fixture
def copied_run(trained_run: Run, tmp_path: Path) -> Run:
    """The trained run, free to be changed."""
    return replace(trained_run, folder=Path(shutil.copytree(trained_run.folder, tmp_path / "runs/tiny")))


def probabilities_of(run: Run, fold: int) -> Path:
    return run.network_folder(fold) / "probabilities.npz"


def test_a_fold_is_predicted_by_the_network_that_did_not_see_it(trained_run: Run, split: Split) -> None:
    identity, folder = trained_run.identity(split, 1), trained_run.network_folder(1)
    answers = read_probabilities(folder / "probabilities.npz", identity)
    assert set(answers) == {case.id for case in split.left_out(1)}
    case = split.left_out(1)[0]
    probability, logit = infer(case.intensity, as_networks(load_ema_network(folder, identity), BOTH, CPU))
    assert answers[case.id][0].shape == case.mask.shape
    np.testing.assert_allclose(answers[case.id][0], probability, atol=1e-3)
    assert answers[case.id][1] == pytest.approx(logit, abs=1e-4)


@pytest.fixture
def tasks(monkeypatch: pytest.MonkeyPatch) -> list[NetworkTask]:
    """What is trained in a test; nothing is."""
    seen: list[NetworkTask] = []

    def train(task: NetworkTask, options: Options) -> UNet:
        seen.append(task)
        return UNet((4, 4, 4), 4).eval()

    def write(file: Path, answers: object, identity: object) -> None:
        assert file == seen[-1].folder / "probabilities.npz"

    monkeypatch.setattr(module, "train", train)
    monkeypatch.setattr(module, "write_probabilities", write)
    return seen


def names(cases: object) -> list[str]:
    return [case.id for case in cases]  # type: ignore[attr-defined]


def test_every_network_sees_the_other_folds(
    tasks: list[NetworkTask], config: Config, split: Split, unlabelled: list[Case], tmp_path: Path
) -> None:
    run = Run(replace(config, unlabelled_fraction=0.2), tmp_path)
    with_more = replace(split, unlabelled=unlabelled)
    for fold in (None, 0, 1):
        train_network(run, fold, with_more, OPTIONS)
        task = tasks[-1]
        assert task.config == run.config
        assert task.folder == run.network_folder(fold)
        assert task.identity == run.identity(with_more, fold)
        assert names(task.cases) == names(split.training(fold))
        assert sorted(names(task.validation)) == sorted(names(split.left_out(fold)))
        assert names(task.unlabelled) == ["unlabelled_0", "unlabelled_1"]


def test_without_a_share_patients_without_reference_are_not_trained_on(
    tasks: list[NetworkTask], config: Config, split: Split, unlabelled: list[Case], tmp_path: Path
) -> None:
    train_network(Run(config, tmp_path), 0, replace(split, unlabelled=unlabelled), OPTIONS)
    assert not tasks[0].unlabelled


def test_a_network_that_ships_sees_all_cases_and_predicts_none(
    trained_run: Run, split: Split, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = replace(trained_run, folder=tmp_path / "tiny")
    train_network(run, None, split, OPTIONS)
    folder = run.network_folder(None)
    network = load_ema_network(folder, run.identity(split, None))
    assert "probabilities.npz" not in {file.name for file in folder.iterdir()}
    # It is done: the same call again changes nothing.
    before = (folder / "checkpoint.pt").stat().st_mtime_ns
    train_network(run, None, split, OPTIONS)
    assert (folder / "checkpoint.pt").stat().st_mtime_ns == before
    other = load_ema_network(trained_run.network_folder(0), trained_run.identity(split, 0))
    assert not torch.equal(network.tumour.weight, other.tumour.weight)


def test_what_is_finished_is_not_done_again(copied_run: Run, split: Split) -> None:
    file = probabilities_of(copied_run, 0)
    before = file.stat().st_mtime_ns
    train_network(copied_run, 0, split, OPTIONS)
    assert file.stat().st_mtime_ns == before
    file.unlink()
    train_network(copied_run, 0, split, OPTIONS)  # trained already; it is predicted only
    assert read_probabilities(file, copied_run.identity(split, 0))


def test_a_network_that_was_lost_is_trained_again(copied_run: Run, split: Split) -> None:
    checkpoint = copied_run.network_folder(0) / "checkpoint.pt"
    checkpoint.unlink()
    train_network(copied_run, 0, split, OPTIONS)
    assert load_ema_network(checkpoint.parent, copied_run.identity(split, 0))


@pytest.mark.parametrize("with_checkpoint", [True, False])
def test_answers_of_another_run_are_refused(copied_run: Run, split: Split, with_checkpoint: bool) -> None:
    if not with_checkpoint:
        (copied_run.network_folder(0) / "checkpoint.pt").unlink()
    edited = replace(copied_run, config=replace(copied_run.config, learning_rate=0.5))
    with pytest.raises(ModelError, match=r"probabilities\.npz belongs to .*config\.learning_rate is 0\.003, not 0\.5"):
        train_network(edited, 0, split, OPTIONS)
    probabilities_of(copied_run, 0).rename(probabilities_of(copied_run, 1))
    with pytest.raises(ModelError, match="fold is 0, not 1"):
        train_network(copied_run, 1, split, OPTIONS)


def test_answers_for_other_data_or_another_split_are_refused(copied_run: Run, split: Split) -> None:
    file = probabilities_of(copied_run, 0)
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
    [(None, "is missing; train that network"), (b"", "is damaged"), (b"PK", "is damaged"), ({}, "an older version")],
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


def test_a_fold_whose_time_is_up_has_no_answers_yet(trained_run: Run, split: Split, tmp_path: Path) -> None:
    run = replace(trained_run, folder=tmp_path / "tiny")
    with pytest.raises(TimeIsUpError):
        train_network(run, 0, split, Options(CPU, deadline=time.monotonic()))
    assert not probabilities_of(run, 0).exists()
    train_network(run, 0, split, OPTIONS)
    assert probabilities_of(run, 0).exists()
