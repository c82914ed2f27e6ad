"""A headless Chromium for the tests of pages, and the folder that their screenshots go to."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
#: Names a folder that outlives the test session; without it screenshots stand in pytest's temporary folder.
ARTEFACTS = "BROWSER_ARTEFACTS"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """One headless Chromium for a module; its tests are skipped where the machine has none."""
    found = next((path for name in _BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip(f"there is no Chromium on this machine (looked for {', '.join(_BROWSERS)})")
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="playwright is not installed (extra `browser`)"
    )
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def artefacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where screenshots and logs are kept: the folder named by `BROWSER_ARTEFACTS`, else a temporary one."""
    named = os.environ.get(ARTEFACTS)
    folder = Path(named).resolve() if named else tmp_path_factory.mktemp("screenshots")
    folder.mkdir(parents=True, exist_ok=True)
    print(f"screenshots: {folder}")
    return folder
