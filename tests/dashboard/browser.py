"""A headless Chromium, driven by its own driver through plain HTTP.

The driver of Debian's package `chromium-driver` speaks WebDriver, which is
JSON over HTTP; what the tests need of it are a few requests.
"""

import base64
import json
import re
import shutil
import subprocess
import time
import urllib.error
import urllib.request

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
OPTIONS = (
    "--headless=new", "--no-sandbox", "--disable-gpu",
    "--disable-dev-shm-usage", "--disable-background-networking",
    "--disable-component-update", "--no-first-run", "--hide-scrollbars",
)  # fmt: skip
#: What the browser tests say where they are skipped.
LACKING = (
    "There is no chromium and chromedriver here to try the page in: "
    "apt-get install chromium chromium-driver"
)


def programs():
    """Paths of a browser and its driver; `None` if one is not installed."""
    browser = next(filter(None, map(shutil.which, PROGRAMS)), None)
    driver = shutil.which("chromedriver")
    return (browser, driver) if browser and driver else None


class Browser:
    """A browser with one window. `close` ends it."""

    def __init__(self):
        browser, driver = programs()
        self.process = subprocess.Popen(
            [driver, "--port=0"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        for line in self.process.stdout:
            if match := re.search(r"started successfully on port (\d+)", line):
                break
        self.url = f"http://127.0.0.1:{match[1]}/session"
        options = {"binary": browser, "args": OPTIONS}
        wanted = {
            "goog:chromeOptions": options,
            "goog:loggingPrefs": {"browser": "ALL"},
        }
        made = self.ask("", {"capabilities": {"alwaysMatch": wanted}})
        self.url += f"/{made['sessionId']}"

    def ask(self, path, body=None, method=None):
        """Sends a request of WebDriver's: what is answered as its value."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            self.url + path,
            data,
            {"Content-Type": "application/json"},
            method=method,
        )
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            message = json.load(error)["value"]["message"]
            raise AssertionError(message.partition("\n")[0]) from None

    def close(self):
        try:
            self.ask("", method="DELETE")
        finally:
            self.process.terminate()
            self.process.communicate(timeout=30)

    def protocol(self, command, **parameters):
        """Runs a command of the browser's own protocol."""
        body = {"cmd": command, "params": parameters}
        return self.ask("/goog/cdp/execute", body)

    def show(self, url, width=1280, height=900, dark=False):
        """Loads a page, as a desktop or a phone of this size shows it."""
        self.protocol(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        scheme = "dark" if dark else "light"
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self.protocol("Emulation.setEmulatedMedia", features=[feature])
        # Else a page that differs in its fragment alone is not loaded again.
        self.ask("/url", {"url": "about:blank"})
        self.ask("/url", {"url": url})
        self.messages()

    def run(self, script, *arguments):
        """Runs JavaScript in the page: what it returns."""
        body = {"script": script, "args": arguments}
        return self.ask("/execute/sync", body)

    def wait(self, script, seconds=20):
        """Waits until JavaScript returns what is true."""
        deadline = time.monotonic() + seconds
        while not (value := self.run(script)):
            assert time.monotonic() < deadline, script
            time.sleep(0.05)
        return value

    def element(self, selector):
        found = self.ask(
            "/element", {"using": "css selector", "value": selector}
        )
        return f"/element/{found[ELEMENT]}"

    def click(self, selector):
        """Clicks as a user does, who cannot click what is hidden."""
        self.ask(f"{self.element(selector)}/click", {})

    def type(self, selector, text):
        self.ask(f"{self.element(selector)}/value", {"text": text})

    def choose(self, name, label):
        """Chooses an option of a select by what it shows."""
        number = self.run(
            "return [...document.querySelector(`select[name=${arguments[0]}]`)"
            ".options].findIndex((o) => o.label === arguments[1]) + 1",
            name,
            label,
        )
        assert number, f"{name} does not offer {label}"
        self.click(f"select[name={name}] option:nth-child({number})")

    def messages(self):
        """What the page has reported since the last call, as lines."""
        found = self.ask("/se/log", {"type": "browser"})
        return [line["message"] for line in found]

    def picture(self, path=None):
        """A picture of the whole page, as PNG."""
        size = self.protocol("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "scale": 1, **size}
        data = base64.b64decode(
            self.protocol(
                "Page.captureScreenshot", clip=clip, captureBeyondViewport=True
            )["data"]
        )
        if path:
            path.write_bytes(data)
        return data
