"""Frame players in a browser: mouse, keyboard, names, and a page without scripts."""

from __future__ import annotations

import io

import pytest
from PIL import Image
from test_browser import built_pages

FILM = ".player:has(button)"


def shade(player):
    """Return the grey of the frame that is shown."""
    with Image.open(io.BytesIO(player.locator("img").screenshot())) as shot:
        return shot.convert("L").getpixel((20, 20))


@pytest.fixture
def beta(good_book):
    return good_book.html / "beta.html"


@pytest.mark.parametrize("width", [1280, 390])
def test_slider_moves_the_picture(beta, open_page, width):
    with open_page(beta, width) as seen:
        player = seen.page.locator(FILM)
        slider = player.get_by_role("slider", name="epoch")
        assert shade(player) == 190
        slider.press("Home")
        for _ in range(7):
            slider.press("ArrowRight")
        assert slider.get_attribute("aria-valuetext") == "8 of 20"
        assert shade(player) == 70
        assert player.locator("img").get_attribute("alt") == (
            "Greys & light. epoch 8 of 20."
        )
        slider.click()  # in its middle
        value = int(slider.input_value())
        assert value in (9, 10)
        assert shade(player) == 10 * value
        slider.focus()
        style = slider.evaluate("e => getComputedStyle(e).outline")
        assert "solid 3px" in style


def test_a_page_answers_to_its_sliders(beta, open_page):
    with open_page(beta, 390) as seen:
        answers = seen.page.locator(".player:not(:has(button))")
        height = answers.get_by_role("slider", name="height")
        level = answers.get_by_role("slider", name="level <i>")
        alt = answers.locator("img")

        def shown():
            texts = [s.get_attribute("aria-valuetext") for s in (height, level)]
            assert texts == answers.locator("output").all_text_contents()
            named = f"A shade. height {texts[0]}, level <i> {texts[1]}."
            assert alt.get_attribute("alt") == named
            return shade(answers)

        assert shown() == 40 * 3  # where the choices start
        level.press("End")
        assert shown() == 40 * 5
        height.press("ArrowLeft")
        assert shown() == 40 * 2
        level.click()  # in its middle
        assert shown() == 40 * 1
    with open_page(beta, scripts=False) as seen:
        answers = seen.page.locator(".player:not(:has(button))")
        assert shade(answers) == 40 * 3
        assert answers.get_by_role("slider").count() == 0


@pytest.mark.parametrize("key", ["Enter", None])
def test_play_goes_from_the_first_frame_to_the_last_and_can_pause(beta, open_page, key):
    with open_page(beta) as seen:
        player = seen.page.locator(FILM)
        button = player.get_by_role("button", name="play or pause")
        slider = player.get_by_role("slider")

        def press():
            button.press(key) if key else button.click()

        def wait(condition):
            box = f"document.querySelector('{FILM} input')"
            seen.page.wait_for_function(f"Number({box}.value) {condition}")

        assert slider.input_value() == "19"  # nothing plays by itself
        press()
        wait("< 19")
        wait(">= 4")
        press()
        value = slider.input_value()
        seen.page.wait_for_timeout(200)  # of 50 a frame
        assert slider.input_value() == value
        press()
        wait("== 19")
        seen.page.wait_for_timeout(200)
        assert slider.input_value() == "19"


def test_last_frame_shows_without_scripts_and_controls_that_do_nothing_do_not(
    beta, open_page
):
    with open_page(beta, scripts=False) as seen:
        player = seen.page.locator(FILM)
        image = player.locator("img")
        assert image.bounding_box()["width"] == pytest.approx(40, abs=1)
        assert image.get_attribute("alt") == "Greys & light."
        assert shade(player) == 190
        assert not player.locator("button").is_visible()
        assert not player.locator("input").is_visible()


@pytest.mark.parametrize("path", built_pages(having='class="player"'))
def test_players_of_the_built_book(open_page, path):
    with open_page(path, scripts=False) as seen:
        assert all(
            image.is_visible() for image in seen.page.locator(".player img").all()
        )
    with open_page(path) as seen:
        for player in seen.page.locator(".player:has(button)").all():
            image, slider = player.locator("img"), player.get_by_role("slider")
            last = image.get_attribute("src")
            slider.press("Home")
            first = image.get_attribute("src")
            assert " 1 of " in image.get_attribute("alt")
            player.get_by_role("button", name="play or pause").press("Enter")
            # Any later frame: a busy machine may not catch the second one.
            player.locator('img:not([alt*=" 1 of "])').wait_for()
            assert image.get_attribute("src") != first != last
