"""The map in the browser: the page that the package embedding-atlas carries, over a map's Parquet, on loopback.

Only the package's built page is used, none of its modules: projection and neighbours are ours, and the page queries
the Parquet by its own DuckDB, inside the browser. So nothing on this machine runs SQL for whoever reaches the port, and
`pip install --no-deps embedding-atlas` is enough.

What belongs here: finding the page, saying what it shows, serving it. What does not: the map (atlas).
"""

from __future__ import annotations

import importlib.util
import json
import shutil
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deita_assets.engines.atlas import Atlas
from deita_assets.errors import UsageError
from deita_assets.stores.new_folder import new_folder

if TYPE_CHECKING:
    from starlette.applications import Starlette

#: The only address that is ever listened on: the map holds texts, and the page asks for no password.
HOST = "127.0.0.1"
INSTALL = "pip install 'deita-assets[atlas]'   (or only the page: pip install --no-deps embedding-atlas)"
#: The page may load from where it came from and nowhere else, so that no text can leave by it, nor any request be made.
#: Its DuckDB is WebAssembly in a worker; its charts compile expressions.
_POLICY = (
    "default-src 'self'; connect-src 'self' blob: data:; script-src 'self' 'unsafe-eval' 'wasm-unsafe-eval' blob:; "
    "worker-src 'self' blob:; style-src 'self' 'unsafe-inline'; img-src 'self' blob: data:; font-src 'self' data:; "
    "form-action 'none'; frame-ancestors 'none'; base-uri 'self'"
)
_HEADERS = {
    "content-security-policy": _POLICY,
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "cache-control": "no-store",
}
#: Columns shown as charts and filters, beside the map and the table.
_CHARTS = (
    "verdict", "source", "language", "evol_score", "complexity", "quality", "similarity", "rank", "n_turns",
    "n_chars",
)  # fmt: skip


def page_folder() -> Path | None:
    """Folder of the built page inside the installed package, or None when it is not installed."""
    found = importlib.util.find_spec("embedding_atlas")
    folder = Path(found.origin).parent / "static" if found and found.origin else None
    return folder if folder and (folder / "index.html").is_file() else None


def metadata(atlas: Atlas) -> dict[str, Any]:
    """What the page is told: which columns are what, that verdicts give the colour, and to query the rows itself."""
    columns = {"id": "__row_index__", "text": "instruction", "neighbors": "__neighbors"}
    return {
        "props": {
            "data": {**columns, "projection": {"x": "x", "y": "y"}},
            "defaultChartsConfig": {
                "embedding": {
                    "title": atlas.caption,
                    "data": {
                        "x": "x", "y": "y", "text": "instruction", "category": "verdict",
                        "neighbors": "__neighbors",
                    },
                },
                "include": list(_CHARTS),
            },
        },
        "isStatic": True,
        "database": {"type": "wasm", "load": True},
    }  # fmt: skip


def application(atlas: Atlas, page: Path) -> Starlette:
    """The server of one map: the page, its rows and what it is told; everything else is 404.

    Requests that name another host than loopback are refused: a site whose name was bent to this address could
    otherwise read the rows.
    """
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.middleware.trustedhost import TrustedHostMiddleware
    from starlette.requests import Request
    from starlette.responses import FileResponse, JSONResponse
    from starlette.routing import Mount, Route
    from starlette.staticfiles import StaticFiles

    told = metadata(atlas)

    def about(request: Request) -> JSONResponse:
        return JSONResponse(told, headers=_HEADERS)

    def rows(request: Request) -> FileResponse:
        return FileResponse(atlas.parquet, media_type="application/octet-stream", headers=_HEADERS)

    class Page(StaticFiles):
        def file_response(self, *args: Any, **options: Any) -> Any:
            answer = super().file_response(*args, **options)
            answer.headers.update(_HEADERS)
            return answer

    return Starlette(
        routes=[
            Route("/data/metadata.json", about),
            Route("/data/dataset.parquet", rows),
            Mount("/", Page(directory=page, html=True)),
        ],
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=[HOST, "localhost"])],
    )


def bind(port: int) -> socket.socket:
    """A socket on loopback; port 0 takes any that is free.

    Raises:
        UsageError: the port is taken.
    """
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((HOST, port))
    except OSError as error:
        bound.close()
        raise UsageError(
            f"port {port} cannot be used: {error.strerror}.", cure="Give another with --port."
        ) from error
    return bound


def serve(
    atlas: Atlas, page: Path, bound: socket.socket, on_ready: Callable[[], None] = lambda: None
) -> None:
    """Serve one map until interrupted, in this process alone: no child is left behind.

    Args:
        atlas: the map.
        page: folder of the built page.
        bound: from `bind`; closed at the end.
        on_ready: called once requests are answered.
    """
    import uvicorn

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets=sockets)
            on_ready()

    config = uvicorn.Config(
        application(atlas, page),
        log_level="error",
        access_log=False,
        timeout_graceful_shutdown=1,
        lifespan="off",
    )
    with bound, suppress(KeyboardInterrupt):  # uvicorn hands on the signal that it ended by
        Server(config).run(sockets=[bound])


def export(atlas: Atlas, out: Path) -> bool:
    """Copy a map into a new folder: picture and Parquet, and the page over them where it is installed.

    Returns:
        Whether the page is there. Any static web server can serve it (`python -m http.server -b 127.0.0.1`).

    Raises:
        UsageError: `out` exists.
    """
    page = page_folder()
    with new_folder(out) as partial:
        if page:
            shutil.copytree(page, partial, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
        partial.chmod(0o700)  # after the copy, which gives the folder the page's own mode
        if page:
            (partial / "data").mkdir(mode=0o700)
            (partial / "data" / "metadata.json").write_text(json.dumps(metadata(atlas)), encoding="utf-8")
            shutil.copyfile(atlas.parquet, partial / "data" / "dataset.parquet")
        for path in (atlas.parquet, atlas.picture):
            shutil.copyfile(path, partial / path.name)
            (partial / path.name).chmod(0o600)
    return page is not None
