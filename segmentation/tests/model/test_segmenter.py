import hashlib
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from mipseg.errors import ModelError
from mipseg.metrics import dice_score
from mipseg.model.inference import Network, infer
from mipseg.model.runtime import load_float32
from mipseg.model.segmenter import ATLAS, MODELS, Segmenter, default_segmenter
from mipseg.phantom import make_phantom
from mipseg.settings import Settings

FOLDER = MODELS / Settings().model
ECHO = Network(1, lambda channels: (channels[0], 0.0))  # a network that answers with what it sees


def phantom_image(seed: int, height: int = 489) -> np.ndarray:
    return np.repeat(make_phantom(seed, height=height).mip[:, :, None], 3, axis=2)


@pytest.fixture(scope="module")
def segmenter() -> Segmenter:
    return Segmenter(FOLDER)


@pytest.mark.parametrize("shape", [(1, 1), (1, 991), (400, 1), (63, 65), (426, 400), (991, 400)])
def test_mask_has_the_images_shape(segmenter, shape):
    image = np.random.default_rng(0).integers(0, 256, (*shape, 1), np.uint8).repeat(3, axis=2)
    mask = segmenter.segment(image)
    assert mask.shape == image.shape
    assert mask.dtype == np.uint8
    assert set(np.unique(mask)) <= {0, 255}
    assert (mask == mask[:, :, :1]).all()


def test_white_image_is_healthy(segmenter):
    analysis = segmenter.analyze(np.full((489, 400, 3), 255, np.uint8))
    assert analysis.lesions == []
    assert not analysis.mask.any()
    assert analysis.label == "healthy"
    assert "uniform" in analysis.warnings


def test_analysis_and_mask_agree(segmenter):
    image = phantom_image(2)
    analysis = segmenter.analyze(image, spacing=(2.0, 2.0))
    assert (analysis.mask == segmenter.segment(image)).all()
    assert sum(lesion.area_px for lesion in analysis.lesions) == (analysis.mask[:, :, 0] == 255).sum()
    assert 0 <= analysis.probability <= 1
    for lesion in analysis.lesions:
        top, left, bottom, right = lesion.bbox
        assert analysis.mask[top:bottom, left:right].any()
        assert lesion.area_mm2 == 4 * lesion.area_px


def test_fifty_repeats_give_one_mask(segmenter):
    image = phantom_image(3, 200)
    assert len({hashlib.sha256(segmenter.segment(image).tobytes()).hexdigest() for _ in range(50)}) == 1


def test_number_of_threads_hardly_matters():
    image = phantom_image(4)
    # Two run networks side by side, sixteen also share each network between threads.
    one, two, many = (Segmenter(FOLDER, threads=threads).segment(image) for threads in (1, 2, 16))
    assert (one == two).all()
    assert dice_score(one, many) >= 0.999


@pytest.mark.parametrize(("able", "wanted", "loader"), [(1, 1, "bfloat16"), (1, 0, "float32"), (0, 1, "float32")])
def test_bfloat16_is_taken_where_it_is_wanted_and_possible(monkeypatch, able, wanted, loader):
    loaded = []
    monkeypatch.setattr("mipseg.model.segmenter.computes_in_bfloat16", lambda: bool(able))
    for name in ("bfloat16", "float32"):

        def load(*_, name=name):
            loaded.append(name)
            return ECHO

        monkeypatch.setattr(f"mipseg.model.segmenter.load_{name}", load)
    Segmenter(FOLDER, bfloat16=bool(wanted))
    assert set(loaded) == {loader}


@pytest.mark.parametrize(("threads", "fast", "each"), [(2, False, 1), (16, False, 2), (2, True, 2), (16, True, 16)])
def test_threads_are_shared_between_networks_that_run_at_once(monkeypatch, threads, fast, each):
    seen = []

    def load(_, count):
        seen.append(count)
        return ECHO

    monkeypatch.setattr("mipseg.model.segmenter.load_float32", load)
    Segmenter(FOLDER, threads=threads, fast=fast)
    assert seen == [each] * (2 if fast else 8)


