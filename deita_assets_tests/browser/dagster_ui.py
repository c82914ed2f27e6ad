"""The Dagster UI as a person uses it: pages, dialogs and buttons found by their role and their words.

What belongs here: how to get somewhere and what to wait for. What does not: what must be true there (the tests).
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

#: Seconds that one thing on a page may take, and a run with its models, on a busy machine.
PAGE_S, RUN_S = 120, 900
_LONG_TEXT = "[Show Markdown]"  # the UI shows at most 1,000 characters of Markdown in place


@dataclass
class DagsterUI:
    """One tab of a browser on the UI of one server, and everything that it asked for and complained of."""

    page: Any
    url: str
    shots: Path
    asked: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.set_default_timeout(PAGE_S * 1000)
        self.page.add_init_script("window.localStorage.setItem('communityNux', '1')")
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("websocket", lambda socket: self.asked.append(socket.url))
        self.page.on("pageerror", lambda error: self.complaints.append(f"page error: {error}"))
        self.page.on("console", self._heard)
        self.page.on("response", self._answered)

    def _heard(self, said: Any) -> None:
        if said.type == "error":
            self.complaints.append(f"console: {said.text}")

    def _answered(self, response: Any) -> None:
        if response.status >= 400:
            self.complaints.append(f"{response.status} of {response.url}")

    def elsewhere(self) -> list[str]:
        """Requests that left this machine."""
        inside = ("data", "blob", "about")
        parts = [(one, urlsplit(one)) for one in self.asked]
        return [
            one
            for one, part in parts
            if part.scheme not in inside and part.hostname not in ("127.0.0.1", "localhost")
        ]

    # --- looking

    def open(self, path: str) -> None:
        """Go to a page of the server and wait until its navigation stands."""
        self.page.goto(f"{self.url}{path}", wait_until="domcontentloaded")
        self.until(
            lambda: self.page.get_by_role("link", name="Catalog").first.is_visible(), f"the page {path}"
        )

    def shot(self, name: str) -> Path:
        """A screenshot under that name."""
        path = self.shots / f"{name}.png"
        self.page.screenshot(path=str(path))
        return path

    def until(self, reached: Callable[[], bool], what: str, seconds: float = PAGE_S) -> None:
        """Wait for something on the page as it stands.

        Raises:
            AssertionError: it was not so in time; says what was waited for and keeps a screenshot.
        """
        deadline = time.monotonic() + seconds
        while not reached():
            if time.monotonic() > deadline:
                shot = self.shot("waited_in_vain")
                raise AssertionError(f"waited {seconds:.0f} s for {what} at {self.page.url}; see {shot}")
            self.page.wait_for_timeout(250)

    def reloading(self, path: str, reached: Callable[[], bool], what: str, seconds: float = RUN_S) -> None:
        """Wait for something on a page that is opened again every few seconds, as a person presses F5."""
        deadline = time.monotonic() + seconds
        while True:
            self.open(path)
            for _ in range(20):
                if reached():
                    return
                self.page.wait_for_timeout(500)
            if time.monotonic() > deadline:
                shot = self.shot("waited_in_vain")
                raise AssertionError(f"waited {seconds:.0f} s for {what} at {path}; see {shot}")

    # --- assets and their partitions

    def partition(self, asset: str, partition: str, seconds: float = RUN_S) -> None:
        """Open the page of one partition and wait until it is green."""
        path = f"/assets/{asset}?view=partitions&partition={quote(partition)}"
        what = f"{asset}[{partition}] to be materialised"
        self.reloading(path, lambda: self._is_green(partition), what, seconds)
        self.until(lambda: self.cell("dagster/partition_row_count").count() > 0, f"the metadata of {asset}")

    def _is_green(self, partition: str) -> bool:
        # The heading of the partition and its state stand side by side; the filters say "Materialized (3)".
        told = self.page.get_by_text(partition, exact=True).first
        state = self.page.get_by_text("Materialized", exact=True).first
        return bool(told.is_visible() and state.is_visible())

    def cell(self, key: str) -> Any:
        """What stands beside a metadata key."""
        row = self.page.get_by_role("row").filter(has=self.page.get_by_role("cell", name=key, exact=True))
        return row.first.get_by_role("cell").nth(1)

    def shown_keys(self) -> list[str]:
        """The metadata keys of the page as it stands, without what tables beside them hold."""
        outer = self.page.locator("xpath=//tr[not(ancestor::td)]/td[1]")
        return [key for one in outer.all_inner_texts() if (key := one.strip())]

    def text(self, key: str) -> str:
        """The words beside a metadata key, read in its own dialog where they are long."""
        return self._in_full(key, lambda shown: shown.inner_text())

    def pictures(self, key: str) -> list[tuple[str, int]]:
        """(first characters of the address, natural width in pixels) of the pictures beside a metadata key."""
        asked = "all => all.map(one => [one.src.slice(0, 22), one.naturalWidth])"
        return self._in_full(
            key, lambda shown: [tuple(one) for one in shown.locator("img").evaluate_all(asked)]
        )

    def _in_full(self, key: str, read: Callable[[Any], Any]) -> Any:
        cell = self.cell(key)
        opener = cell.get_by_text(_LONG_TEXT)
        if not opener.count():
            return read(cell)
        opener.click()
        dialog = self.page.get_by_role("dialog")
        dialog.wait_for()
        self.page.wait_for_timeout(500)  # it slides in
        try:
            return read(dialog)
        finally:
            self.shot(f"dialog_{key}")
            self.page.keyboard.press("Escape")
            dialog.wait_for(state="hidden")

    # --- launching

    def materialise_dialog(self, asset: str) -> Any:
        """The dialog behind the button Materialize of an asset."""
        self.open(f"/assets/{asset}")
        self.page.get_by_role("button", name="Materialize").first.click()
        dialog = self._dialog("Launch runs to materialize")
        dialog.get_by_text("Partition selection").wait_for()
        return dialog

    def add_partition(self, dialog: Any, dimension: int, name: str) -> None:
        """Add a dynamic partition by the dialog's own means; `dimension` counts from the top."""
        dialog.get_by_role("button", name="Add a partition").nth(dimension).click()
        adding = self._dialog("Add a partition for")
        adding.get_by_role("textbox").fill(name)
        adding.get_by_role("button", name="Save").click()
        adding.wait_for(state="hidden")

    def choose(self, dialog: Any, names: Iterable[str]) -> None:
        """Tick partitions in the first selection that is still empty."""
        dialog.get_by_text("Select a partition or create one").first.click()
        for name in names:
            ticked = re.compile(
                rf"^\s*{re.escape(name)}(\s+{re.escape(name)})?\s*$"
            )  # some rows say it twice
            self.page.get_by_role("menuitem", name=ticked).first.click()
        self.page.keyboard.press("Escape")

    def launch(self, dialog: Any, button: str) -> str:
        """Press the dialog's launching button; the id that the notice names."""
        dialog.get_by_role("button", name=button, exact=True).click()
        dialog.wait_for(state="hidden")
        notice = self.page.get_by_text(re.compile(r"^(Launched run|Created backfill) ")).first
        notice.wait_for()
        return str(notice.inner_text().split()[2])

    def run_ends(self, run: str, state: str = "Success", seconds: float = RUN_S) -> None:
        """Watch the page of a run until its state is this one."""
        ends = ("Success", "Failure", "Canceled")

        def ended() -> bool:
            return any(self.page.get_by_text(one, exact=True).first.is_visible() for one in ends)

        if f"/runs/{run}" not in self.page.url:
            self.open("/runs")
            self.page.get_by_role("link", name=run).first.click()
        self.until(ended, f"run {run} to end", seconds)
        assert self.page.get_by_text(state, exact=True).first.is_visible(), (
            f"run {run} did not end as {state}: {self.page.inner_text('body')[:3000]}"
        )

    def backfill_ends(self, backfill: str, seconds: float = RUN_S) -> None:
        """Watch the list of backfills until this one is through."""
        self.open("/runs?view=backfills")
        row = self.page.get_by_role("row").filter(has_text=backfill)
        if not row.count():
            row = (
                self.page.locator("div")
                .filter(has=self.page.get_by_role("link", name=backfill))
                .last.locator("..")
            )
        ends = ("Completed", "Success", "Failed", "Canceled")

        def state() -> str:
            told = self.page.inner_text("body")
            after = told[told.find(backfill) :] if backfill in told else ""
            return next((one for one in ends if re.search(rf"\b{one}\b", after)), "")

        self.until(lambda: bool(state()), f"backfill {backfill} to end", seconds)
        assert state() in ends[:2], f"backfill {backfill}: {state()}"

    # --- the launchpad

    def launchpad(self, asset: str, partition: str) -> Any:
        """The launchpad of an asset, with a partition chosen."""
        self.open(f"/assets/{asset}")
        beside = self.page.get_by_role("button", name="Materialize").first
        beside.locator("xpath=following::button[1]").click()
        self.page.get_by_role("menuitem", name="Open launchpad").click()
        pad = self._dialog("Launchpad")
        pad.get_by_text("No errors").wait_for()  # the defaults are there
        pad.get_by_placeholder("Partition").click()
        self.page.get_by_role("menuitem", name=partition, exact=True).click()
        pad.get_by_text("No errors").wait_for()
        return pad

    def write_config(self, pad: Any, text: str) -> None:
        """Replace what stands in the editor; the cursor ends behind it."""
        pad.locator(".CodeMirror").first.click()  # the editor has no role of its own
        self.page.keyboard.press("Control+a")
        self.page.keyboard.press("Delete")
        self.page.keyboard.insert_text(text)

    def _dialog(self, words: str) -> Any:
        dialog = self.page.get_by_role("dialog").filter(has_text=words).last
        dialog.wait_for()
        return dialog
