"""Row filters over a scope: each rule on real rows, their order, and how much is read."""

import tracemalloc

import pytest

from deita_assets.core.row_filters import FilterRules
from deita_assets.engines import languages as language_engine
from deita_assets.engines.languages import LOOKED_AT, opening, recognise_languages
from deita_assets.engines.row_filters import excluded_rows
from deita_assets.errors import NotFoundError, SettingsError
from deita_assets.stores import row_facts
from deita_assets.stores.ledgers import Scope
from deita_assets_tests.engines.fakes import Study

TOOLS = [{"name": "f"}]
CALL = {
    "role": "assistant",
    "content": None,
    "tool_calls": [{"type": "function", "function": {"name": "f", "arguments": "{}"}}],
}


class Talk:
    """The language of a text is its first word; `seen` counts what was asked."""

    name = "talk/1"

    def __init__(self):
        self.seen = []

    def detect(self, texts):
        self.seen += texts
        return [None if text.startswith("?") else text.split()[0] for text in texts]


def row(question, *answers, **more):
    messages = []
    for answer in answers or ("an answer",):
        messages += [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return {"messages": messages} | more


@pytest.fixture
def study(warehouse, land):
    made = Study(warehouse, land)
    made.ingest("a", [
        row("en one"), row("en two", "x", "y", "z"), row("de drei", lang="de-AT"), row("en four", lang="English"),
        row("? five"), row("en six", tools=TOOLS), row("en seven", "Sorry, but I cannot do that."),
        row("en eight", "As an AI language model, hm."), row("en nine", "delve"),
        {"messages": [*row("en ten")["messages"], CALL]},
    ])  # fmt: skip
    made.ingest("b", [row("fr onze"), row("en one")])
    return made


def excluded(study, where=None, *sources, detector=None, **rules):
    """{first instruction: reason}, for the rows of `sources`."""
    scope = Scope("mixture", "m", sources or ("a",))
    reasons = excluded_rows(study.warehouse, scope, FilterRules(**rules), where, detector=detector)
    names = dict(study.query("select sample_id, instruction from turns where turn = 0"))
    return {names[sample_id]: reason for sample_id, reason in reasons.items()}


def test_no_rule_excludes_nothing(study):
    assert excluded(study) == {}


def test_rules_about_counts(study):
    assert excluded(study, max_turns=2) == {"en two": "max_turns: 3 > 2"}
    short = {"en one": 15, "? five": 15, "en six": 15, "en ten": 15, "en nine": 12}
    assert excluded(study, min_chars=16) == {name: f"min_chars: {n} < 16" for name, n in short.items()}
    assert excluded(study, None, "a", "b", max_chars=3).keys() == {*excluded(study, max_chars=3), "fr onze"}


def test_rules_about_texts(study):
    assert excluded(study, tools="without").keys() == {"en six", "en ten"}
    assert len(excluded(study, tools="with")) == 8
    assert excluded(study, last_message_assistant=True).keys() == {"en ten"}
    assert excluded(study, refusals=True) == {"en seven": 'refusal: "sorry, but i cannot"'}
    assert excluded(study, boilerplate=True) == {"en eight": 'boilerplate: "as an ai language model"'}
    assert excluded(study, phrases=("DELVE",)) == {"en nine": 'phrase: "delve"'}


def test_licences_are_those_of_the_source_now(study):
    assert set(excluded(study, licences=("MIT",)).values()) == {"licence: none is known"}
    with study.warehouse.write("test") as con:
        con.execute("update store.source set licence = 'mit' where source = 'a'")
    unlicensed = dict.fromkeys(["fr onze", "en one"], "licence: none is known")  # of b
    assert excluded(study, None, "a", "b", licences=("MIT",)) == unlicensed


def test_a_condition(study):
    assert excluded(study, "n_chars < 20 and line <> 1").keys() == {
        "en one",
        "en two",
        "en seven",
        "en eight",
    }
    assert excluded(study, "evol_score > 1")["en one"] == "where: evol_score > 1"


def test_the_first_rule_that_is_broken_gives_the_reason(study):
    everything = {
        "min_turns": 9,
        "licences": ("MIT",),
        "tools": "with",
        "refusals": True,
        "languages": ("fr",),
    }
    order = [("min_turns", "min_turns"), ("licences", "licence"), ("tools", "tools"), ("refusals", "refusal")]
    for rule, word in order:
        reason = excluded(study, "false", detector=Talk(), **everything)["en seven"]
        assert reason.startswith(word)
        del everything[rule]
    assert excluded(study, "false", detector=Talk(), **everything)["en seven"] == "where: false"
    assert excluded(study, "true", detector=Talk(), **everything)["en seven"] == "language: en not in fr"


def test_languages_by_label_and_else_by_text(study):
    talk = Talk()
    found = excluded(study, detector=talk, languages=("en",))
    assert found == {"de drei": "language: de not in en", "? five": "language: none recognised, not in en"}
    assert len(talk.seen) == 8  # two rows have a label
    again = Talk()
    assert excluded(study, detector=again, languages=("en",)) == found
    assert again.seen == []
    assert excluded(study, None, "a", "b", detector=again, languages=("en",)) == found | {
        "fr onze": "language: fr not in en"
    }
    assert len(again.seen) == 1  # the other row has the content of one that was seen


def test_only_rows_that_nothing_else_excludes_are_recognised(study):
    talk = Talk()
    excluded(study, "line > 3", detector=talk, languages=("en",), max_turns=1, refusals=True)
    assert sorted(text.split("\n")[0] for text in talk.seen) == [
        "? five",
        "en eight",
        "en nine",
        "en six",
        "en ten",
    ]


def test_another_detector_is_asked_anew(study):
    first, second = Talk(), Talk()
    second.name = "talk/2"
    for detector in (first, second):
        excluded(study, detector=detector, languages=("en",))
    assert first.seen == second.seen


def test_an_interrupted_recognition_goes_on_where_it_stopped(study, monkeypatch):
    monkeypatch.setattr(language_engine, "_COMMIT_ROWS", 3)

    class Failing(Talk):
        def detect(self, texts):
            if len(self.seen) >= 6:
                raise KeyboardInterrupt
            return super().detect(texts)

    failing, talk = Failing(), Talk()
    with pytest.raises(KeyboardInterrupt):
        excluded(study, detector=failing, languages=("en",))
    told = []
    with study.warehouse.read("test") as con:
        rows = row_facts.row_facts(con, ["a"])
    recognise_languages(study.warehouse, rows, talk, told.append)
    assert (len(failing.seen), len(talk.seen)) == (6, 4)
    assert (told[-1].rows, told[-1].total_rows) == (4, 4)


def test_without_the_extra_the_cure_is_named(study, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "lingua", None)
    with pytest.raises(SettingsError) as caught:
        excluded(study, languages=("en",))
    assert caught.value.cure == "Run `pip install 'deita-assets[language]'`."
    assert excluded(study, languages=("en",), max_turns=0).keys() == excluded(study, max_turns=0).keys()


def test_the_opening_is_what_users_and_assistants_say():
    said = '{"content":"s","role":"system"},{"content":"%s","role":"user"},{"content":"b","role":"assistant"}'
    system = f'{{"messages":[{said}]}}'
    assert opening(system % "a") == "a\nb"
    assert opening(system % ("a" * 998)) == "a" * 998 + "\nb"
    for long in (999, 1000, 2000):
        assert opening(system % ("a" * long)) == "a" * min(long, LOOKED_AT)


def test_conversations_are_read_in_batches_of_bounded_size(study, monkeypatch):
    with study.warehouse.read("test") as con:
        rows = row_facts.row_facts(con, ["a", "b"])
        stored = dict(con.execute("select sample_id, conversation from store.conversation").fetchall())
    for n_rows, n_chars in ((5, 10**9), (100, 40)):
        monkeypatch.setattr(row_facts, "BATCH_ROWS", n_rows)
        monkeypatch.setattr(row_facts, "BATCH_CHARS", n_chars)
        batches = list(row_facts.conversation_batches(study.warehouse, rows))
        assert {key: text for batch in batches for key, text in batch} == stored
        assert sum(map(len, batches)) == 12
        assert all(len(batch) <= n_rows for batch in batches)
        weight = dict(zip(rows["sample_id"].to_pylist(), rows["n_chars"].to_pylist(), strict=True))
        assert all(len(batch) == 1 or sum(weight[key] for key, _ in batch) <= n_chars for batch in batches)


def test_places_that_moved_are_found_and_rows_that_left_are_told(study):
    with study.warehouse.read("test") as con:
        rows = row_facts.row_facts(con, ["a"])
    with study.warehouse.write("test") as con:
        con.execute("create table store.moved as select * from store.conversation order by sample_id desc")
        con.execute("delete from store.conversation")
        con.execute("insert into store.conversation select * from store.moved")
    assert sum(map(len, row_facts.conversation_batches(study.warehouse, rows))) == 10
    with study.warehouse.write("test") as con:
        con.execute("delete from store.conversation where n_turns = 3")
    with pytest.raises(NotFoundError, match="1 conversations left"):
        list(row_facts.conversation_batches(study.warehouse, rows))


def test_memory_does_not_grow_with_the_pool(warehouse, land, monkeypatch):
    """4 MB of text in batches of 0.2 MB: Python holds little more than a batch at a time."""
    study = Study(warehouse, land)
    study.ingest("big", [row(f"question {n}", "x" * 20_000) for n in range(200)])
    monkeypatch.setattr(row_facts, "BATCH_CHARS", 200_000)
    tracemalloc.start()
    found = excluded_rows(warehouse, Scope("source", "big", ("big",)), FilterRules(refusals=True), None)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found == {}
    assert peak < 2_000_000


def test_a_label_counts_for_its_own_row_only(study):
    """The same content without a label, in another source, goes by its text."""
    study.ingest("c", [row("de vier", lang="en")])
    study.ingest("d", [row("de vier")])
    scope = Scope("mixture", "m", ("c", "d"))
    rules = FilterRules(languages=("en",))
    found = excluded_rows(study.warehouse, scope, rules, None, detector=Talk())
    assert [key.split(":")[0] for key in found] == ["d"]
