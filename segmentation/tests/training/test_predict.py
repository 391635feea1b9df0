import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed: uv sync --extra train")

from mipseg.training.checkpoint import load_ema_network  # noqa: E402
from mipseg.training.network import SegmentationNetwork  # noqa: E402
from mipseg.training.predict import predict  # noqa: E402
from mipseg.training.runs import Run  # noqa: E402
from mipseg.training.split import Split  # noqa: E402
from mipseg.types import Intensity  # noqa: E402

CPU = torch.device("cpu")


@pytest.fixture
def networks(trained_run: Run, split: Split) -> list[SegmentationNetwork]:
    loaded = []
    for fold in range(2):
        network = load_ema_network(trained_run.network_folder(fold), trained_run.identity(split, fold))
        with torch.no_grad():
            network.tumour.weight *= 50  # after four steps all probabilities are nearly the same
        loaded.append(network)
    return loaded


@pytest.fixture
def intensity(split: Split) -> Intensity:
    return np.pad(split.cases[0].intensity, ((0, 11), (0, 0)))


def test_predict_keeps_shape_and_ignores_mirroring(networks: list[SegmentationNetwork], intensity: Intensity) -> None:
    probability, logit = predict(networks[:1], intensity, CPU)
    mirrored, mirrored_logit = predict(networks[:1], intensity[:, ::-1], CPU)
    assert probability.shape == intensity.shape
    assert probability.dtype == np.float32
    assert probability.std() > 1e-4
    np.testing.assert_allclose(probability, mirrored[:, ::-1], atol=1e-5)
    assert logit == pytest.approx(mirrored_logit, abs=1e-4)


def test_predict_averages_networks(networks: list[SegmentationNetwork], intensity: Intensity) -> None:
    both, logit = predict(networks, intensity, CPU)
    each = [predict([network], intensity, CPU) for network in networks]
    assert not np.allclose(each[0][0], each[1][0], atol=1e-4)
    np.testing.assert_allclose(both, (each[0][0] + each[1][0]) / 2, atol=1e-6)
    assert logit == pytest.approx((each[0][1] + each[1][1]) / 2, abs=1e-4)
