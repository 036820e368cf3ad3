"""The report in a real browser: every figure drawn, nothing in the console, no network, on a phone and on paper too."""

import base64
import re
from pathlib import Path

import pytest
from selenium.webdriver.common.by import By

from multistage.domain.space.parameters import CategoricalParameter, FloatParameter
from multistage.report.data import ReportData
from multistage.report.page import build_report
from tests.browser import DESKTOP, PHONE, Browser
from tests.report.sweeps import LR, NOISE, make_data, make_run, make_whole
from tests.report.test_report_page import BAD

ACT = CategoricalParameter(name="act", choices=(BAD, "relu"))
SOFTWARE = ("software WebGL", "GL Driver Message")
"""What Chromium says of a machine without a graphics card, whatever the page."""


def write(data: ReportData, folder: Path) -> str:
    path = folder / "report.html"
    path.write_text(build_report(data), encoding="utf-8")
    return path.as_uri()


def see_all(browser: Browser) -> int:
    """Scroll through the page until every figure is drawn; returns their number."""
    places = browser.find(".plot")
    for place in places:
        browser.run("arguments[0].scrollIntoView({behavior: 'instant', block: 'center'})", place)
        browser.wait(lambda place=place: place.find_elements(By.CSS_SELECTOR, ".main-svg"))  # type: ignore[misc]
    return len(places)


def check(browser: Browser) -> None:
    assert browser.overflow() <= 0, "the page scrolls sideways"
    assert [line for line in browser.errors() if not any(words in line for words in SOFTWARE)] == []
    loaded = browser.run("return performance.getEntriesByType('resource').map(entry => entry.name)")
    assert [name for name in loaded if not name.startswith(("data:", "blob:"))] == []


@pytest.mark.parametrize("size", [DESKTOP, pytest.param(PHONE, marks=pytest.mark.slow)])
def test_every_figure_is_drawn_and_nothing_is_asked_of_anybody(
    browser: Browser, tmp_path: Path, size: tuple[int, int]
) -> None:
    browser.open(write(make_whole(), tmp_path), size)
    assert see_all(browser) == 12
    assert len(browser.find("#history-plot .points path")) >= 60
    assert len(browser.find("#timeline-plot .bars path")) >= 50
    assert browser.find("#configs-plot canvas")
    check(browser)


def test_colours_follow_the_scheme_points_tell_their_run_and_commands_are_copied(
    browser: Browser, tmp_path: Path
) -> None:
    url = write(make_whole(), tmp_path)
    seen = []
    for dark in (False, True):
        browser.open(url, dark=dark)
        browser.wait(lambda: browser.find("#history-plot .legendtext"))
        fill = browser.run("return getComputedStyle(document.querySelector('#history-plot .legendtext')).fill")
        ink = browser.run("return getComputedStyle(document.body).color")
        assert fill == ink
        seen.append(ink)
    assert seen[0] != seen[1]
    text = browser.run("return document.getElementById('history-plot').data[0].text[0]")
    assert "s1-0000" in text
    assert "lr: " in text
    browser.find("#best button")[0].click()
    browser.wait(lambda: browser.read("#best button")[0] == "Copied")
    assert browser.run("return getSelection().toString()").startswith("multistage-sweep train")


@pytest.mark.slow
def test_paper_has_two_pages_in_the_light_scheme(browser: Browser, tmp_path: Path) -> None:
    browser.open(write(make_whole(), tmp_path), dark=True)
    pdf = browser.driver.execute_cdp_cmd("Page.printToPDF", {"printBackground": True})["data"]
    assert len(re.findall(rb"/Type /Page\b", base64.b64decode(pdf))) == 2
    assert len(browser.find(".plot .main-svg")) >= 12
    wide = browser.run(
        "return Math.max(...[...document.querySelectorAll('.plot')].map(p => p.scrollWidth - p.clientWidth))"
    )
    assert wide <= 0
    check(browser)


@pytest.mark.slow
@pytest.mark.parametrize("count", [0, 1])
def test_next_to_no_runs_on_a_phone(browser: Browser, tmp_path: Path, count: int) -> None:
    runs = [make_run(index, {"lr": 0.1, "noise": 0.5}, 1.0) for index in range(count)]
    browser.open(write(make_data((LR, NOISE), runs), tmp_path), PHONE)
    assert see_all(browser) >= 2
    check(browser)


@pytest.mark.slow
def test_hostile_text_and_choices_alone(browser: Browser, tmp_path: Path) -> None:
    runs = [make_run(index, {"act": BAD if index % 2 else "relu"}, float(index), worker=BAD) for index in range(9)]
    runs += [make_run(index, {"act": "relu"}, None, "failed", BAD) for index in (9, 10)]
    browser.open(write(make_data((ACT,), runs, metric=BAD, name=BAD * 3), tmp_path), PHONE)
    see_all(browser)
    check(browser)
    assert browser.find("img") == []


@pytest.mark.slow
def test_twenty_parameters_on_a_phone(browser: Browser, tmp_path: Path) -> None:
    many = tuple(FloatParameter(name=f"parameter_{number}", low=0, high=1) for number in range(20))
    browser.open(write(make_whole(many), tmp_path), PHONE)
    assert see_all(browser) == 48
    check(browser)
