from pathlib import Path

from deita_assets.stores.home import Home


def test_the_home_is_where_one_says_else_the_variable_else_here(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DEITA_HOME", raising=False)
    assert Home.at().root == tmp_path / "deita_home"
    monkeypatch.setenv("DEITA_HOME", "elsewhere")
    assert Home.at().root == tmp_path / "elsewhere"
    assert Home.at("given").root == tmp_path / "given"
    monkeypatch.setenv("HOME", str(tmp_path))
    assert Home.at(Path("~/mine")).root == tmp_path / "mine"


def test_everything_is_below_the_home(tmp_path):
    home = Home(tmp_path / "deep" / "home")
    names = [name for name in dir(Home) if isinstance(getattr(Home, name), property)]
    assert len(names) >= 10
    for name in names:
        assert getattr(home, name).parent == home.root
    assert home.source_landing("s") == home.landing / "s"
    assert (
        home.subset("mixture", "m", 6000, "abc") == home.root / "subsets" / "mixture" / "m" / "6000" / "abc"
    )


def test_folders_are_made_once(tmp_path):
    home = Home(tmp_path / "home").create()
    (home.landing / "kept").write_text("")
    assert home.create() is home
    assert sorted(path.name for path in home.root.iterdir()) == [
        "dagster", "lance", "landing", "locks", "staging", "subsets",
    ]  # fmt: skip
    assert (home.landing / "kept").exists()
