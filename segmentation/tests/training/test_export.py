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
from mipseg.model.inference import Network, infer  # noqa: E402
from mipseg.model.segmenter import Segmenter  # noqa: E402
from mipseg.training.checkpoint import load_ema_network, save_checkpoint  # noqa: E402
from mipseg.training.config import BOTH, Config  # noqa: E402
from mipseg.training.evaluate import make_report, read_report  # noqa: E402
from mipseg.training.export import Member, export, replaced, write_model  # noqa: E402
from mipseg.training.model_card import render_card  # noqa: E402
from mipseg.training.model_selection import SearchSpace, cross_validate  # noqa: E402
from mipseg.training.network import UNet  # noqa: E402
from mipseg.training.onnx_file import MIN_ROUNDED, to_onnx  # noqa: E402
from mipseg.training.predict import as_networks  # noqa: E402
from mipseg.training.runs import Run  # noqa: E402
from mipseg.training.split import Split  # noqa: E402
from mipseg.training.train import NetworkTask, begin  # noqa: E402
from mipseg.types import Intensity  # noqa: E402
from tests.training.answers import synthetic_answers  # noqa: E402

# PyTorch's exporter warns about PyTorch.
pytestmark = [
    pytest.mark.long,
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]

SPACE = SearchSpace(temperatures=(0.5,), min_peaks=(0.02,))
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def run(config: Config, split: Split, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Two runs that ship together: random weights whose answers differ between pixels."""
    runs = tmp_path_factory.mktemp("runs")
    small = replace(config, channels=(4, 4, 4), views=("plain",))
    other = Run(replace(small, name="other", pixel_unshuffle=2, seed=5, views=("mirrored",)), runs / "other")
    run = Run(small, runs / "tiny", ensemble=(other,))
    for member in run.members:
        write_network(member, split)
    write_report(run, split)
    return run


def write_network(run: Run, split: Split) -> None:
    """The network that ships, with random weights."""
    identity, folder = run.identity(split, None), run.network_folder(None)
    state = begin(NetworkTask(run.config, identity, folder, split.cases), CPU)
    with torch.no_grad():
        state.ema_network.tumour.weight *= 40
        bias = state.ema_network.tumour.bias
        assert bias is not None
        bias += 5  # near a half, where rounded weights decide nothing about the mask
    folder.mkdir(parents=True)
    save_checkpoint(state, folder, identity)


def write_report(run: Run, split: Split) -> None:
    identities = {
        member.config.name: [member.identity(split, fold).to_json() for fold in range(split.count)]
        for member in run.members
    }
    report = {"identities": identities} | make_report(cross_validate(synthetic_answers(split), SPACE), SPACE)
    (run.folder / "report.json").write_text(json.dumps(report))


@pytest.fixture(scope="module")
def folder(run: Run, split: Split, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The exported model folder."""
    return export(run, split, tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def members(run: Run, split: Split, folder: Path) -> list[Member]:
    """What was exported."""
    return [
        Member(
            member,
            load_ema_network(member.network_folder(None), member.identity(split, None)),
            member.config.views[0],
            (folder / f"network-{number}.onnx").read_bytes(),
        )
        for number, member in enumerate(run.members)
    ]


@pytest.fixture(scope="module")
def report(run: Run, split: Split) -> dict[str, Any]:
    return read_report(run, split) | {"robustness": None}


@pytest.fixture(scope="module")
def images(cases: list[Case]) -> list[Intensity]:
    return [cases[0].intensity, cases[5].intensity]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_configuration_says_of_each_network_what_it_is(folder: Path, report: dict[str, Any]) -> None:
    content = json.loads((folder / "config.json").read_text())
    sha256 = {name: hashlib.sha256(data).hexdigest() for name, data in contents(folder).items()}
    assert content == {
        "name": "tiny",
        "networks": [
            {"file": "network-0.onnx", "sha256": sha256["network-0.onnx"], "run": "tiny", "mirrored": False},
            {"file": "network-1.onnx", "sha256": sha256["network-1.onnx"], "run": "other", "mirrored": True},
        ],
        "temperature": 0.5,
        "min_peak": 0.02,
        "min_patient": 0.05,
        "classifier": report["classifier"],
    }
    assert sha256["network-0.onnx"] != sha256["network-1.onnx"]
    assert set(sha256) == {"README.md", "config.json", "network-0.onnx", "network-1.onnx", "report.json"}


def assert_same_answers(segmenter: Segmenter, originals: list[Network]) -> None:
    for shape in ((70, 90), (128, 128), (1, 1)):
        image = np.random.default_rng(0).random(shape, np.float32)
        reference, logit = infer(image, originals)
        assert shape == (1, 1) or reference.std() > 0.01  # there is something to compare
        probability, exported_logit = segmenter.probability(image)
        difference = np.abs(probability - reference)  # weights are rounded to 8 bits
        assert difference.mean() < 1e-3
        assert difference.max() < 0.03
        assert exported_logit == pytest.approx(logit, abs=1e-2)


def test_exported_folder_gives_the_same_answers(folder: Path, members: list[Member]) -> None:
    originals = [network for member in members for network in as_networks(member.network, [member.view], CPU)]
    assert_same_answers(Segmenter(folder, threads=1), originals)


def test_a_run_with_both_views_ships_two_networks(run: Run, split: Split, tmp_path: Path) -> None:
    alone = Run(replace(run.config, views=BOTH), tmp_path / "alone")
    write_network(alone, split)
    write_report(alone, split)
    folder = export(alone, split, tmp_path / "models")
    networks = json.loads((folder / "config.json").read_text())["networks"]
    assert [network["mirrored"] for network in networks] == [False, True]
    network = load_ema_network(alone.network_folder(None), alone.identity(split, None))
    originals = as_networks(network, BOTH, CPU)
    assert_same_answers(Segmenter(folder, threads=1), originals)
    assert (
        "- **Networks**: one U-Net with BatchNorm, averaged over the image and its mirror image."
        in (folder / "README.md").read_text()
    )


def test_order_of_the_networks_does_not_matter(folder: Path, images: list[Intensity], tmp_path: Path) -> None:
    (tmp_path / "turned").mkdir()
    for name, data in contents(folder).items():
        (tmp_path / "turned" / name).write_bytes(data)
    content = json.loads((folder / "config.json").read_text())
    content["networks"].reverse()
    (tmp_path / "turned/config.json").write_text(json.dumps(content))
    first, second = (Segmenter(path, threads=1).probability(images[0])[0] for path in (folder, tmp_path / "turned"))
    np.testing.assert_allclose(first, second, atol=1e-6)


def test_weights_of_large_convolutions_are_stored_in_8_bits() -> None:
    graph = onnx.load_from_string(to_onnx(UNet((8, 8, 64, 64, 8), 4).eval())).graph  # 64 x 64 x 9 = 36,864
    kernels = [weight for weight in graph.initializer if len(weight.dims) == 4 and np.prod(weight.dims[2:]) > 1]
    stored = {np.prod(weight.dims) >= MIN_ROUNDED: weight.data_type for weight in kernels}
    assert stored == {True: onnx.TensorProto.INT8, False: onnx.TensorProto.FLOAT}


def test_files_say_nothing_of_the_machine_that_trained(folder: Path) -> None:
    content = (folder / "network-0.onnx").read_bytes()
    assert b"network.py" not in content
    assert b"forward" not in content


def test_model_card_comes_with_the_folder(folder: Path) -> None:
    assert (folder / "README.md").read_text() == render_card(folder)


@pytest.fixture
def earlier(tmp_path: Path) -> Path:
    """A model folder of an earlier export."""
    earlier = tmp_path / "tiny"
    earlier.mkdir()
    (earlier / "config.json").write_text("of before")
    (earlier / "notes.md").write_text("about the networks of before")
    return earlier


def test_new_folder_replaces_the_earlier_one(
    members: list[Member],
    report: dict[str, Any],
    images: list[Intensity],
    folder: Path,
    earlier: Path,
) -> None:
    write_model(earlier, members, report, images)
    assert contents(earlier) == contents(folder)
    assert list(earlier.parent.iterdir()) == [earlier]


def test_networks_that_disagree_leave_the_earlier_model_whole(
    members: list[Member], report: dict[str, Any], images: list[Intensity], earlier: Path
) -> None:
    before = contents(earlier)
    other = UNet((4, 4, 4), 4).eval()
    wrong = [members[0]._replace(network=other), members[1]]
    with pytest.raises(ModelError, match=r"disagree on image 0: Dice [01]\.\d{4} .*; probabilities differ by 0\.\d{4}"):
        write_model(earlier, wrong, report, images)
    assert contents(earlier) == before
    assert list(earlier.parent.iterdir()) == [earlier]


def test_a_first_export_that_fails_leaves_nothing(
    members: list[Member], report: dict[str, Any], images: list[Intensity], tmp_path: Path
) -> None:
    wrong = [members[0]._replace(network=UNet((4, 4, 4), 4).eval()), members[1]]
    with pytest.raises(ModelError, match="disagree"):
        write_model(tmp_path / "models/tiny", wrong, report, images)
    assert not any((tmp_path / "models").iterdir())


def test_a_crash_in_the_middle_leaves_the_earlier_model_whole(
    members: list[Member], report: dict[str, Any], images: list[Intensity], earlier: Path
) -> None:
    before = contents(earlier)
    fresh: list[Path] = []

    def interrupted() -> Iterator[Intensity]:
        yield images[0]
        fresh.extend(path for path in earlier.parent.iterdir() if path != earlier)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_model(earlier, members, report, interrupted())
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


def test_a_rename_that_fails_brings_the_earlier_model_back(earlier: Path) -> None:
    before = contents(earlier)
    with pytest.raises(FileNotFoundError), replaced(earlier) as fresh:
        fresh.rmdir()  # nothing is left to rename
    assert contents(earlier) == before
    assert list(earlier.parent.iterdir()) == [earlier]


def test_export_needs_every_network(run: Run, split: Split, tmp_path: Path) -> None:
    other = replace(run.ensemble[0], folder=tmp_path / "other")
    with pytest.raises(ModelError, match=r"other/all/checkpoint\.pt is missing"):
        export(replace(run, ensemble=(other,)), split, tmp_path / "models")
    assert not (tmp_path / "models").exists()


def test_export_needs_a_report(config: Config, split: Split, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"report\.json is missing; run `evaluate` first"):
        export(Run(config, tmp_path), split)
