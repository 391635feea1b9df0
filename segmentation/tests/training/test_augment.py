import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from scipy import ndimage

torch = pytest.importorskip("torch", reason="PyTorch is not installed: uv sync --extra train")

from torch import Tensor  # noqa: E402

from mipseg.io.dataset import Case  # noqa: E402
from mipseg.metrics import NEIGHBOURS  # noqa: E402
from mipseg.training import augment as module  # noqa: E402
from mipseg.training.augment import FRAME, MAX_LESIONS, Batch, Sampler  # noqa: E402
from mipseg.training.config import Config  # noqa: E402
from mipseg.training.geometry import ELASTIC_GRID, Geometry, Random, draw_anywhere  # noqa: E402
from mipseg.training.stock import Stock, make_stock  # noqa: E402
from tests.training.draws import within_3_sigma  # noqa: E402

CPU = torch.device("cpu")
LESION, BODY = 0.9, 0.6  # intensities of the flat cases; a lesion that is copied at the lowest gain is still hotter


def sampler_of(stock: Stock, config: Config, seed: int = 0) -> Sampler:
    return Sampler(stock, config, Random(seed, CPU))


def draw(
    cases: Sequence[Case], config: Config, size: int, seed: int = 0, unlabelled: Sequence[Case] = (), share: float = 0
) -> Batch:
    return sampler_of(make_stock(cases, unlabelled, CPU), config, seed).draw(size, share)


def grey(intensity: float | npt.NDArray[np.floating]) -> npt.NDArray[np.uint8]:
    return np.asarray(np.rint(255 - 255 * np.asarray(intensity)), np.uint8)


def flat_case(name: str, intensity: float, side: int = 64) -> Case:
    """A body of even intensity that fills the image; a patient has two lesions of `LESION` in it."""
    mask = np.zeros((side, side), bool)
    if name.startswith("patient"):
        mask[10:20, 10:20] = mask[40:50, 30:40] = True
    return Case(name, grey(np.where(mask, LESION, intensity)), mask)


