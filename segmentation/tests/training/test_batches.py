from dataclasses import replace

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed: uv sync --extra train")

from mipseg.io.dataset import Case  # noqa: E402
from mipseg.training.augment import Sampler, make_sampler  # noqa: E402
from mipseg.training.batches import choose_workers, draw_batches  # noqa: E402
from mipseg.training.config import Config  # noqa: E402

CPU = torch.device("cpu")


@pytest.fixture
def sampler(cases: list[Case], config: Config) -> Sampler:
    """Draws controls only, in proportion to their costs."""
    plain = replace(config, patient_fraction=0.0, compose_controls=0.0, hard_mining_fraction=1.0)
    return replace(make_sampler(cases, None, 2, plain, torch.ones(8).share_memory_()), frame=(64, 64))


def test_a_batch_holds_its_images_one_after_the_other(sampler: Sampler) -> None:
    batches = draw_batches(sampler, 3, (5, 0), 0, CPU)
    first, second = next(batches), next(batches)
    assert first.image.shape == (3, 1, 64, 64)
    assert first.mask.shape == (3, 64, 64)
    assert first.case.shape == (3,)
    assert not torch.equal(first.image, second.image)
    again, other = (next(draw_batches(sampler, 3, seed, 0, CPU)) for seed in ((5, 0), (5, 1)))
    assert torch.equal(first.image, again.image)
    assert not torch.equal(first.image, other.image)


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # of Python 3.12; a worker uses no thread of ours
def test_workers_draw_streams_of_their_own_and_see_new_costs(sampler: Sampler) -> None:
    batches = draw_batches(sampler, 2, (5, 0), 2, CPU)
    first, second, alone = next(batches), next(batches), next(draw_batches(sampler, 2, (5, 0), 0, CPU))
    assert torch.equal(first.image, alone.image)  # worker 0 draws what a single process would
    assert not torch.equal(first.image, second.image)
    sampler.costs.copy_(torch.eye(8)[6])
    for _ in range(8):  # drawn before the costs changed
        next(batches)
    assert [next(batches).case.tolist() for _ in range(4)] == [[6, 6]] * 4


@pytest.mark.parametrize(
    ("device", "cores", "workers"),
    [("cpu", 1, 0), ("cpu", 2, 0), ("cpu", 16, 1), ("cuda", 1, 1), ("cuda", 8, 6), ("cuda", 64, 12)],
)
def test_a_gpu_gets_more_workers_than_a_cpu(device: str, cores: int, workers: int) -> None:
    assert choose_workers(torch.device(device), cores) == workers
