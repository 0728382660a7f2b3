"""The portal as people have it: the distribution's Chromium without a screen, which trusts the CA of the model and nothing else."""

from __future__ import annotations

import os
import re
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from selenium import webdriver
from selenium.common.exceptions import (
    NoSuchElementException,
    StaleElementReferenceException,
    WebDriverException,
)
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.wait import WebDriverWait

from openinfra_model import host

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from selenium.webdriver.remote.webelement import WebElement

PACKAGES = ("chromium", "chromium-driver", "libnss3-tools", "tesseract-ocr")
SCREENS = Path(__file__).parents[2] / "build/portal"
"""Where screenshots are kept."""
PAGE_SECONDS = 120
"""How long a page may take, of a cloud that shares two processors with the browser."""
BUILD_SECONDS = 300
CONSOLE_SECONDS = 120
KEY_SECONDS = 0.05
"""Between two keys: a guest without KVM is slow."""
Found = TypeVar("Found")
SEEN = (NoSuchElementException, StaleElementReferenceException)


def provide_programs() -> None:
    """Have the browser and what reads its pictures on this machine."""
    shown = subprocess.run(
        ["dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\n", *PACKAGES],
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    if missing := [name for name in PACKAGES if f"{name} installed\n" not in shown]:
        host.install_packages(missing)


@contextmanager
def browser(home: Path, ca_path: str) -> Iterator[webdriver.Chrome]:
    """A browser with a home of its own, which has one CA to trust."""
    trusted = home / ".pki/nssdb"
    trusted.mkdir(parents=True)
    for words in (
        ("-N", "--empty-password"),
        ("-A", "-t", "C,,", "-n", "openinfra", "-i", ca_path),
    ):
        subprocess.run(["certutil", "-d", f"sql:{trusted}", *words], check=True, capture_output=True)
    options = webdriver.ChromeOptions()
    for word in (
        "--headless=new",
        "--no-sandbox",  # as root it has none
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--window-size=1400,1000",
        "--force-device-scale-factor=2",  # letters of consoles are read better
        f"--user-data-dir={home / 'profile'}",
    ):
        options.add_argument(word)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = Service("/usr/bin/chromedriver", env={**os.environ, "HOME": str(home)})
    driver = webdriver.Chrome(options=options, service=service)
    driver.set_page_load_timeout(PAGE_SECONDS)
    try:
        yield driver
    finally:
        driver.quit()


class Portal:
    """One person before the portal. Each step leaves a screenshot."""

    def __init__(self, driver: webdriver.Chrome, url: str) -> None:
        self._driver = driver
        self.url = url
        SCREENS.mkdir(parents=True, exist_ok=True)

    def picture(self, name: str) -> Path:
        """Keep what is on the screen."""
        path = SCREENS / f"{name}.png"
        self._driver.save_screenshot(str(path))
        return path

    def complaints(self) -> list[str]:
        """Return what the browser has refused to load or to show since the last time: frames, scripts, styles."""
        told = [entry["message"] for entry in self._driver.get_log("browser")]
        return [line for line in told if "Content Security Policy" in line or "Mixed Content" in line]

    def go(self, path: str) -> None:
        """Go to a page."""
        self._driver.get(f"{self.url}{path}")

    def log_in(self, name: str, password: str) -> None:
        """Log in."""
        self.go("auth/login/")
        self.picture("1-log-in")
        self._find("#id_username").send_keys(name)
        field = self._find("#id_password")
        field.send_keys(password)
        field.send_keys(Keys.ENTER)
        self._wait(
            "nobody is logged in", PAGE_SECONDS, lambda: "/auth/login/" not in self._driver.current_url
        )

    @property
    def session(self) -> str:
        """The session's cookie."""
        cookie = self._driver.get_cookie("sessionid")
        assert cookie, "there is no session"
        return cookie["value"]

    def launch(self, name: str, *, image: str, flavor: str, network: str) -> None:
        """Launch an instance by the wizard."""
        self.go("project/instances/")
        self._find("[id$=action_launch-ng]").click()
        wizard = self._find("wizard .ng-wizard")
        self._find("wizard #name").send_keys(name)
        for step, form, choice in (
            ("Source", "launchInstanceSourceForm", image),
            ("Flavor", "launchInstanceFlavorForm", flavor),
            ("Networks", "launchInstanceNetworkForm", network),
        ):
            wizard.find_element(By.LINK_TEXT, step).click()
            self._choose(form, choice)
        self.picture("2-launch")
        self._find("wizard button.finish").click()
        self._wait("the wizard is still there", PAGE_SECONDS, lambda: not self._all("wizard .ng-wizard"))

    def wait_until_active(self, name: str) -> str:
        """Wait until the list shows an instance as active; return its id."""
        row = f"//tr[.//a[normalize-space()='{name}']]"

        def active() -> str:
            found = self._driver.find_elements(By.XPATH, row)
            text = found[0].text if found else ""
            assert "Error" not in text, f"{name} is in error: {text}"
            return (found[0].get_attribute("data-object-id") or "") if "Active" in text else ""

        self.go("project/instances/")
        server = self._wait(f"{name} is not active", BUILD_SECONDS, active)
        self.picture("3-active")
        return server

    def open_console(self, server: str) -> None:
        """Open an instance's console in the page, and wait until it shows a picture."""
        self.go(f"project/instances/{server}/?tab=instance_details__console")
        self._driver.switch_to.frame(self._find("iframe#console_embed", CONSOLE_SECONDS))
        self._find("canvas", CONSOLE_SECONDS)
        canvas = "return [...document.querySelectorAll('canvas')].some(one => one.width >= 320 && one.height >= 200)"
        self._wait("the console shows nothing", CONSOLE_SECONDS, lambda: self._driver.execute_script(canvas))

    def read_console(self) -> str:
        """Return the text of the console's picture."""
        path = SCREENS / "4-console.png"
        path.write_bytes(self._find("canvas").screenshot_as_png)
        read = subprocess.run(
            ["tesseract", str(path), "-", "--psm", "6"], capture_output=True, text=True, check=True
        )
        return read.stdout

    def type(self, text: str) -> None:
        """Type into the console: keys without shift, which a browser that is driven does not hold down."""
        assert re.fullmatch(r"[a-z0-9 ./;-]+", text), text
        keys = ActionChains(self._driver).click(self._find("canvas"))
        for letter in (*text, Keys.ENTER):
            keys = keys.send_keys(letter).pause(KEY_SECONDS)
        keys.perform()

    def log_out(self) -> None:
        """Log out, as its button does."""
        self._driver.switch_to.default_content()
        self.go("project/instances/")
        form = "document.querySelector('form[action$=\"/auth/logout/\"]')"
        if self._driver.execute_script(f"return {form} !== null"):
            self._driver.execute_script(f"{form}.submit()")
        else:
            self.go("auth/logout/")
        self._wait("somebody is still logged in", PAGE_SECONDS, lambda: self._all("#id_username"))

    def _choose(self, form: str, choice: str) -> None:
        """Choose a row in a step of the wizard. What is the only one is chosen already."""
        row = f"//ng-include[@ng-form='{form}']//tr[.//*[normalize-space(text())='{choice}']]"

        def chosen() -> bool:
            if self._driver.find_elements(By.XPATH, f"{row}//*[contains(@class, 'fa-arrow-down')]"):
                return True
            for button in self._driver.find_elements(By.XPATH, f"{row}//*[contains(@class, 'fa-arrow-up')]"):
                button.click()
            return False

        self._wait(f"{choice} cannot be chosen", PAGE_SECONDS, chosen)

    def _find(self, selector: str, seconds: float = PAGE_SECONDS) -> WebElement:
        """Return what a selector finds, when it is shown."""

        def shown() -> WebElement | None:
            return next((one for one in self._all(selector) if one.is_displayed()), None)

        return self._wait(f"there is no {selector}", seconds, shown)

    def _all(self, selector: str) -> list[WebElement]:
        return self._driver.find_elements(By.CSS_SELECTOR, selector)

    def _wait(self, what: str, seconds: float, condition: Callable[[], Found]) -> Found:
        """Wait until something is so; where it never is, keep the screen and say what was on it."""
        waiting = WebDriverWait(self._driver, seconds, ignored_exceptions=SEEN)
        try:
            return waiting.until(lambda _: condition())
        except WebDriverException as error:
            path = self.picture("failed")
            raise AssertionError(
                f"{what} after {seconds:.0f} s at {self._driver.current_url}, see {path}"
            ) from error
