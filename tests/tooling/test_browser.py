"""The browser of the tests sees what it should see."""

from pathlib import Path

from tests.browser import PHONE, Browser

PAGE = """<!doctype html><html lang=en><meta name=viewport content="width=device-width">
<link rel=icon href="data:,"><title>t</title><body>
<p>seen</p><div style="width: {width}px">wide</div><script>{script}</script>"""


def test_it_sees_errors_and_what_is_too_wide(browser: Browser, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text(PAGE.format(width=600, script="missing()"))
    browser.open(page.as_uri(), PHONE)
    assert browser.read("p") == ["seen"]
    assert browser.overflow() > 0
    assert ["missing is not defined" in error for error in browser.errors()] == [True]
    page.write_text(PAGE.format(width=200, script="fetch('https://example.com/').catch(() => 0)"))
    browser.open(page.as_uri(), PHONE, dark=True)
    assert browser.overflow() <= 0
    assert browser.run("return matchMedia('(prefers-color-scheme: dark)').matches")
    assert browser.wait(browser.errors)


def test_it_begins_without_errors(browser: Browser, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text(PAGE.format(width=200, script="document.querySelector('p').innerText = 'changed'"))
    browser.open(page.as_uri())
    assert browser.read("p") == ["changed"]
    assert not browser.errors()
