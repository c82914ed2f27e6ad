"""A home with a published subset, a source `t` beside it, and models to score, embed and select it with.

What belongs here: that home, cases, and how their outcome is read. What does not: the cases.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from deita_assets.core.conversation import Conversation, Message
from deita_assets.engines.checks.scores import check_scores
from deita_assets.engines.parameters import SelectionParameters
from deita_assets.engines.score_pool import score_pool
from deita_assets.engines.select import make_ledger
from deita_assets.errors import DeitaError
from deita_assets.stores.home import Home
from deita_assets.stores.ledgers import Scope, StoredLedger
from deita_assets.stores.vectors import EmbeddingTable, ScoreTable
from deita_assets_tests.engines.fakes import FakeEmbedder, FakeScorer
from deita_assets_tests.faults.input_home import InputHome
from deita_assets_tests.faults.invariant import CANARY, Look, discreet, holds
from deita_assets_tests.faults.matrix import Fault


@dataclass(frozen=True)
class Case:
    """One fault: `do` brings it about, asserts what comes of it and says what it saw."""

    fault: Fault
    do: Callable[[ModelHome], str | tuple[str, int]]
    #: Whether it adds rows or scores although it ends in an error, so that it needs a home of its own.
    fresh: bool = False
    slow: bool = False

    @property
    def param(self) -> Any:
        """For `parametrize`."""
        return pytest.param(self, id=str(self), marks=[pytest.mark.slow] if self.slow else [])

    @property
    def leaves_all(self) -> bool:
        """Whether nothing may come of it, so that many cases may share one home."""
        return not self.fresh and self.fault.outcome in ("error", "refused", "impossible", "as usual")

    def __str__(self) -> str:
        return f"{self.fault} {self.fault.how}".replace(" ", "-")[:90]


def ask(question: str, answer: str = "yes") -> dict[str, Any]:
    """A conversation of one turn whose texts must not be repeated anywhere."""
    return {
        "messages": [
            {"role": "user", "content": f"{CANARY} {question}"},
            {"role": "assistant", "content": f"{CANARY} {answer}"},
        ]
    }


def talk(*texts: str) -> Conversation:
    """User and assistant in turns."""
    return Conversation(tuple(Message(("user", "assistant")[at % 2], text) for at, text in enumerate(texts)))


def copied(home: Home, folder: Path) -> Home:
    """The same home elsewhere, to be changed."""
    return Home(Path(shutil.copytree(home.root, folder / "home")))


class ModelHome(InputHome):
    """What a case works on."""

    #: Of the test that is running.
    folder: Path
    patch: pytest.MonkeyPatch
    #: Folder of a tiny language model, and the packaged encoder; of the test's module.
    llama: Path
    minilm: Any

    def __init__(self, home: Home) -> None:
        super().__init__(home)
        #: Everything that was said, none of which may repeat a row.
        self.said: list[str] = []

    def model(self, name: str = "model") -> Path:
        """A copy of the tiny language model that may be changed."""
        return Path(shutil.copytree(self.llama, self.folder / name))

    def rows(self, *questions: str, source: str = "t") -> None:
        self.ingest(source, [ask(question) for question in questions])

    def results(self, scorer: Any, source: str = "t") -> dict[str, tuple[float | None, str]]:
        """Question -> stored (score, status)."""
        found = ScoreTable(self.home).results(scorer.measure, scorer.fingerprint.digest)
        stored = {
            key: (score, status)
            for key, score, status in zip(
                *(found[name].to_pylist() for name in found.column_names), strict=True
            )
        }
        turns = self.query(
            f"select t.instruction, t.{scorer.measure}_prompt_sha256 from store.turn t "
            "join store.pool_row p on p.sample_id = t.sample_id where p.source = ?", source,
        )  # fmt: skip
        return {text.removeprefix(f"{CANARY} "): stored[key] for text, key in turns if key in stored}

    def select(
        self,
        scorer: Any = None,
        embedder: Any = None,
        source: str = "t",
        budget: int | None = None,
        **chosen: Any,
    ) -> StoredLedger:
        """Score what lacks a score, embed, add up, and make the source's ledger."""
        self.score(source, scorer or FakeScorer("complexity"))
        self.score(source, FakeScorer("quality"))
        self.embed(source, embedder or FakeEmbedder())
        score_pool(self.warehouse, source, "sum")
        return self.ledger(source, budget=budget, **chosen)

    def ledger(self, *sources: str, budget: int | None = None, **chosen: Any) -> StoredLedger:
        scope = Scope("source", sources[0], sources) if len(sources) == 1 else Scope("mixture", "m", sources)
        parameters = SelectionParameters(**{"threshold": 1.0, **chosen})
        return make_ledger(self.warehouse, scope, parameters, budget=budget)

    def verdicts(self, ledger: StoredLedger) -> dict[str, tuple[str, str | None]]:
        """Question -> (verdict, reason)."""
        rows = self.query(
            "select t.instruction, l.verdict, l.reason from store.ledger_row l "
            "join store.turn t on t.sample_id = l.sample_id where l.ledger_id = ?", ledger.ledger_id,
        )  # fmt: skip
        return {text.removeprefix(f"{CANARY} "): (verdict, reason) for text, verdict, reason in rows}

    def attempts(self) -> list[str]:
        """Errors of failed attempts, as they are kept."""
        kept = [error for (error,) in self.query("select error from store.scoring_attempt order by all")]
        self.said += kept
        return kept

    def finding(self, name: str, measure: str = "complexity") -> Any:
        """One finding of the asset checks about the scores of `t`."""
        (found,) = [each for each in check_scores(self.warehouse, "t", measure) if each.check == name]
        self.said += [found.message, found.cure]
        return found

    def vectors(self, embedder: Any) -> set[str]:
        """Contents that have a vector."""
        return EmbeddingTable(self.home, embedder.fingerprint.digest, embedder.dimension).contents()

    def fails(
        self, call: Callable[[], Any], pattern: str, kind: type[BaseException] = DeitaError, gist: str = ""
    ) -> str:
        """Class and gist of the error that `call` must end in; it moves no pool, no head, no published byte."""
        before = Look.at(self.home)
        with pytest.raises(kind) as caught:
            call()
        holds(before, Look.at(self.home), succeeded=False)
        self.said.append(str(caught.value))
        found = re.search(pattern, str(caught.value))
        assert found, str(caught.value)
        if isinstance(caught.value, DeitaError):
            assert caught.value.cure, str(caught.value)
        return f"{type(caught.value).__name__}: {gist or found[0]}"

    def run(self, case: Case, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]) -> Any:
        """Do a case under the invariant; returns what it saw, for the witness."""
        before = Look.at(self.home)
        seen = case.do(self)
        holds(before, Look.at(self.home), succeeded=True)
        printed = capsys.readouterr()
        discreet("\n".join([*self.said, caplog.text, printed.out, printed.err]))
        return seen