@pytest.fixture
def still(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bodies, and lesions that are copied beside, stay where they are; nothing is bent, and intensities stay.

    Frames are small, and so are lesions that lie anywhere.
    """

    def unmoved(_: Random, centre: Tensor, height: Tensor, rows: int) -> Geometry:
        size = len(centre)
        return Geometry(
            torch.eye(2).expand(size, 2, 2), torch.full((size, 2), rows / 2), torch.zeros(size, 2, *ELASTIC_GRID)
        )

    def unbent(*arguments: object) -> Geometry:
        geometry = draw_anywhere(*arguments)  # type: ignore[arg-type]
        return replace(geometry, elastic=torch.zeros_like(geometry.elastic))

    monkeypatch.setattr(module, "FRAME", (64, 64))
    monkeypatch.setattr(module, "EXTENTS", (2.0, 12.0))
    monkeypatch.setattr(module, "TEXTURE", 0.0)
    monkeypatch.setattr(module, "draw_body", unmoved)
    monkeypatch.setattr(module, "draw_anywhere", unbent)
    monkeypatch.setattr(module, "draw_beside", lambda _, body, __: body)
    monkeypatch.setattr(module, "change_intensity", lambda image, *_: image)


@pytest.fixture
def plain(config: Config) -> Config:
    """No lesions are added."""
    return replace(config, compose_patients=0.0, compose_controls=0.0, anywhere=0.0)


def test_images_keep_their_contract(cases: list[Case], unlabelled: list[Case], config: Config) -> None:
    image, target = draw(cases, config, 6, unlabelled=unlabelled, share=0.3)
    assert image.shape == target.shape == (6, 1, *FRAME)
    assert image.dtype == target.dtype == torch.float32
    assert 0 <= image.min() < 0.01
    assert 0.5 < image.max() <= 1
    assert np.unique(target.numpy()).tolist() == [0, 1]  # nobody has labelled the other patients yet
    assert target.flatten(1).any(1).any()


def test_the_same_seed_gives_the_same_batch(cases: list[Case], config: Config) -> None:
    first, second, other = (draw(cases, replace(config, anywhere=0.5), 3, seed) for seed in (5, 5, 6))
    assert torch.equal(first.image, second.image)
    assert torch.equal(first.target, second.target)
    assert not torch.equal(first.image, other.image)


def test_controls_stay_empty_without_composition(cases: list[Case], plain: Config) -> None:
    assert not draw(cases, replace(plain, patient_fraction=0.0), 8).target.any()
    assert draw(cases, replace(plain, patient_fraction=1.0), 8).target.flatten(1).any(1).all()


def test_without_controls_everyone_is_a_patient(cases: list[Case], plain: Config) -> None:
    assert draw(cases[:4], replace(plain, patient_fraction=0.0), 8).target.flatten(1).any(1).all()


def test_target_moves_with_the_image(plain: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    # An image that is its own mask: whatever the geometry does, both must stay equal.
    mask = np.zeros((448, 320), bool)
    mask[100:250, 90:220] = True
    monkeypatch.setattr(module, "change_intensity", lambda image, *_: image)
    batch = draw([Case("patient_000", grey(mask), mask)], plain, 12)
    assert torch.equal((batch.image > 0.5).float(), batch.target)
    areas = batch.target.sum((1, 2, 3))
    assert areas.min() < 0.8 * mask.sum() < 1.2 * mask.sum() < areas.max()
    for reference in batch.target[:, 0]:
        # The body's middle stays about in the frame's.
        assert reference.nonzero()[:, 1].float().mean() == pytest.approx(FRAME[1] / 2, abs=25)


def test_composition_is_the_pixelwise_maximum_of_body_and_lesions(plain: Config, still: None) -> None:
    donor, body = flat_case("patient_000", 0.7), flat_case("control_000", BODY)
    image, target = draw([donor, body], replace(plain, patient_fraction=0.0, compose_controls=1.0), 60)
    # Whole lesions are taken, sometimes one and sometimes both.
    assert {int(area) for area in target.sum((1, 2, 3))} == {100, 200}
    compared = 0
    for composed, kept in zip(image[:, 0].numpy(), target[:, 0].numpy() > 0.5, strict=True):
        assert not (kept & ~donor.mask).any()
        outline = np.minimum(2 * ndimage.uniform_filter(ndimage.uniform_filter(kept.astype(float), 3), 3), 1)
        middle = composed[ndimage.binary_erosion(kept, iterations=3)]
        assert BODY < middle.min() == middle.max() <= 1
        if middle[0] < 1:  # else its factor was cut off
            compared += 1
            assert math.exp(-0.3) - 0.01 < middle[0] / LESION < math.exp(0.3)
            expected = np.maximum(BODY, outline * np.where(donor.mask, middle[0], 0.7 / LESION * middle[0]))
            np.testing.assert_allclose(composed, expected, atol=0.01)
    assert compared > 20


def test_patients_and_controls_get_lesions_in_their_own_shares(plain: Config, still: None) -> None:
    cases = [flat_case("patient_000", 0.4), flat_case("control_000", 0.5)]
    some = replace(plain, patient_fraction=0.6, compose_controls=0.45)
    image, target = draw(cases, some, 500)
    controls = image[:, 0, 0, 0] > 0.45
    assert within_3_sigma(int(controls.sum()), 500, 0.4)
    changed = target[controls].flatten(1).any(1)
    assert within_3_sigma(int(changed.sum()), len(changed), 0.45)
    # Nothing was added to the patients: they are all the same.
    assert torch.equal(image[~controls], image[~controls][:1].expand(int((~controls).sum()), -1, -1, -1))


def test_a_patient_gets_lesions_of_any_patient(plain: Config, still: None) -> None:
    mask = np.zeros((64, 64), bool)
    mask[40:44, 4:8] = True
    cases = [flat_case("patient_000", 0.4), Case("patient_001", grey(np.where(mask, LESION, 0.2)), mask)]
    image, target = draw(cases, replace(plain, patient_fraction=1.0, compose_patients=0.6), 500)
    first = image[:, 0, 0, 0] > 0.3
    own = torch.where(first[:, None, None], torch.from_numpy(cases[0].mask), torch.from_numpy(mask))
    assert target[:, 0][own].all()
    changed = (target[:, 0] != own).flatten(1).any(1)
    assert within_3_sigma(int(changed.sum()), 500, 0.3)  # half of the donors are the patient itself


def test_the_kinds_are_drawn_in_their_shares(plain: Config, still: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FRAME", (16, 16))
    levels = {"patient_000": 0.4, "control_000": 0.2, "control_001": 0.6}
    cases = [flat_case(name, level, 16) for name, level in levels.items()]
    more = [flat_case("unlabelled_a", 0.8, 16), flat_case("unlabelled_b", 1.0, 16)]
    image, _ = draw(cases, replace(plain, patient_fraction=0.6), 2000, unlabelled=more, share=0.2)
    level = (image[:, 0, 0, 0] * 10).round()
    for value, share in ((4, 0.8 * 0.6), (2, 0.8 * 0.4 / 2), (6, 0.8 * 0.4 / 2), (8, 0.1), (10, 0.1)):
        assert within_3_sigma(int((level == value).sum()), 2000, share), value


def label_of(case: Case) -> npt.NDArray[np.uint8]:
    """A lesion of 30 pixels at the lower left."""
    label = np.zeros(case.image.shape, np.uint8)
    label[50:56, 5:10] = 255
    return label


def test_patients_without_labels_are_neither_drawn_nor_donors(plain: Config, still: None) -> None:
    cases, other = [flat_case("patient_000", 0.1), flat_case("control_000", 0.1)], flat_case("unlabelled_a", 1.0)
    composed = replace(plain, patient_fraction=0.0, compose_controls=1.0)
    stock = make_stock(cases, [other], CPU)
    image, target = sampler_of(stock, composed).draw(500, 0)
    assert image[:, 0, 0, 0].max() < 0.2
    assert target.flatten(1).any(1).all()  # whoever is a donor has lesions
    assert not target[:, 0, 50:].any()
    # Once they have labels, their lesions are taken as often as those of the one patient.
    stock.set_targets([2], [label_of(other)])
    image, target = sampler_of(stock, composed).draw(500, 0)
    assert image[:, 0, 0, 0].max() < 0.2
    assert within_3_sigma(int(target[:, 0, 50:].flatten(1).any(1).sum()), 500, 0.5)


def test_soft_targets_keep_their_value(plain: Config, still: None) -> None:
    other = flat_case("unlabelled_a", 0.5)
    stock = make_stock([flat_case("patient_000", 0.1)], [other], CPU)
    label = label_of(other)
    label[20:30, 20:30] = 51
    stock.set_targets([1], [label])
    image, target = sampler_of(stock, plain).draw(40, 0.5)
    soft = image[:, 0, 0, 0] > 0.3
    assert 10 < soft.sum() < 30
    expected = torch.from_numpy(label / np.float32(255))
    assert torch.allclose(target[soft], expected.expand(int(soft.sum()), 1, 64, 64), atol=1e-6)
    assert np.unique(target[~soft].numpy()).tolist() == [0, 1]


def test_no_more_than_the_most_lesions_are_copied(plain: Config, still: None) -> None:
    mask = np.zeros((64, 64), bool)
    mask[2::6, 2::6] = mask[3::6, 2::6] = mask[2::6, 3::6] = mask[3::6, 3::6] = True  # 121 squares
    donor = Case("patient_000", grey(mask * 1.0), mask)
    composed = replace(plain, patient_fraction=0.0, compose_controls=1.0)
    _, target = draw([donor, flat_case("control_000", 0.1)], composed, 300)
    counts = [ndimage.label(reference, NEIGHBOURS)[1] for reference in target[:, 0].numpy()]
    assert (min(counts), max(counts)) == (1, MAX_LESIONS)
    assert np.mean(counts) == pytest.approx((1 + MAX_LESIONS) / 2, abs=1)


TRUNK, LIMB = slice(24, 48), slice(0, 8)  # columns


def body_with_limb() -> npt.NDArray[np.float64]:
    """A trunk of 0.2, and a limb of 0.2 at the image's left edge that no lesion ever was in."""
    body = np.zeros((64, 64))
    body[:, TRUNK] = body[:, LIMB] = 0.2
    return body


def control(body: npt.NDArray[np.float64]) -> Case:
    return Case("control_000", grey(body), np.zeros(body.shape, bool))


def patient_with_one_lesion() -> Case:
    mask = np.zeros((64, 64), bool)
    mask[30:34, 34:38] = True
    return Case("patient_000", grey(np.where(mask, 0.9, body_with_limb())), mask)


def test_lesions_laid_anywhere_reach_limbs(plain: Config, still: None) -> None:
    cases = [patient_with_one_lesion(), control(body_with_limb())]
    composed = replace(plain, patient_fraction=0.0, compose_controls=1.0)
    _, beside = draw(cases, composed, 100)
    assert not beside[..., LIMB].any()
    _, target = draw(cases, replace(composed, anywhere=1.0), 400)
    marked = target[:, 0][target.flatten(1).any(1)]
    assert len(marked) > 380
    columns = (marked.sum(1) * (torch.arange(64) + 0.5)).sum(1) / marked.sum((1, 2))
    in_limb = int((columns < 9).sum())  # what is cut off at the edge moves the middle a little
    assert within_3_sigma(in_limb, len(marked), 0.25)  # 8 of the body's 32 columns
    rows = (marked.sum(2) * (torch.arange(64) + 0.5)).sum(1) / marked.sum((1, 2))
    assert rows.min() < 6
    assert rows.max() > 58
    areas = marked.sum((1, 2))
    assert areas.min() < 9
    assert 110 < areas.max() < 150  # 12 x 12, and what interpolation adds


def test_a_lesion_is_not_marked_where_the_body_is_hotter(plain: Config, still: None) -> None:
    body = body_with_limb()
    body[:, 34:38] = 1.0  # a hot stripe in the trunk's middle
    cases = [patient_with_one_lesion(), control(body)]
    composed = replace(plain, patient_fraction=0.0, compose_controls=1.0, anywhere=1.0)
    image, target = draw(cases, composed, 200)
    assert not target[..., 34:38].any()
    assert target[..., [33, 38]].any((0, 1, 2)).all()
    # What is marked is hotter than the body was there, by what one can see.
    before = torch.from_numpy(body).float().expand_as(image)
    assert module.MIN_CONTRAST - 0.01 < (image - before)[target > 0].min() < module.MIN_CONTRAST + 0.1
    assert (image >= before - 0.01).all()


def test_lesions_lie_more_often_beside_what_is_hot(plain: Config, still: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "EXTENTS", (2.0, 3.0))
    body = np.full((64, 64), 0.2)
    body[24:40, 24:40] = 1.0  # 4 of the 64 cells, with 12 around them
    composed = replace(plain, patient_fraction=0.0, compose_controls=1.0, anywhere=1.0)
    _, target = draw([patient_with_one_lesion(), control(body)], composed, 600)
    marked = target[:, 0][target.flatten(1).any(1)]  # those that lie in what is hot can't be seen
    middle = torch.stack([(marked.sum(3 - side) * (torch.arange(64) + 0.5)).sum(1) for side in (1, 2)], 1)
    beside = ((middle / marked.sum((1, 2))[:, None] - 32).abs() < 16).all(1)
    assert within_3_sigma(int(beside.sum()), len(marked), 12 * module.BESIDE / (12 * module.BESIDE + 48))


def test_only_the_share_anywhere_is_laid_anywhere(plain: Config, still: None) -> None:
    cases = [patient_with_one_lesion(), control(body_with_limb())]
    composed = replace(plain, patient_fraction=0.0, compose_controls=1.0, anywhere=0.25)
    _, target = draw(cases, composed, 1000)
    beside = (target[:, 0] == torch.from_numpy(cases[0].mask)).flatten(1).all(1)
    assert within_3_sigma(int(beside.sum()), 1000, 0.75)


def test_bodies_with_legs_have_a_share_of_their_own(
    plain: Config, still: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TALL", 20)
    tall = np.zeros((100, 64))
    tall[:, TRUNK] = 0.2
    donor = patient_with_one_lesion()
    composed = replace(plain, patient_fraction=0.0, compose_controls=1.0, anywhere=0.0, anywhere_tall=0.6)
    for body, share in ((tall, 0.4), (body_with_limb(), 1.0)):
        _, target = draw([donor, control(body)], composed, 500)
        beside = (target[:, 0] == torch.from_numpy(donor.mask)).flatten(1).all(1)
        assert beside.all() if share == 1 else within_3_sigma(int(beside.sum()), 500, share)


def wide_lesion_and_control() -> list[Case]:
    """A patient with one even lesion of 32 x 32, and a body that is nearly cold."""
    mask = np.zeros((64, 64), bool)
    mask[16:48, 16:48] = True
    return [Case("patient_000", grey(mask * 0.5), mask), control(np.full((64, 64), 0.02))]


def away_from_edges(target: Tensor) -> npt.NDArray[np.bool_]:
    """(B, H, W) the inside of (B, 1, H, W) lesions."""
    return np.asarray(ndimage.binary_erosion(target[:, 0].numpy() > 0.5, np.ones((1, 7, 7))))


def test_lesions_anywhere_get_a_texture_and_others_none(
    plain: Config, still: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    cases = wide_lesion_and_control()
    composed = replace(plain, patient_fraction=0.0, compose_controls=1.0)

    def unevenness(anywhere: float, texture: float) -> float:
        """Mean over images of the deviation within lesions, away from their edges, as a share of their mean."""
        monkeypatch.setattr(module, "TEXTURE", texture)
        monkeypatch.setattr(module, "EXTENTS", (24.0, 32.0))
        image, target = draw(cases, replace(composed, anywhere=anywhere), 60)
        inside = away_from_edges(target)
        values = [one[where] for one, where in zip(image[:, 0].numpy(), inside, strict=True) if where.sum() > 50]
        assert len(values) > 20
        return float(np.mean([value.std() / value.mean() for value in values]))

    assert unevenness(anywhere=0.0, texture=0.5) < 0.01
    assert unevenness(anywhere=1.0, texture=0.0) < 0.01
    assert 0.1 < unevenness(anywhere=1.0, texture=0.5) < 0.35


def test_the_cold_grains_of_a_texture_belong_to_the_lesion(
    plain: Config, still: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    cases = [patient_with_one_lesion(), control(body_with_limb())]
    composed = replace(plain, patient_fraction=0.0, compose_controls=1.0, anywhere=1.0)
    drawn = []
    for texture in (0.0, 1.0):
        monkeypatch.setattr(module, "TEXTURE", texture)
        drawn.append(draw(cases, composed, 100))
    (even, target), (uneven, same) = drawn
    assert torch.equal(target, same)
    assert ((uneven - even)[target > 0]).min() < -0.3
    assert torch.equal((uneven - even)[even == 0], torch.zeros_like(even[even == 0]))


def test_a_texture_has_grains_of_several_sizes(plain: Config, still: None, monkeypatch: pytest.MonkeyPatch) -> None:
    cases = wide_lesion_and_control()
    composed = replace(plain, patient_fraction=0.0, compose_controls=1.0, anywhere=1.0)
    monkeypatch.setattr(module, "EXTENTS", (24.0, 32.0))
    monkeypatch.setattr(module, "TEXTURE", 0.5)

    def likeness(grains: tuple[int, ...]) -> float:
        """Correlation of the log of the intensity of pixels within a lesion, 4 px apart."""
        monkeypatch.setattr(module, "GRAINS", grains)
        image, target = draw(cases, composed, 100)
        inside = torch.from_numpy(away_from_edges(target))
        log = (image[:, 0] + 1e-6).log() * inside
        log = (log - log.sum((1, 2), keepdim=True) / inside.sum((1, 2), keepdim=True).clamp(min=1)) * inside
        pairs = inside[..., 4:] & inside[..., :-4]
        return float((log[..., 4:] * log[..., :-4])[pairs].mean() / (log[inside] ** 2).mean())

    coarse, fine, mixed = (likeness(grains) for grains in ((8,), (2,), module.GRAINS))
    assert fine + 0.05 < mixed < coarse - 0.05


def test_lesions_of_one_tumour_stay_together_anywhere(
    plain: Config, still: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "EXTENTS", (1.5, 6.0))
    # Two spots 10 px apart may be one tumour in three dimensions; a third is 50 px away.
    mask = np.zeros((64, 64), bool)
    mask[5:8, 10:13] = mask[5:8, 20:23] = mask[55:58, 15:18] = True
    donor = Case("patient_000", grey(mask * 0.9), mask)
    composed = replace(plain, patient_fraction=0.0, compose_controls=1.0, anywhere=1.0)
    _, target = draw([donor, control(np.full((64, 64), 0.1))], composed, 100)
    counts = np.bincount([ndimage.label(reference, NEIGHBOURS)[1] for reference in target[:, 0].numpy()])
    assert len(counts) == 3  # never three
    assert counts[2] > 20


def test_added_lesions_lie_elsewhere_than_the_donor_has_them(plain: Config) -> None:
    mask = np.zeros((448, 320), bool)
    mask[100:120, 100:120] = mask[300, 200] = True  # the pixel keeps the body's middle off the lesion
    case = Case("patient_000", grey(mask), mask)
    _, target = draw([case], replace(plain, patient_fraction=1.0, compose_patients=1.0), 12)
    large = [np.bincount(ndimage.label(reference)[0].ravel())[1:] > 100 for reference in target[:, 0].numpy()]
    assert max(int(sizes.sum()) for sizes in large) == 2
