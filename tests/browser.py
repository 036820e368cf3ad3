"""A headless Chromium, for tests of what people look at."""

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.remote.webelement import WebElement

Result = TypeVar("Result")

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
CHROMEDRIVER = shutil.which("chromedriver")
OPTIONS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # A page that asks anybody but this machine shows an error.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)
DESKTOP = (1280, 900)
PHONE = (390, 844)


class Browser:
    """A Chromium with one window.

    Args:
        driver: What moves it; for all that has no method here.
    """

    def __init__(self, driver: webdriver.Chrome) -> None:
        self.driver = driver
        self.width = DESKTOP[0]

    def open(self, url: str, size: tuple[int, int] = DESKTOP, *, dark: bool = False) -> None:
        """Open a page of this machine (``file://`` too), in a window of so many CSS pixels; a phone's is narrow."""
        width, height = size
        self.width = width
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 700}
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
        self.driver.get_log("browser")  # type: ignore[no-untyped-call]
        self.driver.get(url)

    def run(self, script: str, *arguments: object) -> Any:
        """What a script returns in the page."""
        return self.driver.execute_script(script, *arguments)

    def find(self, selector: str) -> list[WebElement]:
        """Every element that a CSS selector names."""
        return self.driver.find_elements("css selector", selector)

    def read(self, selector: str) -> list[str]:
        """The visible text of every element that a CSS selector names."""
        found: list[str] = self.run(
            "return [...document.querySelectorAll(arguments[0])].map(element => element.innerText.trim())", selector
        )
        return found

    def wait(self, look: Callable[[], Result], timeout: float = 20) -> Result:
        """Look again and again until what is seen is true."""
        deadline = time.monotonic() + timeout
        while not (seen := look()):
            assert time.monotonic() < deadline, f"Never came true; last seen: {seen!r}; console: {self.errors()}"
            time.sleep(0.05)
        return seen

    def measure_work(self, *kinds: str) -> float:
        """Milliseconds of processor time that the page's thread has worked since it was opened.

        Whatever else keeps the machine busy has no part in it. The first call begins to measure.

        Args:
            kinds: Of work, as Chromium names them: ScriptDuration, LayoutDuration and so on; all by default.
        """
        self.driver.execute_cdp_cmd("Performance.enable", {"timeDomain": "threadTicks"})
        metrics = self.driver.execute_cdp_cmd("Performance.getMetrics", {})["metrics"]
        return 1000 * sum(float(one["value"]) for one in metrics if one["name"] in (kinds or ("TaskDuration",)))

    def errors(self) -> list[str]:
        """What the console said since it was last asked, warnings and errors alone."""
        log: list[dict[str, Any]] = self.driver.get_log("browser")  # type: ignore[no-untyped-call]
        return [entry["message"] for entry in log if entry["level"] in ("WARNING", "SEVERE")]

    def overflow(self) -> int:
        """How many CSS pixels the page is wider than its window: above 0 it scrolls sideways."""
        width: int = self.run("return document.documentElement.scrollWidth")
        return width - self.width

    def screenshot(self, path: Path) -> None:
        """Write what the window shows as a PNG."""
        assert self.driver.save_screenshot(str(path))


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """The session's Chromium."""
    if CHROMIUM is None or CHROMEDRIVER is None:
        pytest.skip("There is no Chromium with its chromedriver here (Debian: apt install chromium chromium-driver).")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for option in (*OPTIONS, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(CHROMEDRIVER))
    driver.set_page_load_timeout(60)
    driver.set_script_timeout(60)
    try:
        yield Browser(driver)
    finally:
        driver.quit()


@pytest.fixture
def browser(chromium: Browser) -> Iterator[Browser]:
    """A Chromium that remembers nothing of earlier tests."""
    driver = chromium.driver
    earlier = driver.current_window_handle
    driver.switch_to.new_window("tab")
    fresh = driver.current_window_handle
    driver.switch_to.window(earlier)
    driver.close()
    driver.switch_to.window(fresh)
    driver.execute_cdp_cmd("Network.clearBrowserCookies", {})
    driver.execute_cdp_cmd("Storage.clearDataForOrigin", {"origin": "*", "storageTypes": "all"})
    driver.get_log("browser")  # type: ignore[no-untyped-call]
    yield chromium
    driver.get("about:blank")
