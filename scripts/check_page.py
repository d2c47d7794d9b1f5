"""Looks at a page in a real browser, Chromium without a window: light, dark, narrow, sorted, printed.

    python scripts/check_page.py PAGE.html --out FOLDER [--chromium PROGRAM]

Needs Chromium and nothing else. Writes light.png, dark.png, narrow.png, sorted.png and print.pdf into FOLDER,
for somebody to look at, and exits with 1 and says why when

- the page asks for anything but itself, or a script of it fails,
- text or a picture is wider than its place, also on a screen 400 pixels wide,
- the dark is not dark, or print is,
- a click on a heading does not sort the trials by it, up and then down.
"""

import argparse
import base64
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile


def fail(message):
    sys.exit(f"check_page: {message}")


class Browser:
    """Chromium, told what to do by its DevTools protocol over a pair of pipes."""

    def __init__(self, program, profile):
        to_browser, self.writer = os.pipe()
        self.reader, from_browser = os.pipe()
        # It reads from descriptor 3 and writes to descriptor 4.
        shell = f'exec "$@" 3<&{to_browser} 4>&{from_browser}'
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run"]
        command = ["bash", "-c", shell, "bash", program, *options]
        command += [f"--user-data-dir={profile}", "--remote-debugging-pipe", "about:blank"]
        self.process = subprocess.Popen(
            command, pass_fds=(to_browser, from_browser), stderr=subprocess.DEVNULL
        )
        os.close(to_browser)
        os.close(from_browser)
        self.rest, self.number, self.events, self.session = b"", 0, [], None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self.session = attached["sessionId"]
        for domain in ["Page", "Runtime", "Network", "Log"]:
            self.call(f"{domain}.enable")

    def message(self):
        while b"\0" not in self.rest:
            read = os.read(self.reader, 1 << 16)
            if not read:
                fail("Chromium has ended")
            self.rest += read
        text, self.rest = self.rest.split(b"\0", 1)
        return json.loads(text)

    def call(self, method, **parameters):
        self.number += 1
        request = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            request["sessionId"] = self.session
        os.write(self.writer, json.dumps(request).encode() + b"\0")
        while True:
            message = self.message()
            if message.get("id") == self.number:
                if "error" in message:
                    fail(f"{method}: {message['error']['message']}")
                return message["result"]
            self.events.append(message)

    def evaluate(self, expression):
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        if "exceptionDetails" in answer:
            fail(f"{expression}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def open(self, url):
        self.call("Page.navigate", url=url)
        while not any(event.get("method") == "Page.loadEventFired" for event in self.events):
            self.events.append(self.message())

    def resize(self, width):
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=900, deviceScaleFactor=1, mobile=False,
        )

    def colours(self, scheme, medium=""):
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.call("Emulation.setEmulatedMedia", media=medium, features=features)

    def screenshot(self, path):
        shot = self.call("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(shot["data"]))


def brightness_of_paper(browser):
    """From 0, black, to 1."""
    text = browser.evaluate("getComputedStyle(document.body).backgroundColor")
    channels = [int(part) for part in text.removeprefix("rgb(").removesuffix(")").split(",")]
    return sum(channels) / 3 / 255


def check_width(browser, what):
    """No part sticks out of the page, unless it scrolls by itself."""
    stuck_out = browser.evaluate(
        """(() => {
            const scrolls = e => e && (getComputedStyle(e).overflowX === 'auto' || scrolls(e.parentElement));
            const wide = [...document.querySelectorAll('main *')].filter(
                e => e.getBoundingClientRect().right > innerWidth + 1 && !scrolls(e));
            return wide.slice(0, 3).map(e => e.tagName + ': ' + e.textContent.slice(0, 60));
        })()"""
    )
    wide = browser.evaluate("document.documentElement.scrollWidth - innerWidth")
    if stuck_out or wide > 0:
        fail(f"{what}: wider than the screen by {wide}: {stuck_out}")


def column(browser, index):
    """Of each row, the cell's text, and the value that it stands for where it has one."""
    return browser.evaluate(
        "[...document.querySelectorAll('.sortable tbody tr')].map(row => "
        f"[row.cells[{index}].textContent.trim(), row.cells[{index}].dataset.value ?? null])"
    )


def check_sorting(browser):
    headings = browser.evaluate(
        "[...document.querySelectorAll('.sortable thead th')].map(th => th.textContent.trim())"
    )
    if not headings:
        fail("there is no table of trials")
    for index, heading in enumerate(headings):
        before = sorted(column(browser, index), key=str)
        groups = []
        for direction in ["ascending", "descending"]:
            browser.evaluate(
                f"document.querySelectorAll('.sortable thead th button')[{index}].click()"
            )
            told = browser.evaluate(
                f"document.querySelectorAll('.sortable thead th')[{index}].getAttribute('aria-sort')"
            )
            if told != direction:
                fail(f"a click on `{heading}` says that it sorted {told}, not {direction}")
            cells = column(browser, index)
            if sorted(cells, key=str) != before:
                fail(f"a click on `{heading}` loses rows")
            numbers = [value for _, value in cells if value is not None]
            if numbers:
                check_numbers(heading, numbers, direction)
            groups.append([text for i, (text, _) in enumerate(cells) if i == 0 or text != cells[i - 1][0]])
        # Equal words stand together, and the other way round in the other direction.
        words, backwards = groups
        if not numbers and (len(set(words)) != len(words) or words != backwards[::-1]):
            fail(f"a click on `{heading}` does not sort: {words[:9]} and {backwards[:9]}")
    return len(headings)


def check_numbers(heading, numbers, direction):
    """What was not measured stands at the end in both directions."""
    known = [float(number) for number in numbers if number != ""]
    if numbers[: len(known)] != [number for number in numbers if number != ""]:
        fail(f"a click on `{heading}` does not put what was not measured at the end")
    if known != sorted(known, reverse=direction == "descending"):
        fail(f"a click on `{heading}` does not sort {direction}: {known[:9]}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("page", type=pathlib.Path)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--chromium", default=shutil.which("chromium") or "chromium")
    arguments = parser.parse_args()
    out = arguments.out
    out.mkdir(parents=True, exist_ok=True)
    page = arguments.page.resolve().as_uri()
    with tempfile.TemporaryDirectory() as profile:
        browser = Browser(arguments.chromium, profile)
        try:
            check(browser, page, out)
        finally:
            browser.process.terminate()
            browser.process.wait()


def check(browser, page, out):
    browser.resize(1280)
    browser.colours("light")
    browser.open(page)
    if brightness_of_paper(browser) < 0.9:
        fail("the light is dark")
    check_width(browser, "light")
    browser.screenshot(out / "light.png")

    browser.colours("dark")
    if brightness_of_paper(browser) > 0.3:
        fail("the dark is not dark")
    browser.screenshot(out / "dark.png")

    browser.colours("light")
    browser.resize(400)
    check_width(browser, "400 pixels")
    browser.screenshot(out / "narrow.png")

    browser.resize(1280)
    sortable = check_sorting(browser)
    browser.screenshot(out / "sorted.png")

    browser.colours("dark", "print")
    if brightness_of_paper(browser) < 0.99:
        fail("print is not on white paper")
    browser.colours("dark")
    pdf = browser.call("Page.printToPDF", printBackground=True, preferCSSPageSize=True)["data"]
    (out / "print.pdf").write_bytes(base64.b64decode(pdf))

    for event in browser.events:
        method, told = event.get("method"), event.get("params", {})
        if method == "Network.requestWillBeSent":
            url = told["request"]["url"]
            if url != page and not url.startswith("data:"):
                fail(f"it asks for {url}")
        if method == "Runtime.exceptionThrown":
            fail(f"a script fails: {told['exceptionDetails']['text']}")
        if method == "Log.entryAdded" and told["entry"]["level"] == "error":
            fail(f"the browser complains: {told['entry']['text']}")
    version = browser.call("Browser.getVersion")["product"]
    print(f"check_page: {page.rsplit('/', 1)[1]} is fine in {version}; {sortable} columns sort; look at {out}")


if __name__ == "__main__":
    main()
