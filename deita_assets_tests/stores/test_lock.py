import os
import threading
import time

import pytest

from deita_assets.errors import LockTimeoutError
from deita_assets.stores.lock import file_lock
from deita_assets_tests import crashes


@pytest.fixture
def path(tmp_path):
    return tmp_path / "deep" / "x.lock"


def hold(path, purpose, shared=False):
    held = crashes.event()
    process = crashes.start(crashes.hold_lock, path, purpose, shared, held)
    assert held.wait(60)
    return process


def refused(path, **options):
    with pytest.raises(LockTimeoutError) as error, file_lock(path, "mine", deadline_s=0.1, **options):
        pass
    return str(error.value)


def test_exclusive_holder_keeps_everybody_out_and_is_named(path):
    process = hold(path, "count sheep")
    for shared in (False, True):
        message = refused(path, shared=shared)
        assert "mine" in message
        assert f"pid {process.pid} (count sheep)" in message
        assert "Wait for that process" in message
    crashes.kill(process)


def test_lock_of_a_killed_process_is_free_at_once(path):
    crashes.kill(hold(path, "die"))
    began = time.monotonic()
    with file_lock(path, "mine", deadline_s=0):
        assert time.monotonic() - began < 1


def test_readers_share_and_keep_writers_out(path):
    process = hold(path, "read", shared=True)
    with file_lock(path, "read too", shared=True, deadline_s=0):
        assert "a reader" in refused(path)
    assert "a reader" in refused(path)
    crashes.kill(process)


def test_a_reader_is_not_taken_for_the_killed_writer_before_it(path):
    writer = hold(path, "write")
    crashes.kill(writer)
    reader = hold(path, "read", shared=True)
    message = refused(path)
    assert "write" not in message
    assert str(writer.pid) not in message
    crashes.kill(reader)


def test_waiting_ends_when_the_holder_lets_go(path):
    got = []

    def wait():
        with file_lock(path, "second", deadline_s=30):
            got.append(time.monotonic())

    with file_lock(path, "first"):
        waiter = threading.Thread(target=wait)
        waiter.start()
        time.sleep(0.3)
        released = time.monotonic()
        assert not got
    waiter.join()
    assert got[0] >= released


def test_lock_is_freed_by_an_error_inside(path):
    with pytest.raises(KeyError), file_lock(path, "fail"):
        raise KeyError
    with file_lock(path, "again", deadline_s=0):
        assert f"pid {os.getpid()} (again)" in refused(path)
