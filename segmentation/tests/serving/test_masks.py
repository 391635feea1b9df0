"""The championship's check of a mask, as its organisers wrote it down: shape, values, three equal channels."""

import asyncio
from typing import Any

import httpx
import numpy as np
import pytest

from mipseg.model.segmenter import Segmenter, load_segmenter
from mipseg.pipeline import segment_image
from mipseg.serving.app import create_app
from mipseg.settings import Settings
from mipseg.types import Intensity, Probability
from tests.serving.answers import chunk_names
from tests.serving.images import b64, from_b64, save


def every_second_pixel(_: Segmenter, intensity: Intensity) -> tuple[Probability, float]:
    """A network that sees tumour in half of the pixels, and surely a patient."""
    probability = np.zeros(intensity.shape, np.float32)
    probability.reshape(-1)[::2] = 1
    return probability, 9.0


def sizes() -> list[tuple[int, int]]:
    """500 sizes: the smallest of all, strips, and random ones up to those of the data set."""
    small = [(height, width) for height in range(1, 16) for width in range(1, 16)]
    strips = [(1, side) for side in range(64, 2000, 64)] + [(side, 1) for side in range(64, 2000, 64)]
    random = np.random.default_rng(0).integers(16, 400, (500 - len(small) - len(strips), 2))
    return [*small, *strips, *((int(height), int(width)) for height, width in random)]


@pytest.mark.long
@pytest.mark.hazard("H10")
@pytest.mark.parametrize("path", ["/tumor/predict", "/tumor/analyze"])
def test_500_sizes_pass_the_organisers_check(monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    monkeypatch.setattr(Segmenter, "probability", every_second_pixel)
    segmenter = load_segmenter()
    app = create_app(lambda image: segment_image(image, segmenter), segmenter, Settings())
    rng = np.random.default_rng(1)

    async def answers() -> list[tuple[tuple[int, int], dict[str, Any]]]:
        found = []
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://t") as client:
            for shape in sizes():
                image = b64(save(rng.integers(0, 256, shape, np.uint8)))
                answer = await client.post(path, json={"img": image})
                assert answer.status_code == 200, (shape, answer.text)
                found.append((shape, answer.json()))
        return found

    found = asyncio.run(answers())
    assert len(found) == 500
    marked = 0
    for shape, content in found:
        mask = from_b64(content["img"])
        assert mask.shape == (*shape, 3)
        assert mask.dtype == np.uint8
        assert set(np.unique(mask)) <= {0, 255}
        assert (mask[:, :, 0] == mask[:, :, 1]).all()
        assert (mask[:, :, 0] == mask[:, :, 2]).all()
        assert chunk_names(content["img"]) == {"IHDR", "IDAT", "IEND"}
        marked += bool(mask.any())
    assert marked > 100  # else the check would see nothing but empty masks
