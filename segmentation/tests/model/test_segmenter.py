"""The shipped model as one object, and what happens when its folder is damaged."""

import hashlib
import json
import shutil
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mipseg.errors import ModelError
from mipseg.io.arrays import intensity_of_image
from mipseg.metrics import dice_score
from mipseg.model.folder import CONFIG, read_config
from mipseg.model.inference import Network, Run, infer
from mipseg.model.runtime import FLOAT32, load_float32
from mipseg.model.segmenter import MODELS, Segmenter, load_segmenter
from mipseg.settings import Settings
from mipseg.types import Intensity
from tests.conftest import MakePhantom

FOLDER = MODELS / Settings().model
Edit = Callable[[dict[str, Any]], None]


def echo(image: Intensity) -> tuple[Intensity, float]:
    """A network that answers with what it sees."""
    return image, 0.0


@pytest.mark.parametrize("shape", [(1, 1), (1, 991), (400, 1), (63, 65), (426, 400), (991, 400)])
def test_the_answer_has_the_images_shape(segmenter: Segmenter, shape: tuple[int, int]) -> None:
    intensity = np.random.default_rng(0).random(shape, np.float32)
    tumour, probability, has_tumour = segmenter.segment(intensity)
    assert tumour.shape == probability.shape == shape
    assert (tumour.dtype.name, probability.dtype.name) == ("bool", "float32")
    assert 0 <= probability.min() <= probability.max() <= 1
    assert 0 <= has_tumour <= 1


def test_ten_repeats_give_one_mask(segmenter: Segmenter, phantom: MakePhantom) -> None:
    intensity = intensity_of_image(phantom(3, height=200).mip)
    masks = {hashlib.sha256(segmenter.segment(intensity).probability.tobytes()).hexdigest() for _ in range(10)}
    assert len(masks) == 1


@pytest.mark.hazard("H21")
def test_number_of_threads_hardly_matters(phantom: MakePhantom) -> None:
    intensity = intensity_of_image(phantom(3, height=200).mip)
    # One runs a network after the other, two and more run them side by side and share each between threads.
    one, two, many = (Segmenter(FOLDER, threads=threads).segment(intensity).tumour for threads in (1, 2, 16))
    assert one.any()
    assert (one == two).all()
    assert dice_score(one, many) >= 0.999


@pytest.mark.parametrize(
    ("able", "wanted", "runtime"),
    [
        (True, True, ("openvino", "bfloat16")),
        (True, False, ("onnxruntime", "float32")),
        (False, True, ("onnxruntime", "float32")),
    ],
)
def test_bfloat16_is_taken_where_it_is_wanted_and_possible(
    monkeypatch: pytest.MonkeyPatch, able: bool, wanted: bool, runtime: tuple[str, str]
) -> None:
    monkeypatch.setattr("mipseg.model.segmenter.computes_in_bfloat16", lambda: able)
    assert Segmenter(FOLDER, bfloat16=wanted).runtime[:2] == runtime


@pytest.mark.parametrize("threads", [1, 4])
def test_each_network_may_use_every_thread(monkeypatch: pytest.MonkeyPatch, copy: Path, threads: int) -> None:
    seen = []

    def load(_: bytes, count: int) -> Any:
        seen.append(count)
        return echo

    monkeypatch.setattr(Segmenter, "runtime", FLOAT32._replace(load=load))
    Segmenter(copy, threads=threads).load()
    assert seen == [threads] * len(read_config(copy).networks)


