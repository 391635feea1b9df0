import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed: uv sync --extra train")
onnx = pytest.importorskip("onnx", reason="onnx is not installed: uv sync --extra train")

from mipseg.errors import ModelError  # noqa: E402
from mipseg.model.inference import infer  # noqa: E402
from mipseg.model.segmenter import Segmenter  # noqa: E402
from mipseg.training import export as module  # noqa: E402
from mipseg.training import refit  # noqa: E402
from mipseg.training.config import Stage  # noqa: E402
from mipseg.training.export import export  # noqa: E402
from mipseg.training.predict import as_network  # noqa: E402
from mipseg.training.train import Trainer, load_ema_network  # noqa: E402

# PyTorch's exporter warns about PyTorch.
pytestmark = [
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


@pytest.fixture
def others(run, cases, config):
    """Two networks of another run and another architecture."""
    other = replace(config, atlas=True, pixel_unshuffle=2, channels=(8, 8, 8, 8, 8, 8))
    folders = [run.parent / f"other/fold{fold}" for fold in (1, 0)]
    for seed, folder in enumerate(folders):
        Trainer(cases, replace(other, seed=seed), folder, torch.device("cpu")).run()
    return folders


@pytest.fixture
def run(cases, config, run_folder, monkeypatch):
    monkeypatch.setattr(module, "PHANTOMS", 1)
    monkeypatch.setattr(refit, "FOLDS", 2)
    monkeypatch.setattr(refit, "SHIPPED", 3)
    for fold in range(2):
        Trainer(cases, replace(config, seed=fold), run_folder / f"fold{fold}", torch.device("cpu")).run()
    report = {
        "patients": 4,
        "controls": 4,
        "dice": {"mean": 0.5},
        "controls_without_false_lesion": 1.0,
        "classification": {"auc": 0.9},
        "choices": {
            "temperature": 0.5,
            "min_peak": 0.02,
            "min_patient": 0.01,
            "classifier": {"mean": [0] * 5, "scale": [1] * 5, "weights": [1] * 5, "bias": 0},
        },
    }
    (run_folder / "report.json").write_text(json.dumps(report))
    return run_folder


def test_exported_folder_is_complete_and_gives_the_same_answers(run, cases, config, tmp_path):
    folder = export(cases, config, run, tmp_path / "models")
    content = json.loads((folder / "config.json").read_text())
    for number in range(3):
        name = f"network-{number}.onnx"
        assert content["networks"][name] == hashlib.sha256((folder / name).read_bytes()).hexdigest()
    assert content["cross_validation"]["dice"] == {"mean": 0.5}
    segmenter = Segmenter(folder, threads=1)
    networks = [as_network(load_ema_network(run / f"fold{fold}"), torch.device("cpu")) for fold in (0, 1, 0)]
    assert (segmenter.config.temperature, segmenter.config.min_peak, segmenter.config.min_patient) == (0.5, 0.02, 0.01)
    for shape in ((70, 90), (128, 128), (1, 1)):
        image = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
        reference, logit = infer(image, networks)
        probability, exported_logit = segmenter.probability(image)
        np.testing.assert_allclose(probability, reference, atol=2e-3)
        assert exported_logit == pytest.approx(logit, abs=1e-2)


def test_networks_with_and_without_an_atlas_ship_together(run, others, cases, config, tmp_path):
    folder = export(cases, replace(config, ensemble=("other",)), run, tmp_path / "models")
    networks = [load_ema_network(fold) for fold in (run / "fold0", *others)]
    assert [network.in_channels for network in networks] == [1, 3, 3]
    image = cases[1].image
    expected, _ = infer(image, [as_network(network, torch.device("cpu")) for network in networks], networks[1].healthy)
    segmenter = Segmenter(folder, threads=1)
    np.testing.assert_allclose(segmenter.probability(image)[0], expected, atol=2e-3)
    assert segmenter.config.sha256 != replace(segmenter.config, atlas=None).sha256
    atlas = bytearray((folder / "atlas.npy").read_bytes())
    atlas[-1] ^= 1
    (folder / "atlas.npy").write_bytes(atlas)
    with pytest.raises(ModelError, match=r"atlas\.npy.*SHA-256 differs"):
        Segmenter(folder)


def test_runs_and_folds_take_turns_and_every_run_sees_both_views(run, config, monkeypatch):
    monkeypatch.setattr(refit, "FOLDS", 5)
    monkeypatch.setattr(refit, "SHIPPED", 8)
    sources = refit.refit_folders(replace(config, ensemble=("other",)), run)
    own, other = ([n for n, source in enumerate(sources) if source.parent.name == name] for name in (run.name, "other"))
    assert (own, other) == ([0, 3, 4, 7], [1, 2, 5, 6])  # every second network sees the mirror image
    assert [sources[n].name for n in own] == ["fold0", "fold1", "fold2", "fold3"]
    assert [sources[n].name for n in other] == ["fold1", "fold2", "fold3", "fold4"]


def test_export_fails_and_keeps_nothing_when_onnx_disagrees(run, cases, config, tmp_path, monkeypatch):
    original = module.load_ema_network

    def disturbed(folder):
        network = original(folder)
        written = module.write_onnx

        def write_other(_, file):
            other = original(folder)
            with torch.no_grad():
                other.tumour.bias += 3
            written(other, file)

        monkeypatch.setattr(module, "write_onnx", write_other)
        return network

    monkeypatch.setattr(module, "load_ema_network", disturbed)
    with pytest.raises(ModelError, match="disagree"):
        export(cases, config, run, tmp_path / "models")
    assert not list((tmp_path / "models/tiny").glob("*.onnx"))


def test_export_needs_a_trained_model(run_folder):
    with pytest.raises(ModelError, match="train run first"):
        load_ema_network(run_folder)


def test_weights_of_convolutions_are_stored_in_8_bits(run, cases, config, tmp_path):
    folder = export(cases, config, run, tmp_path / "models")
    weights = onnx.load(folder / "network-0.onnx").graph.initializer
    large = {w.data_type for w in weights if len(w.dims) == 4 and np.prod(w.dims[2:]) > 1}
    assert large == {onnx.TensorProto.INT8}


def test_files_say_nothing_of_the_machine_that_trained(run, cases, config, tmp_path):
    folder = export(cases, config, run, tmp_path / "models")
    content = (folder / "network-0.onnx").read_bytes()
    assert b"network.py" not in content
    assert b"forward" not in content


def test_no_network_is_shipped_twice(run, cases, config, tmp_path, monkeypatch):
    # Two runs of two folds each: whichever way they take turns, four networks are all there are.
    monkeypatch.setattr(refit, "SHIPPED", 4)
    for fold in range(2):
        Trainer(cases, replace(config, seed=8 + fold), run.parent / f"other/fold{fold}", torch.device("cpu")).run()
    folder = export(cases, replace(config, ensemble=("other",)), run, tmp_path / "models")
    assert len({(folder / f"network-{number}.onnx").read_bytes() for number in range(4)}) == 4


def test_networks_that_ship_are_trained_once_more_on_all_cases(run, cases, config, tmp_path, monkeypatch):
    seen, longer = [], replace(config, refit_images=4, seed=5)
    original = refit.Trainer

    def trainer(cases, config, folder, device, start):
        seen.append((len(cases), config.seed, config.stages, config.learning_rate, start))
        return original(cases, config, folder, device, start)

    monkeypatch.setattr(refit, "Trainer", trainer)
    with pytest.raises(ModelError, match="train final0 first"):
        export(cases, longer, run, tmp_path / "models")
    for _ in range(2):  # what is finished is not trained again
        refit.refit(cases, longer, run, torch.device("cpu"))
        weights = [load_ema_network(run / f"final{number}").tumour.weight for number in range(3)]
    assert [entry[:4] for entry in seen[:3]] == [(8, 500 + number, (Stage(1, 4, 2),), 1.5e-3) for number in range(3)]
    assert [entry[4] for entry in seen[:3]] == [run / "fold0", run / "fold1", run / "fold0"]
    assert not torch.equal(weights[0], weights[2])
    folder = export(cases, longer, run, tmp_path / "models")
    image = np.random.default_rng(0).integers(0, 256, (70, 90), np.uint8)
    networks = [as_network(load_ema_network(run / f"final{number}"), torch.device("cpu")) for number in range(3)]
    np.testing.assert_allclose(Segmenter(folder).probability(image)[0], infer(image, networks)[0], atol=2e-3)


def test_networks_keep_their_architecture_in_the_last_pass(run, others, cases, config):
    longer = replace(config, refit_images=4, ensemble=("other",))
    refit.refit(cases, longer, run, torch.device("cpu"))
    networks = [load_ema_network(folder) for folder in refit.refit_folders(longer, run)]
    assert [network.in_channels for network in networks] == [1, 3, 3]
    assert not torch.equal(networks[1].tumour.weight, load_ema_network(others[0]).tumour.weight)


def test_without_a_last_pass_nothing_is_trained(run, cases, config):
    refit.refit(cases, config, run, torch.device("cpu"))
    assert not list(run.glob("final*"))
