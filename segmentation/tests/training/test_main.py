import sys
from types import SimpleNamespace

import pytest

pytest.importorskip("torch", reason="PyTorch is not installed: uv sync --extra train")
pytest.importorskip("onnx", reason="onnx is not installed: uv sync --extra train")

from mipseg.errors import DatasetError
from mipseg.training import __main__ as module


@pytest.fixture
def call(monkeypatch, tmp_path, cases):
    """Run the command line with everything replaced that works; returns what was called."""
    monkeypatch.setattr(module, "project_root", lambda: tmp_path)
    monkeypatch.setattr(module, "load_dataset", lambda _: cases)
    called = []

    def note(name, answer=None):
        monkeypatch.setattr(
            module, name, lambda _, config, *others: (called.append((name, config.name, *others)), answer)[1]
        )

    for name in ("_train_fold", "evaluate", "refit", "export"):
        note(name)
    note("measure_robustness", "| table |\n")
    note("draw_failure_cases", "1. list\n")

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["training", *arguments])
        module.main()
        return called

    return run


def test_run_does_everything_in_order(call, tmp_path):
    runs = tmp_path / "runs"
    folds = [("_train_fold", name, fold, runs) for name in ("unet_v6", "unet_v8") for fold in range(5)]
    *before, (name, config, folder, _), export = call("run")
    assert before == [*folds, ("evaluate", "unet_v8", runs / "unet_v8")]
    assert (name, config, folder) == ("refit", "unet_v8", runs / "unet_v8")
    assert export == ("export", "unet_v8", runs / "unet_v8")


def test_final_pass_alone(call, tmp_path):
    ((name, config, folder, _),) = call("final")
    assert (name, config, folder) == ("refit", "unet_v8", tmp_path / "runs/unet_v8")


def test_one_fold(call, tmp_path):
    assert call("fold", "--fold", "3") == [("_train_fold", "unet_v8", 3, tmp_path / "runs")]


def test_a_fold_is_trained_after_the_same_fold_of_the_run_that_it_starts_from(monkeypatch, tmp_path, cases):
    started = []

    def trainer(_, config, folder, device, start):
        started.append((config.name, folder, start))
        return SimpleNamespace(run=lambda: None)

    def predict_cases(network, left_out, file, device):
        file.parent.mkdir(parents=True)
        file.touch()

    monkeypatch.setattr(module, "Trainer", trainer)
    monkeypatch.setattr(module, "predict_cases", predict_cases)
    monkeypatch.setattr(module, "read_folds", lambda _: {case.id: 0 for case in cases})
    config = module.load_config(module.CONFIGS / "unet_v3.toml")
    first, second, third = (tmp_path / f"unet_v{number}/fold2" for number in (1, 2, 3))
    for _ in range(2):  # what is finished is not trained again
        module._train_fold(cases, config, 2, tmp_path)
        assert started == [("unet_v1", first, None), ("unet_v2", second, first), ("unet_v3", third, second)]


@pytest.mark.parametrize("arguments", [["fold"], ["evaluate", "--fold", "1"], ["train"]])
def test_wrong_use(call, arguments):
    with pytest.raises(SystemExit) as failed:
        call(*arguments)
    assert failed.value.code == 2


def test_worst_prints_its_list(call, capsys, tmp_path):
    assert call("worst", "--count", "4") == [("draw_failure_cases", "unet_v8", tmp_path / "runs/unet_v8", 4)]
    assert capsys.readouterr().out == "1. list\n"


def test_shifts_prints_its_table(call, capsys, tmp_path):
    ((name, config, folder, _),) = call("shifts")
    assert (name, config, folder) == ("measure_robustness", "unet_v8", tmp_path / "runs/unet_v8")
    assert capsys.readouterr().out == "| table |\n"


def test_a_configuration_that_is_missing_is_one_line(call, capsys, tmp_path):
    with pytest.raises(SystemExit) as failed:
        call("evaluate", str(tmp_path / "no.toml"))
    assert failed.value.code == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1


def test_error_is_one_line(call, capsys, monkeypatch):
    def fail(*_):
        raise DatasetError("fold 0 is missing")

    monkeypatch.setattr(module, "evaluate", fail)
    with pytest.raises(SystemExit) as failed:
        call("evaluate")
    assert failed.value.code == 1
    assert capsys.readouterr().err == "error: fold 0 is missing\n"