def test_mirror_image_gives_nearly_the_mirrored_probabilities(segmenter: Segmenter, phantom: MakePhantom) -> None:
    intensity = intensity_of_image(phantom(2).mip)
    one, two = segmenter.segment(intensity).probability, segmenter.segment(intensity[:, ::-1]).probability[:, ::-1]
    # Nearly: half of the networks see the one image, half the other.
    assert 2 * np.minimum(one, two).sum() / (one.sum() + two.sum()) > 0.85


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the model folder, to be damaged."""
    return shutil.copytree(FOLDER, tmp_path / "model")


@pytest.mark.hazard("H13")
def test_one_flipped_byte_of_the_weights_is_noticed(copy: Path) -> None:
    weights = bytearray((copy / "network-1.onnx").read_bytes())
    weights[len(weights) // 2] ^= 1
    (copy / "network-1.onnx").write_bytes(weights)
    with pytest.raises(ModelError, match="SHA-256 differs"):
        Segmenter(copy).load()


@pytest.mark.parametrize("name", ["network-0.onnx", "network-1.onnx", "config.json"])
def test_missing_file_is_named(copy: Path, name: str) -> None:
    (copy / name).unlink()
    with pytest.raises(ModelError, match=name):
        Segmenter(copy).load()


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"name": "x", "networks": {}, "temperature": "high"}', '{"networks": []}']
)
def test_damaged_config_is_named(copy: Path, content: str) -> None:
    (copy / "config.json").write_text(content)
    with pytest.raises(ModelError, match=r"config\.json is damaged"):
        Segmenter(copy).load()


def edit_config(folder: Path, edit: Edit) -> None:
    content = json.loads((folder / "config.json").read_text())
    edit(content)
    (folder / "config.json").write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("edit", "text"),
    [
        (lambda config: config.update(networks=[]), "lists no network"),
        (lambda config: config["networks"][0].pop("mirrored"), "'mirrored'"),
        (lambda config: config["networks"][0].update(colour="red"), "'colour'"),
    ],
)
def test_a_config_with_other_fields_is_damaged(copy: Path, edit: Edit, text: str) -> None:
    edit_config(copy, edit)
    with pytest.raises(ModelError, match=rf"config\.json is damaged: .*{text}"):
        Segmenter(copy).load()


def test_the_order_of_the_networks_says_nothing(copy: Path, segmenter: Segmenter, phantom: MakePhantom) -> None:
    edit_config(copy, lambda config: config["networks"].reverse())
    intensity = intensity_of_image(phantom(3, height=200).mip)
    (one, logit), (two, other_logit) = (Segmenter(folder).probability(intensity) for folder in (FOLDER, copy))
    np.testing.assert_allclose(one, two, atol=1e-6)
    assert logit == pytest.approx(other_logit)


def test_the_answer_is_the_mean_of_networks_some_of_which_see_the_mirror_image(
    segmenter: Segmenter, phantom: MakePhantom
) -> None:
    intensity = intensity_of_image(phantom(3, height=200).mip)
    alone = []
    for file in segmenter.config.networks:
        run = load_float32((FOLDER / file.file).read_bytes(), 1)

        def turned(image: Intensity, run: Run = run) -> tuple[Intensity, float]:
            probability, logit = run(np.ascontiguousarray(image[:, ::-1]))
            return probability[:, ::-1], logit

        alone.append(infer(intensity, [Network(False, turned if file.mirrored else run)]))
    assert 0 < sum(file.mirrored for file in segmenter.config.networks) < len(alone)
    probability, logit = segmenter.probability(intensity)
    np.testing.assert_allclose(probability, np.mean([answer for answer, _ in alone], 0), atol=1e-3)
    assert logit == pytest.approx(np.mean([logit for _, logit in alone]), abs=1e-2)


@pytest.mark.parametrize(("min_patient", "marks"), [(None, True), (0.0, True), (1.0, False)])
def test_least_probability_of_a_patient_can_be_set(
    phantom: MakePhantom, min_patient: float | None, marks: bool
) -> None:
    segmenter = Segmenter(FOLDER, min_patient=min_patient)
    tumour, _, has_tumour = segmenter.segment(intensity_of_image(phantom(2).mip))
    assert tumour.any() == marks
    assert 0.1 < has_tumour < 1


@pytest.mark.parametrize(
    "keys",
    [
        *(("networks", place, "sha256") for place in range(len(read_config(FOLDER).networks))),
        ("networks", 0, "mirrored"),
        ("temperature",),
        ("min_peak",),
        ("min_patient",),
        ("classifier", "bias"),
        ("classifier", "weights", 0),
    ],
)
def test_digest_changes_with_all_that_decides_an_answer(keys: tuple[str | int, ...], tmp_path: Path) -> None:
    content = json.loads((FOLDER / CONFIG).read_text())
    digests = set()
    for written in (content, _changed(content, keys)):
        (tmp_path / CONFIG).write_text(json.dumps(written))
        digests.add(read_config(tmp_path).sha256)
    assert len(digests) == 2


def _changed(content: Any, keys: tuple[str | int, ...]) -> Any:
    """A copy in which the value that the keys lead to is another."""
    content = deepcopy(content)
    inside = content
    for key in keys[:-1]:
        inside = inside[key]
    value = inside[keys[-1]]
    inside[keys[-1]] = not value if isinstance(value, bool) else f"{value}0" if isinstance(value, str) else value + 0.01
    return content


def test_equal_settings_share_one_model_that_is_loaded_at_its_first_use() -> None:
    settings = Settings(model="nothing", threads=1)
    segmenter = load_segmenter(settings)
    assert load_segmenter(Settings(model="nothing", threads=1, queue_size=3)) is segmenter
    assert load_segmenter(Settings(model="nothing", threads=2)) is not segmenter
    assert not segmenter.is_loaded
    with pytest.raises(ModelError, match=r"can't read .*nothing"):
        segmenter.load()


def test_all_weights_together_stay_small() -> None:
    assert sum(file.stat().st_size for file in MODELS.glob("*/*.onnx")) < 60e6
