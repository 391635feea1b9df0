"""Corrections on the page: by pointer and by keys, seen before they are made, undone, and saved."""

from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

B, C, EMPTY = (47, 52), (25, 80), (70, 90)  # x and y of two lesions and of air


def saved_mask(page: Any) -> npt.NDArray[np.bool_]:
    """What the button saves, also while a pointer is held, when nothing else can be clicked."""
    with page.expect_download() as download:
        page.evaluate("document.getElementById('save-mask').click()")
    grey = np.asarray(Image.open(download.value.path()).convert("L"))
    return np.asarray(grey == 255)


def choose(page: Any, tool: str) -> None:
    page.click(f"#tools button:text-is('{tool}')")


def picture(page: Any) -> str:
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    return str(page.eval_on_selector("#picture", "canvas => canvas.toDataURL()"))


def test_a_click_adds_a_lesion_and_undo_takes_it_back(shown: Any, place: Any, case: Any) -> None:
    own = case.mask == 255
    choose(shown, "Click")
    shown.mouse.click(*place(*C))
    added = saved_mask(shown)
    assert added[80, 25]
    assert (added[own]).all()
    assert shown.inner_text("#count") == "3"
    assert shown.inner_text("#point-words").startswith("Not the model's own")
    shown.click("#tools button[aria-label=Undo]")
    np.testing.assert_array_equal(saved_mask(shown), own)
    assert shown.is_disabled("#tools button[aria-label=Undo]")
    shown.click("#tools button[aria-label=Redo]")
    np.testing.assert_array_equal(saved_mask(shown), added)
    assert shown.is_disabled("#tools button[aria-label=Redo]")


def test_a_click_in_a_lesion_removes_from_it(shown: Any, place: Any, case: Any) -> None:
    choose(shown, "Click")
    shown.mouse.click(*place(*B))
    left = saved_mask(shown)
    assert not left[52, 47]
    np.testing.assert_array_equal(left[:40], case.mask[:40] == 255)


def test_what_a_click_does_is_seen_before(shown: Any, place: Any, case: Any) -> None:
    choose(shown, "Click")
    shown.mouse.move(*place(*EMPTY))
    far = picture(shown)
    shown.mouse.move(*place(*C))
    near = picture(shown)
    assert far != near
    x, y = place(*C)
    shown.mouse.down()
    assert picture(shown) == near
    shown.mouse.move(x + 240, y)  # larger
    assert picture(shown) != near
    np.testing.assert_array_equal(saved_mask(shown), case.mask == 255)
    shown.mouse.up()
    larger = saved_mask(shown)
    shown.keyboard.press("z")
    shown.mouse.click(x, y)
    assert larger.sum() > saved_mask(shown).sum()


def test_brush_and_eraser(shown: Any, place: Any, case: Any) -> None:
    y, x = np.mgrid[:100, :80]
    wanted = case.mask == 255
    choose(shown, "Brush")
    shown.mouse.move(*place(10, 60))
    shown.mouse.down()
    shown.mouse.move(*place(20, 60), steps=3)
    shown.mouse.up()
    wanted |= np.hypot(x - np.clip(x, 10, 20), y - 60) <= 4.7
    np.testing.assert_array_equal(saved_mask(shown), wanted)
    choose(shown, "Eraser")
    shown.keyboard.press(",")
    shown.mouse.click(*place(35, 15))
    wanted &= np.hypot(x - 35, y - 15) > 2.5
    np.testing.assert_array_equal(saved_mask(shown), wanted)
    shown.keyboard.press("Control+z")
    shown.keyboard.press("Control+z")
    np.testing.assert_array_equal(saved_mask(shown), case.mask == 255)
    shown.keyboard.press("Control+Shift+z")
    assert saved_mask(shown).sum() > (case.mask == 255).sum()


def test_keys_do_it_all(shown: Any, case: Any) -> None:
    shown.keyboard.press("e")
    for key in ("ArrowUp", "ArrowUp", "ArrowUp", "ArrowLeft"):  # from the middle, (40, 50), to (30, 20)
        shown.keyboard.press(key)
    for key in ("Shift+ArrowUp", "Shift+ArrowRight"):
        shown.keyboard.press(key)
    shown.keyboard.press("Enter")
    y, x = np.mgrid[:100, :80]
    wanted = (case.mask == 255) & (np.hypot(x - 31, y - 19) > 4.7)
    np.testing.assert_array_equal(saved_mask(shown), wanted)
    shown.focus("#picture")
    shown.keyboard.press("z")
    shown.keyboard.press("v")
    shown.keyboard.press("n")  # the cross begins at the chosen lesion, A
    shown.keyboard.press("c")
    shown.keyboard.press("Shift+ArrowDown")
    shown.keyboard.press("Enter")
    assert not saved_mask(shown)[16, 35]


def test_the_slider_starts_anew_and_undo_brings_corrections_back(shown: Any, place: Any, case: Any) -> None:
    choose(shown, "Click")
    shown.mouse.click(*place(*C))
    corrected = saved_mask(shown)
    for threshold in (60, 70, 77):
        shown.eval_on_selector(
            "#threshold",
            "(slider, value) => { slider.value = 256 - value; slider.dispatchEvent(new Event('input')) }",
            threshold,
        )
    np.testing.assert_array_equal(saved_mask(shown), case.probability >= 77)
    shown.click("#tools button[aria-label=Undo]")
    np.testing.assert_array_equal(saved_mask(shown), corrected)


def test_another_image_begins_without_tool_and_history(shown: Any, place: Any, file: str, case: Any) -> None:
    choose(shown, "Click")
    shown.mouse.click(*place(*C))
    shown.set_input_files("#file", file)
    shown.wait_for_selector("[data-phase=shown]")
    assert shown.is_disabled("#tools button[aria-label=Undo]")
    assert shown.get_attribute("#tools button:text-is('Look')", "aria-pressed") == "true"
    np.testing.assert_array_equal(saved_mask(shown), case.mask == 255)


def test_a_chosen_tool_says_what_it_does(shown: Any) -> None:
    assert not shown.is_visible("#tool-hint")
    assert not shown.is_visible("#tools button:text-is('Larger')")
    for tool, words, has_size in (
        ("Contrast", "Drag sideways for contrast, up and down for brightness.", False),
        ("Click", "Click a hot spot to mark it, or a marked one to remove it. Drag sideways for more or less.", True),
        ("Eraser", "Wipe what is not tumour.", True),
    ):
        shown.click(f"#tools button:text-is('{tool}')")
        assert shown.inner_text("#tool-hint") == words
        assert shown.is_visible("#tools button:text-is('Larger')") == has_size
    shown.click("#picture")
    assert not shown.is_visible("#tool-hint")  # it is in the way no more