def test_mirror_image_gives_nearly_the_mirrored_probabilities(segmenter):
    grey = phantom_image(5)[:, :, 0]
    one, two = segmenter.probability(grey)[0], segmenter.probability(np.ascontiguousarray(grey[:, ::-1]))[0][:, ::-1]
    # Nearly: half of the networks see the one image, half the other.
    assert 2 * np.minimum(one, two).sum() / (one.sum() + two.sum()) > 0.85


@pytest.fixture
def copy(tmp_path):
    return shutil.copytree(FOLDER, tmp_path / "model")


def test_one_flipped_byte_of_the_weights_is_noticed(copy):
    weights = bytearray((copy / "network-3.onnx").read_bytes())
    weights[len(weights) // 2] ^= 1
    (copy / "network-3.onnx").write_bytes(weights)
    with pytest.raises(ModelError, match="SHA-256 differs"):
        Segmenter(copy)


@pytest.mark.parametrize("name", ["network-0.onnx", "network-4.onnx", "atlas.npy", "config.json"])
def test_missing_file_is_named(copy, name):
    (copy / name).unlink()
    with pytest.raises(ModelError, match=name):
        Segmenter(copy)


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"name": "x", "networks": {}, "temperature": "high"}', '{"networks": []}']
)
def test_damaged_config_is_named(copy, content):
    (copy / "config.json").write_text(content)
    with pytest.raises(ModelError, match=r"config\.json is damaged"):
        Segmenter(copy)


def test_a_config_that_forgets_the_atlas_is_named(copy):
    content = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps({**content, "atlas": None}))
    with pytest.raises(ModelError, match="wants an atlas"):
        Segmenter(copy)


def test_fast_is_the_mean_of_two_networks_the_second_of_which_sees_the_mirror_image():
    names, grey = list(Segmenter(FOLDER).config.networks), phantom_image(6, 200)[:, :, 0]
    first, second = (load_float32((FOLDER / name).read_bytes(), 1) for name in names[:2])

    def mirrored(network):
        def run(channels):
            probability, logit = network.run(np.ascontiguousarray(channels[:, :, ::-1]))
            return probability[:, ::-1], logit

        return network._replace(run=run)

    alone = [infer(grey, [n], np.load(FOLDER / ATLAS)) for n in (first, mirrored(second))]
    probability, logit = Segmenter(FOLDER, fast=True).probability(grey)
    np.testing.assert_allclose(probability, np.mean([answer for answer, _ in alone], 0), atol=1e-3)
    assert logit == pytest.approx(np.mean([logit for _, logit in alone]), abs=1e-2)


@pytest.mark.parametrize(("min_patient", "marks"), [(None, True), (0.0, True), (1.0, False)])
def test_least_probability_of_a_patient_can_be_set(min_patient, marks):
    segmenter, image = Segmenter(FOLDER, fast=True, min_patient=min_patient), phantom_image(2)
    assert segmenter.segment(image).any() == marks
    assert 0.1 < segmenter.analyze(image).probability < 1


def test_fast_needs_no_other_networks(copy):
    for name in list(json.loads((copy / "config.json").read_text())["networks"])[2:]:
        (copy / name).unlink()
    Segmenter(copy, fast=True)


def test_digest_changes_with_any_network(segmenter):
    names = segmenter.config.networks
    digests = {replace(segmenter.config, networks={**names, name: "0"}).sha256 for name in names}
    assert len(digests | {segmenter.config.sha256}) == len(names) + 1


def test_default_segmenter_is_loaded_once():
    assert default_segmenter() is default_segmenter()
    assert default_segmenter().config.name == json.loads((FOLDER / "config.json").read_text())["name"]


def test_all_weights_together_stay_small():
    assert sum(file.stat().st_size for file in MODELS.glob("*/*.onnx")) < 60e6
