from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed: uv sync --extra train")

from mipseg.errors import ModelError  # noqa: E402
from mipseg.training.predict import predict, predict_cases  # noqa: E402
from mipseg.training.train import Trainer, atlas_of, load_ema_network  # noqa: E402

CPU = torch.device("cpu")


def test_run_goes_through_all_stages_and_is_repeatable(cases, config, tmp_path):
    first, second = (Trainer(cases, config, tmp_path / name, CPU).run() for name in "ab")
    for a, b in zip(first.state_dict().values(), second.state_dict().values(), strict=True):
        assert torch.equal(a, b)
    state = torch.load(tmp_path / "a/checkpoint.pt", weights_only=True)
    assert state["step"] == config.steps == 4
    assert list((tmp_path / "a").glob("events.out.tfevents.*"))


def test_the_sampler_learns_what_each_image_cost(cases, config, tmp_path, monkeypatch):
    learned = []
    monkeypatch.setattr("mipseg.training.train.Sampler.learn", lambda _, costs: learned.append(costs))
    trainer = Trainer(cases, config, tmp_path, CPU)
    trainer.run()
    assert [len(costs) for costs in learned] == [2, 2, 2, 2]
    assert len({cost for costs in learned for cost in costs if 0 < cost <= 1}) == 8


def test_interrupted_run_resumes_where_it_stopped(cases, config, tmp_path, monkeypatch):
    monkeypatch.setattr("mipseg.training.train.CHECKPOINT_STEPS", 1)
    trainer, steps = Trainer(cases, config, tmp_path, CPU), 0
    original = trainer._train_step

    def interrupted(*arguments):
        nonlocal steps
        steps += 1
        if steps == 4:
            raise KeyboardInterrupt
        return original(*arguments)

    monkeypatch.setattr(trainer, "_train_step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        trainer.run()
    resumed = Trainer(cases, config, tmp_path, CPU)
    assert resumed._step == 3
    saved, began = torch.load(tmp_path / "checkpoint.pt", weights_only=True), np.random.default_rng(config.seed)
    for name, part in (("network", resumed.network), ("average", resumed.average)):
        for value, kept in zip(part.state_dict().values(), saved[name].values(), strict=True):
            assert torch.equal(value, kept), name
    moments = resumed._optimizer.state_dict()["state"]
    assert torch.equal(moments[0]["exp_avg"], saved["optimizer"]["state"][0]["exp_avg"])
    assert resumed._rng.random() != began.random()
    resumed.run()
    assert resumed._step == config.steps


def test_a_run_can_start_from_the_averaged_weights_of_another(cases, config, tmp_path):
    average = Trainer(cases, config, tmp_path / "first", CPU).run()
    second = Trainer(cases, replace(config, seed=4), tmp_path / "second", CPU, tmp_path / "first")
    assert second._step == 0
    for trained in (second.network, second.average):
        for a, b in zip(trained.state_dict().values(), average.state_dict().values(), strict=True):
            assert torch.equal(a, b)


def test_the_atlas_of_the_training_cases_is_kept_with_the_network(cases, config, tmp_path):
    config = replace(config, atlas=True, pixel_unshuffle=2, channels=(8, 8, 8, 8, 8, 8))
    Trainer(cases[:6], config, tmp_path / "first", CPU).run()
    expected = atlas_of(cases[:6])
    np.testing.assert_array_equal(load_ema_network(tmp_path / "first").healthy, expected)
    assert not np.array_equal(atlas_of(cases), expected)
    # Who goes on from it with other cases gets an atlas of those.
    second = Trainer(cases, config, tmp_path / "second", CPU, tmp_path / "first")
    np.testing.assert_array_equal(second.average.healthy, atlas_of(cases))


@pytest.mark.parametrize("change", [{"channels": (8, 8, 8, 8, 16)}, {"pixel_unshuffle": 2}, {"atlas": True}])
def test_another_network_is_refused_to_start_from_and_to_go_on_with(cases, config, tmp_path, change):
    Trainer(cases, config, tmp_path / "first", CPU).run()
    other = replace(config, **change)
    for folder, start in ((tmp_path / "second", tmp_path / "first"), (tmp_path / "first", None)):
        with pytest.raises(ModelError, match="first holds another network than the configuration's"):
            Trainer(cases, other, folder, CPU, start)


def test_a_checkpoint_of_an_older_version_is_refused(cases, config, tmp_path):
    Trainer(cases, config, tmp_path, CPU).run()
    state = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    del state["pixel_unshuffle"]
    torch.save(state, tmp_path / "checkpoint.pt")
    with pytest.raises(ModelError, match="trained by an older version"):
        load_ema_network(tmp_path)


def test_learning_rate_warms_up_and_ends_near_zero(cases, config, tmp_path):
    rates = []
    trainer = Trainer(cases, replace(config, warmup_steps=2), tmp_path, CPU)
    original = trainer._train_step
    trainer._train_step = lambda images, masks, rate: (rates.append(rate), original(images, masks, rate))[1]
    trainer.run()
    # Stage 1 costs 4 / 4 = 1 image, stage 2 costs 4: progress before the four steps is 0, 0.1, 0.2, 0.6.
    assert rates == pytest.approx([3e-3 * 0.5, 3e-3 * 0.9, 3e-3 * 0.8, 3e-3 * 0.4])


def test_predict_keeps_shape_and_ignores_mirroring(cases, config, tmp_path):
    network = Trainer(cases, config, tmp_path, CPU).run()
    image = np.pad(cases[0].image, ((0, 11), (0, 0)), constant_values=255)
    probability, logit = predict([network], image, CPU)
    mirrored, mirrored_logit = predict([network], image[:, ::-1], CPU)
    assert probability.shape == image.shape
    assert probability.dtype == np.float32
    np.testing.assert_allclose(probability, mirrored[:, ::-1], atol=1e-5)
    assert logit == pytest.approx(mirrored_logit, abs=1e-4)


def test_predict_averages_networks(cases, config, tmp_path):
    one, other = (Trainer(cases, replace(config, seed=seed), tmp_path / str(seed), CPU).run() for seed in (1, 2))
    both, logit = predict([one, other], cases[0].image, CPU)
    each = [predict([network], cases[0].image, CPU) for network in (one, other)]
    np.testing.assert_allclose(both, (each[0][0] + each[1][0]) / 2, atol=1e-5)
    assert logit == pytest.approx((each[0][1] + each[1][1]) / 2, abs=1e-4)


def test_predict_cases_keeps_what_predict_says(cases, config, tmp_path):
    network = Trainer(cases, config, tmp_path, CPU).run()
    predict_cases(network, cases[:2], tmp_path / "probabilities.npz", CPU)
    with np.load(tmp_path / "probabilities.npz") as answers:
        assert set(answers) == {f"{c.id}{end}" for c in cases[:2] for end in ("", "/patient")}
        np.testing.assert_allclose(answers[cases[0].id], predict([network], cases[0].image, CPU)[0], atol=1e-3)
