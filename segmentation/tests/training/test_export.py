import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed: uv sync --extra train")
onnx = pytest.importorskip("onnx", reason="onnx is not installed: uv sync --extra train")
pytest.importorskip("sklearn", reason="scikit-learn is not installed: uv sync --extra train")

from mipseg.errors import ModelError  # noqa: E402
from mipseg.io.dataset import Case  # noqa: E402
from mipseg.model.atlas import SHAPE  # noqa: E402
from mipseg.model.inference import infer  # noqa: E402
from mipseg.model.segmenter import Segmenter  # noqa: E402
from mipseg.training.config import Config  # noqa: E402
from mipseg.training.evaluate import make_report  # noqa: E402
from mipseg.training.export import (  # noqa: E402
    Exported,
    Member,
    ensemble_members,
    export,
    load_members,
    replaced,
    write_model,
)
from mipseg.training.model_card import render_card  # noqa: E402
from mipseg.training.model_selection import SearchSpace, cross_validate  # noqa: E402
from mipseg.training.network import UNet  # noqa: E402
from mipseg.training.predict import as_network  # noqa: E402
from mipseg.types import Intensity  # noqa: E402
from tests.training.answers import synthetic_answers  # noqa: E402

# PyTorch's exporter warns about PyTorch.
pytestmark = [
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]

SPACE = SearchSpace(temperatures=(0.5,), min_peaks=(0.02,))
ATLAS = np.stack([np.full(SHAPE, 0.2), np.full(SHAPE, 0.1)]).astype(np.float32)
CPU = torch.device("cpu")


def write_checkpoint(folder: Path, architecture: dict[str, Any], seed: int) -> None:
    """A small network of random weights, whose answer differs from pixel to pixel."""
    torch.manual_seed(seed)
    network = UNet(**architecture)
    with torch.no_grad():
        network.tumour.weight *= 80
        if network.atlas is not None:
            network.atlas.add_(0.1)
    folder.mkdir(parents=True)
    torch.save({"ema_network": network.state_dict(), **architecture}, folder / "checkpoint.pt")


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> list[Exported]:
    """A network without an atlas, and one with it that sees the mirror image: to export one takes seconds."""
    runs, small = tmp_path_factory.mktemp("runs"), {"channels": (4, 4), "pixel_unshuffle": 4, "atlas": False}
    members = [
        Member(runs / "plain/fold3", "plain", 3, refit=False, mirrored=False, fast=True),
        Member(runs / "plain/refit1", "other", 1, refit=True, mirrored=True, fast=False),
    ]
    write_checkpoint(members[0].folder, small, seed=0)
    write_checkpoint(members[1].folder, small | {"pixel_unshuffle": 2, "atlas": True}, seed=1)
    return load_members(members)


@pytest.fixture(scope="module")
def report(cases: list[Case]) -> dict[str, Any]:
    """Of synthetic answers."""
    runs = {"ensemble": ["plain", "other"], "identity": None, "robustness": None}
    return runs | make_report(cross_validate(synthetic_answers(cases), SPACE), SPACE)


@pytest.fixture(scope="module")
def images(cases: list[Case]) -> list[Intensity]:
    return [cases[0].intensity, cases[5].intensity]


