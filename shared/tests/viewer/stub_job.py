"""A volume's job on the service, in the place of a real one."""

import base64
import io
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

Grey = npt.NDArray[np.uint8]
FRAME = (24, 30)  # rows and columns of 5 x 4 mm


class StubJob:
    """A volume's job on the service, as the test lets it stand.

    Frame i of its film is 200 - 5 i grey all over, and has a lesion in its rightmost three columns.

    Args:
        page: the viewer, which asks for it.
        body: an image's answer; its pictures are those of the projection.
        wait_for: the fixture.

    Attributes:
        answer: to who asks for it.
        record: its measurements.json.
        deleted: how often it was deleted.
        form: what was sent.
    """

    def __init__(self, page: Any, body: dict[str, Any], wait_for: Callable[[Callable[[], Any]], None]) -> None:
        self._page, self._wait_for = page, wait_for
        self.answer: dict[str, Any] = {"state": "queued", "progress": 0, "doing": "waiting for its turn"}
        self.deleted, self.form = 0, b""
        measures = {"mtv_ml": 12.34, "suv_max": 9.87, "suv_mean": 5.04, "suv_peak": None, "tlg_g": 62.2}
        places = {"mip_px": (14.5, 34.5), "centroid_mm": (0, 20, 0)}
        lesion = {"id": 1, **places, **measures, "reasons": {"suv_peak": "the lesion is too small"}}
        layout = {"angles": 36, "frames": 18, "columns": 6, "frame_px": FRAME, "pixel_mm": (5, 4)}
        self.record: dict[str, Any] = {
            "model": "unet_v8",
            "model_sha256": "0123456789abcdef",
            "has_tumour": 0.91,
            "warnings": [],
            "lesions": [lesion],
            "patient": {"total_mtv_ml": 12.34, "total_tlg_g": 62.2, "suv_max": 9.87},
            "rotation": {**layout, "colours": [(213, 94, 0), (0, 114, 178)]},
        }
        frames = np.ones(FRAME, np.uint8) * (200 - 5 * np.arange(18, dtype=np.uint8))[:, None, None]
        lesions = np.zeros((18, *FRAME), np.uint8)
        lesions[:, :, -3:] = 1
        fields = {"mip.png": "image", "mask.png": "mask", "probability.png": "probability"}
        self.files = {name: base64.b64decode(body[field]) for name, field in fields.items()}
        self.files |= {
            "rotation.png": _png(_sheet(frames)),
            "rotation_lesions.png": _png(_sheet(lesions), palette=True),
        }
        page.route("**/v1/segment", self._upload)
        page.route("**/v1/jobs/0a1b", self._job)
        page.route("**/v1/jobs/0a1b/result/*", self._result)

    def finish(self, *files: str) -> None:
        """Let it be done, and have made these files beside mask.nii.gz."""
        made = [{"name": name, "size": 19233} for name in {"mask.nii.gz", *files}]
        self.answer = {"state": "done", "files": made, "problem": None}

    def assert_deleted_once(self) -> None:
        """The page tells the service so, and waits for no answer."""
        self._wait_for(lambda: self.deleted)
        self._page.wait_for_timeout(100)  # a second time would follow the first
        assert self.deleted == 1

    def _upload(self, route: Any) -> None:
        self.form = route.request.post_data_buffer
        route.fulfill(status=202, json={"id": "0a1b", "state": "queued"})

    def _job(self, route: Any) -> None:
        if route.request.method == "DELETE":
            self.deleted += 1
            route.fulfill(status=204)
        else:
            route.fulfill(json=self.answer)

    def _result(self, route: Any) -> None:
        name = route.request.url.rsplit("/", 1)[1]
        if name == "measurements.json":
            route.fulfill(json=self.record)
        else:
            route.fulfill(body=self.files[name])


def _sheet(frames: Grey) -> Grey:
    """18 frames in one picture, 6 in a row."""
    return np.concatenate([np.concatenate(list(row), axis=1) for row in frames.reshape(3, 6, *frames.shape[1:])])


def _png(image: Grey, *, palette: bool = False) -> bytes:
    file, picture = io.BytesIO(), Image.fromarray(image)
    if palette:
        picture.putpalette([0] * 768)  # the numbers matter, not their colours
    picture.save(file, "PNG")
    return file.getvalue()
