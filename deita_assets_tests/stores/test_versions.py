import pytest

from deita_assets.errors import NotFoundError, UsageError
from deita_assets.stores.versions import whole_version

KNOWN = ("abcdef0123456789", "abcdef9999999999", "0011223344556677")


@pytest.fixture
def con(warehouse):
    with warehouse.write("versions") as con:
        for version in KNOWN:
            con.execute(
                "insert into store.selection values (?, 'source', 's', 1, 0, 'l', 'm', '{}', 'd', false, null, now())",
                [version],
            )
        yield con


@pytest.mark.parametrize("version", KNOWN)
def test_the_start_of_a_version_is_enough(con, version):
    for length in range(7, 17):
        assert whole_version(con, version[:length], "frozen base") == version


def test_what_names_none_or_several_is_refused(con):
    for text, kind, message in (
        ("00112", UsageError, "6 characters"),
        ("", UsageError, "6 characters"),
        ("abcdef", UsageError, "'abcdef' is the start of more than one"),
        ("fedcba", NotFoundError, "frozen base 'fedcba' is no selection version of this home"),
        (KNOWN[0] + "0", NotFoundError, "no selection version"),
    ):
        with pytest.raises(kind, match=message):
            whole_version(con, text, "frozen base")
