"""The language of rows that carry no label: recognised once, kept by content.

What belongs here: the detector, and covering rows with it. What does not: which languages a scope wants.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property
from importlib.metadata import version
from itertools import islice
from typing import Any, Protocol

import pyarrow as pa

from deita_assets.core.conversation import Conversation
from deita_assets.engines.progress import Progress
from deita_assets.errors import SettingsError
from deita_assets.stores.row_facts import conversation_batches, known_languages, save_languages
from deita_assets.stores.warehouse import Warehouse

#: Characters of user and assistant text that are looked at: on real pools longer texts are not recognised better.
LOOKED_AT = 1_000
#: Rows recognised between two commits; 600 rows a second take about 2 s.
_COMMIT_ROWS = 1_024


class LanguageDetector(Protocol):
    """Recognises languages; the same text always gives the same answer.

    Attributes:
        name: changes whenever an answer could.
    """

    name: str

    def detect(self, texts: list[str]) -> list[str | None]:
        """ISO 639-1 code of each text, None where nothing is recognised."""
        ...


class Lingua:
    """`lingua-language-detector`: n-gram models inside its wheel, all cores, about 1.1 GB once everything is loaded.

    Latin and Esperanto are left out of its choice: of 1,517 rows of code they took one in thirty, and instruction
    pools hold next to none.
    """

    def __init__(self) -> None:
        try:
            import lingua
        except ImportError as error:
            raise SettingsError(
                "filters.languages: rows without a label have to be recognised, and lingua is not installed.",
                cure="Run `pip install 'deita-assets[language]'`.",
            ) from error
        self._lingua: Any = lingua
        self.name = f"lingua/{version('lingua-language-detector')}/without la eo/{LOOKED_AT}"

    @cached_property
    def _detector(self) -> Any:
        left_out = (self._lingua.Language.LATIN, self._lingua.Language.ESPERANTO)
        return self._lingua.LanguageDetectorBuilder.from_all_languages_without(*left_out).build()

    def detect(self, texts: list[str]) -> list[str | None]:
        """ISO 639-1 code of each text, None where nothing is recognised."""
        found = self._detector.detect_languages_in_parallel_of(texts)
        return [None if one is None else one.iso_code_639_1.name.lower() for one in found]


def recognise_languages(
    warehouse: Warehouse,
    rows: pa.Table,
    detector: LanguageDetector | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> dict[str, str | None]:
    """content_sha256 -> language of `rows` (out of `row_facts`), as recognised; None where nothing was.

    What was recognised before is not read again; what is recognised now is kept batch by batch.

    Raises:
        SettingsError: a row has to be recognised and the extra `language` is not installed.
    """
    contents = rows["content_sha256"].to_pylist()
    if not contents:
        return {}
    detector = detector or Lingua()
    with warehouse.read("languages: known") as con:
        known = known_languages(con, contents, detector.name)
    missing = [content not in known for content in contents]
    wanted = rows.filter(pa.array(missing, pa.bool_()))
    content_of = dict(zip(wanted["sample_id"].to_pylist(), wanted["content_sha256"].to_pylist(), strict=True))
    progress = Progress(wanted.num_rows, wanted.num_rows, on_progress or (lambda _: None))
    for batch in conversation_batches(warehouse, wanted):
        samples = iter(batch)
        while part := list(islice(samples, _COMMIT_ROWS)):
            codes = detector.detect([opening(text) for _, text in part])
            found = {content_of[sample_id]: code for (sample_id, _), code in zip(part, codes, strict=True)}
            with warehouse.write("languages: recognised") as con:
                save_languages(con, detector.name, found)
            known.update(found)
            progress.advance(len(part), len(part))
    progress.finish()
    return known


def opening(canonical: str) -> str:
    """The first characters of what user and assistant say in a canonical conversation."""
    pieces: list[str] = []
    room = LOOKED_AT
    for text in _said(Conversation.from_canonical(canonical)):
        pieces.append(text[:room])
        room -= len(pieces[-1]) + 1
        if room <= 0:
            break
    return "\n".join(pieces)


def _said(conversation: Conversation) -> Iterator[str]:
    for message in conversation.messages:
        if message.role in ("user", "assistant") and message.content:
            yield message.content
