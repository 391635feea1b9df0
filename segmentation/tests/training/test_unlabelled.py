from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("torch", reason="PyTorch is not installed: uv sync --extra train")

from mipseg.errors import DatasetError
from mipseg.phantom import make_phantom
from mipseg.training.unlabelled import load_unlabelled


def write(folder: Path, **images: np.ndarray) -> None:
    for name, image in images.items():
        Image.fromarray(image).save(folder / f"{name}.png")


def test_bodies_are_upright_and_people_come_once(tmp_path: Path) -> None:
    one, two, three = (make_phantom(seed).mip for seed in (0, 1, 2))
    write(tmp_path, a=one[::-1], b=one, c=np.fliplr(two), d=two, e=np.rot90(three, 2), f=two)
    cases = load_unlabelled(tmp_path)
    assert [case.id for case in cases] == ["unlabelled_a", "unlabelled_c", "unlabelled_e"]
    np.testing.assert_array_equal(cases[0].image, np.fliplr(one))  # turned by half a circle
    np.testing.assert_array_equal(cases[1].image, np.fliplr(two))
    np.testing.assert_array_equal(cases[2].image, three)
    assert not any(case.mask.any() or case.has_tumour for case in cases)


def test_noisy_and_empty_images_are_left_out(tmp_path: Path) -> None:
    image, random = make_phantom(0).mip, np.random.default_rng(0)
    noisy = np.where(random.random(image.shape) < 0.05, 0, image).astype(np.uint8)
    write(tmp_path, a=noisy, b=np.full_like(image, 255))
    with pytest.raises(DatasetError, match="shows a body"):
        load_unlabelled(tmp_path)
    write(tmp_path, c=image)
    assert [case.id for case in load_unlabelled(tmp_path)] == ["unlabelled_c"]
    assert load_unlabelled(None) == []
