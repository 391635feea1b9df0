import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed: uv sync --extra train")

from mipseg.model.inference import infer  # noqa: E402
from mipseg.training.checkpoint import load_ema_network  # noqa: E402
from mipseg.training.config import BOTH  # noqa: E402
from mipseg.training.network import SegmentationNetwork  # noqa: E402
from mipseg.training.predict import as_networks, predict_cases  # noqa: E402
from mipseg.training.runs import Run  # noqa: E402
from mipseg.training.split import Split  # noqa: E402
from mipseg.types import Intensity  # noqa: E402

CPU = torch.device("cpu")


@pytest.fixture
def network(trained_run: Run, split: Split) -> SegmentationNetwork:
    loaded = load_ema_network(trained_run.network_folder(0), trained_run.identity(split, 0))
    with torch.no_grad():
        loaded.tumour.weight *= 50  # after four steps all probabilities are nearly the same
    return loaded


@pytest.fixture
def intensity(split: Split) -> Intensity:
    return np.pad(split.cases[0].intensity, ((0, 11), (0, 0)))


def test_both_views_ignore_mirroring(network: SegmentationNetwork, intensity: Intensity) -> None:
    networks = as_networks(network, BOTH, CPU)
    probability, logit = infer(intensity, networks)
    mirrored, mirrored_logit = infer(intensity[:, ::-1], networks)
    assert probability.shape == intensity.shape
    assert probability.dtype == np.float32
    assert probability.std() > 1e-4
    np.testing.assert_allclose(probability, mirrored[:, ::-1], atol=1e-5)
    assert logit == pytest.approx(mirrored_logit, abs=1e-4)


def test_cases_are_predicted_with_the_views_that_ship(network: SegmentationNetwork, split: Split) -> None:
    case, maps = split.cases[0], {}
    for views in (BOTH[:1], BOTH[1:], BOTH):
        answer, logit = predict_cases(network, views, [case], CPU)[case.id]
        expected, expected_logit = infer(case.intensity, as_networks(network, views, CPU))
        np.testing.assert_allclose(answer, expected, atol=1e-3)
        assert logit == pytest.approx(expected_logit, abs=1e-4)
        maps[views] = expected
    assert not np.allclose(maps[BOTH[:1]], maps[BOTH[1:]], atol=1e-4)
    np.testing.assert_allclose(maps[BOTH], (maps[BOTH[:1]] + maps[BOTH[1:]]) / 2, atol=1e-6)
