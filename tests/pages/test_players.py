"""Frame players in a browser: mouse, keyboard, names, and a page without scripts."""

from __future__ import annotations

import io

import pytest
from PIL import Image
from test_browser import built_pages


def picture(page):
    """Return the shade of the frame that is shown."""
    return page.evaluate(
        """async () => {
            const images = [...document.querySelectorAll(".widget-image")];
            const shown = images.filter((image) => image.offsetParent);
            if (shown.length !== 1) return `${shown.length} frames are shown`;
            const canvas = document.createElement("canvas");
            await shown[0].decode();
            canvas.width = canvas.height = 1;
            const pen = canvas.getContext("2d");
            pen.drawImage(shown[0], 0, 0);
            return pen.getImageData(0, 0, 1, 1).data[0];
        }"""
    )


@pytest.mark.parametrize("width", [1280, 390])
def test_slider_moves_the_picture(good_book, open_page, width):
    with open_page(good_book.html / "beta.html", width) as seen:
        page = seen.page
        assert picture(page) == 0
        readout = page.locator(".widget-readout")
        page.locator(".noUi-handle").focus()
        for _ in range(7):
            page.keyboard.press("ArrowRight")
        assert readout.inner_text() == "7"
        assert picture(page) == 70
        track = page.locator(".noUi-target").bounding_box()
        middle = (track["x"] + track["width"] / 2, track["y"] + track["height"] / 2)
        page.mouse.click(*middle)
        value = int(readout.inner_text())
        assert value in (9, 10)
        assert picture(page) == 10 * value


@pytest.mark.parametrize("key", ["Enter", "Space", None])
def test_play_plays(good_book, open_page, key):
    with open_page(good_book.html / "beta.html") as seen:
        page = seen.page
        button = page.get_by_role("button", name="play or pause")
        if key is None:
            button.click()
        else:
            button.press(key)
        page.wait_for_function(
            "Number(document.querySelector('.widget-readout').innerText) >= 5",
            timeout=10_000,
        )
        assert picture(page) >= 50


def test_controls_and_frames_have_names(good_book, open_page):
    with open_page(good_book.html / "beta.html") as seen:
        page = seen.page
        page.get_by_role("slider", name="epoch").focus()
        page.keyboard.press("ArrowRight")
        shown = page.locator(".widget-image >> visible=true")
        assert shown.get_attribute("alt") == "Greys & light. Frame 2 of 20."
        # The keyboard's place is marked.
        style = page.locator(".noUi-handle").evaluate(
            "e => getComputedStyle(e).outline"
        )
        assert "solid 3px" in style


def test_last_frame_shows_without_scripts(good_book, open_page):
    with open_page(good_book.html / "beta.html", scripts=False) as seen:
        still = seen.page.locator(".player-still")
        assert still.is_visible()
        assert still.bounding_box()["width"] == pytest.approx(40, abs=1)
        assert still.get_attribute("alt") == "Last frame: Greys & light."
        seen_pixels = Image.open(io.BytesIO(still.screenshot())).convert("L")
        assert seen_pixels.getpixel((20, 20)) == 190  # that of the last frame
    with open_page(good_book.html / "beta.html") as seen:
        assert seen.page.locator(".player-still").count() == 0


def test_output_widget_keeps_what_it_showed(good_book, open_page):
    with open_page(good_book.html / "beta.html") as seen:
        text = seen.page.locator(".jupyter-widgets-view").inner_text()
        assert "kept by an output widget" in text


@pytest.mark.parametrize("path", built_pages(having='class="player"'))
def test_players_of_the_built_book(open_page, path):
    with open_page(path, scripts=False) as seen:
        stills = seen.page.locator(".player-still")
        count = stills.count()
        assert all(still.is_visible() for still in stills.all())
    with open_page(path) as seen:
        players = seen.page.locator(".player").all()
        assert len(players) == count
        for player in players:
            slider = player.get_by_role("slider")
            first, second = (
                player.locator(f'img[alt*="Frame {number} of "] >> visible=true')
                for number in (1, 2)
            )
            first.wait_for()
            slider.press("ArrowRight")
            second.wait_for()
            assert first.count() == 0
            slider.press("Home")
            first.wait_for()
            play = player.get_by_role("button", name="play or pause")
            play.press("Enter")
            second.wait_for()
            play.click()