@pytest.fixture(scope="module")
def folder(
    networks: list[Exported], report: dict[str, Any], images: list[Intensity], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A model folder of both networks."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    write_model(folder, networks, ATLAS, report, images)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_configuration_says_of_each_network_what_it_is(folder: Path, report: dict[str, Any]) -> None:
    content = json.loads((folder / "config.json").read_text())
    sha256 = {name: hashlib.sha256(data).hexdigest() for name, data in contents(folder).items()}
    first = {"file": "network-0.onnx", "sha256": sha256["network-0.onnx"], "run": "plain", "fold": 3, "refit": False}
    second = {"file": "network-1.onnx", "sha256": sha256["network-1.onnx"], "run": "other", "fold": 1, "refit": True}
    assert content == {
        "name": "tiny",
        "networks": [
            first | {"in_channels": 1, "mirrored": False, "fast": True},
            second | {"in_channels": 3, "mirrored": True, "fast": False},
        ],
        "atlas": sha256["atlas.npy"],
        "temperature": 0.5,
        "min_peak": 0.02,
        "min_patient": 0.02,
        "classifier": report["classifier"],
    }
    assert set(sha256) == {
        "README.md",
        "atlas.npy",
        "config.json",
        "network-0.onnx",
        "network-1.onnx",
        "report.json",
    }


def test_exported_folder_gives_the_same_answers(folder: Path, networks: list[Exported]) -> None:
    segmenter = Segmenter(folder, threads=1)
    originals = [as_network(exported.network, CPU, mirrored=exported.member.mirrored) for exported in networks]
    for shape in ((70, 90), (128, 128), (1, 1)):
        image = np.random.default_rng(0).random(shape, np.float32)
        reference, logit = infer(image, originals, ATLAS)
        assert shape == (1, 1) or reference.std() > 0.01  # there is something to compare
        probability, exported_logit = segmenter.probability(image)
        np.testing.assert_allclose(probability, reference, atol=1e-2)
        assert exported_logit == pytest.approx(logit, abs=1e-2)


def test_order_of_the_networks_does_not_matter(folder: Path, images: list[Intensity], tmp_path: Path) -> None:
    (tmp_path / "turned").mkdir()
    for name, data in contents(folder).items():
        (tmp_path / "turned" / name).write_bytes(data)
    content = json.loads((folder / "config.json").read_text())
    content["networks"].reverse()
    (tmp_path / "turned/config.json").write_text(json.dumps(content))
    first, second = (Segmenter(path, threads=1).probability(images[0])[0] for path in (folder, tmp_path / "turned"))
    np.testing.assert_allclose(first, second, atol=1e-6)


def test_weights_of_convolutions_are_stored_in_8_bits(folder: Path) -> None:
    weights = onnx.load(folder / "network-0.onnx").graph.initializer
    large = {w.data_type for w in weights if len(w.dims) == 4 and np.prod(w.dims[2:]) > 1}
    assert large == {onnx.TensorProto.INT8}


def test_files_say_nothing_of_the_machine_that_trained(folder: Path) -> None:
    content = (folder / "network-0.onnx").read_bytes()
    assert b"network.py" not in content
    assert b"forward" not in content


def test_model_card_comes_with_the_folder(folder: Path) -> None:
    assert (folder / "README.md").read_text() == render_card(folder)


def test_runs_and_folds_take_turns_and_every_run_sees_both_views(config: Config, tmp_path: Path) -> None:
    run = tmp_path / "tiny"
    members = ensemble_members(replace(config, ensemble=("other",)), run)
    assert [member.run for member in members] == ["tiny", "other", "other", "tiny"] * 2
    assert [member.fold for member in members] == [0, 1, 2, 1, 2, 3, 4, 3]
    assert [number for number, member in enumerate(members) if member.mirrored] == [1, 3, 5, 7]
    assert [number for number, member in enumerate(members) if member.fast] == [0, 1]
    assert members[2] == Member(tmp_path / "other/fold2", "other", 2, refit=False, mirrored=False, fast=False)
    refit = ensemble_members(replace(config, ensemble=("other",), refit_images=4), run)
    assert len({member.folder for member in refit}) == 8
    assert all(member.refit and member.folder.parent == run for member in refit)
    assert [(m.run, m.fold) for m in refit] == [(m.run, m.fold) for m in members]


@pytest.fixture
def earlier(tmp_path: Path) -> Path:
    """A model folder of an earlier export."""
    earlier = tmp_path / "tiny"
    earlier.mkdir()
    (earlier / "config.json").write_text("of before")
    (earlier / "notes.md").write_text("about the networks of before")
    return earlier


def test_new_folder_replaces_the_earlier_one(
    networks: list[Exported], report: dict[str, Any], images: list[Intensity], folder: Path, earlier: Path
) -> None:
    write_model(earlier, networks, ATLAS, report, images)
    assert contents(earlier) == contents(folder)
    assert list(earlier.parent.iterdir()) == [earlier]


def test_networks_that_disagree_leave_the_earlier_model_whole(
    networks: list[Exported], report: dict[str, Any], images: list[Intensity], earlier: Path
) -> None:
    before = contents(earlier)
    other = UNet((4, 4), 4, atlas=False).eval()
    wrong = [networks[0]._replace(network=other), networks[1]]
    with pytest.raises(ModelError, match=r"disagree on image 0: Dice 0\.\d{4} .*; probabilities differ by 0\.\d{4}"):
        write_model(earlier, wrong, ATLAS, report, images)
    assert contents(earlier) == before
    assert list(earlier.parent.iterdir()) == [earlier]


def test_a_first_export_that_fails_leaves_nothing(
    networks: list[Exported], report: dict[str, Any], images: list[Intensity], tmp_path: Path
) -> None:
    wrong = [networks[0]._replace(network=UNet((4, 4), 4, atlas=False).eval()), networks[1]]
    with pytest.raises(ModelError, match="disagree"):
        write_model(tmp_path / "models/tiny", wrong, ATLAS, report, images)
    assert not any((tmp_path / "models").iterdir())


def test_a_crash_in_the_middle_leaves_the_earlier_model_whole(
    networks: list[Exported], report: dict[str, Any], images: list[Intensity], earlier: Path
) -> None:
    before = contents(earlier)
    fresh: list[Path] = []

    def interrupted() -> Iterator[Intensity]:
        yield images[0]
        fresh.extend(path for path in earlier.parent.iterdir() if path != earlier)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_model(earlier, networks, ATLAS, report, interrupted())
    assert len(fresh) == 1  # the new folder was there beside the earlier one
    assert contents(earlier) == before
    assert list(earlier.parent.iterdir()) == [earlier]


@pytest.mark.parametrize("renamed", [False, True])
def test_what_a_killed_export_left_is_put_right(earlier: Path, renamed: bool) -> None:
    before = contents(earlier)
    (earlier.parent / ".tiny.new").mkdir()
    (earlier.parent / ".tiny.new/network-0.onnx").write_bytes(b"half")
    if renamed:  # between the two renames
        earlier.rename(earlier.parent / ".tiny.earlier")
    with pytest.raises(FileExistsError), replaced(earlier) as fresh:
        fresh.mkdir()  # fails again
    assert contents(earlier) == before
    assert list(earlier.parent.iterdir()) == [earlier]


def test_export_needs_a_report(cases: list[Case], config: Config, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"report\.json is missing; run `evaluate` first"):
        export(cases, config, tmp_path)
