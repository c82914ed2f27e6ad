"""A hub on loopback: the routes that `huggingface_hub` asks for one dataset, in memory, and what servers lie about.

Written from what the library sends and reads: `GET /api/datasets/ORG/NAME/revision/SHA?blobs=True` for the listing,
`HEAD` and `GET /datasets/ORG/NAME/resolve/SHA/PATH` for a file.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

REPO = "org/name"
A, B, C = ("a" * 40, "b" * 40, "c" * 40)


def hub_id(revision=A, path=""):
    return f"hf://datasets/{REPO}@{revision}{path}"


class FakeHub:
    """`commits` maps a revision to its files; the other attributes make it lie or refuse."""

    def __init__(self):
        self.commits = {}
        #: Files of at least so many bytes are large ones, whose sha256 is listed; of others the git object is.
        self.large_from = 100
        #: (status, X-Error-Code) of every answer, or None.
        self.refusal = None
        #: Changes the listing before it is sent.
        self.edit_listing = lambda listing: listing
        #: path -> (bytes told, bytes sent)
        self.sends = {}
        #: Sends a file without end.
        self.endless = False
        self.asked = []
        self.authorizations = set()

    def fetched(self):
        """Paths of files that were downloaded since the last call."""
        got = [
            path.split("/resolve/")[1][41:]
            for method, path in self.asked
            if method == "GET" and "/resolve/" in path
        ]
        self.asked.clear()
        return sorted(got)

    def listing(self, revision):
        files = self.commits[revision]
        return self.edit_listing(
            {
                "id": REPO,
                "sha": revision,
                "siblings": [self._sibling(path, content) for path, content in files.items()],
            }
        )

    def _sibling(self, path, content):
        found = {"rfilename": path, "size": len(content), "blobId": git_oid(content)}
        if len(content) >= self.large_from:
            sha256 = hashlib.sha256(content).hexdigest()
            found["lfs"] = {"sha256": sha256, "size": len(content), "pointerSize": 130}
        return found


def git_oid(content):
    return hashlib.sha1(f"blob {len(content)}\0".encode() + content, usedforsecurity=False).hexdigest()


def _handler(hub):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *arguments):
            pass

        def do_HEAD(self):
            self._answer(False)

        def do_GET(self):
            self._answer(True)

        def _answer(self, body):
            path = unquote(urlsplit(self.path).path)
            hub.asked.append((self.command, path))
            hub.authorizations.add(self.headers.get("authorization"))
            if hub.refusal:
                return self._send(hub.refusal[0], b"", {"X-Error-Code": hub.refusal[1]})
            if path.startswith(f"/api/datasets/{REPO}/revision/"):
                revision = path.rpartition("/")[2]
                if revision not in hub.commits:
                    return self._send(404, b"", {"X-Error-Code": "RevisionNotFound"})
                return self._send(200, json.dumps(hub.listing(revision)).encode(), {})
            if path.startswith(f"/datasets/{REPO}/resolve/"):
                return self._file(body, *path.removeprefix(f"/datasets/{REPO}/resolve/").split("/", 1))
            return self._send(404, b"", {"X-Error-Code": "RepoNotFound"})

        def _file(self, body, revision, path):
            content = hub.commits[revision].get(path)
            if content is None:
                return self._send(404, b"", {"X-Error-Code": "EntryNotFound"})
            told, sent = hub.sends.get(path, (len(content), content))
            etag = hashlib.sha256(content).hexdigest() if len(content) >= hub.large_from else git_oid(content)
            facts = {"ETag": f'"{etag}"', "X-Repo-Commit": revision, "X-Linked-Size": str(told)}
            if body and hub.endless:
                return self._send_without_end(facts)
            return self._send(200, sent, facts, body=body)

        def _send(self, status, content, headers, body=True):
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if body:
                self.wfile.write(content)

        def _send_without_end(self, headers):
            self.send_response(200)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            chunk = b"x" * 65536
            try:
                for _ in range(1024):  # 64 MiB: a disk is not filled where nobody gives up
                    self.wfile.write(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n")
                self.wfile.write(b"0\r\n\r\n")
            except OSError:  # the client had enough
                self.close_connection = True

    return Handler


@contextmanager
def serving(hub):
    """Serve on a free port of loopback; yields the address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(hub))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def reached(monkeypatch, address, tmp_path):
    """Have `huggingface_hub`, in this process, look at `address`, whatever proxies and tokens the environment holds."""
    from huggingface_hub import constants
    from huggingface_hub.utils import close_session

    for name in list(os.environ):
        if name.lower().endswith("_proxy") or name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
            monkeypatch.delenv(name)
    monkeypatch.setattr(constants, "ENDPOINT", address)
    monkeypatch.setattr(
        constants, "HUGGINGFACE_CO_URL_TEMPLATE", address + "/{repo_id}/resolve/{revision}/{filename}"
    )
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub_cache"))
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no_token"))
    close_session()
    try:
        yield
    finally:
        close_session()
