"""Row filters: which rows of a scope may be selected at all, and the reason in words for each that may not.

What belongs here: the rules about one row, and about rows that are equal. What does not: reading rows, recognising
languages and evaluating conditions in SQL (engines.row_filters).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Final, Literal

from deita_assets.core.answer_phrases import BOILERPLATE, folded, phrase_in, refusal_in
from deita_assets.core.conversation import Conversation
from deita_assets.core.language_names import language_code
from deita_assets.errors import SettingsError

#: Reason of a row whose content an eligible row of another source has too.
EXACT_DUPLICATE: Final = "exact_duplicate"


@dataclass(frozen=True)
class FilterRules:
    """What a row must be like. None, False and empty set no rule.

    Attributes:
        min_chars: characters (code points) over all messages, at least.
        max_chars: the same, at most.
        min_turns: (user, assistant) pairs, at least.
        max_turns: the same, at most.
        last_message_assistant: the conversation must end with text of the assistant.
        languages: codes of ISO 639-1, or other labels that `language_code` knows.
        licences: licences of sources, compared without regard to case, spaces, hyphens and underscores.
        tools: `with` or `without` tools: tools on offer, tool calls or tool messages.
        refusals: leave out rows with an answer that refuses.
        boilerplate: leave out rows with an answer that speaks of itself as a language model.
        phrases: leave out rows with an answer that holds one of these, without regard to case.

    Raises:
        SettingsError: a language that nobody knows.
    """

    min_chars: int | None = None
    max_chars: int | None = None
    min_turns: int | None = None
    max_turns: int | None = None
    last_message_assistant: bool = False
    languages: tuple[str, ...] | None = None
    licences: tuple[str, ...] | None = None
    tools: Literal["with", "without"] | None = None
    refusals: bool = False
    boilerplate: bool = False
    phrases: tuple[str, ...] = ()
    _codes: tuple[str, ...] = field(init=False, repr=False, compare=False)
    _licences: frozenset[str] = field(init=False, repr=False, compare=False)
    _phrases: tuple[str, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        codes = [language_code(name) for name in self.languages or ()]
        if None in codes:
            unknown = (self.languages or ())[codes.index(None)]
            raise SettingsError(
                f"filters.languages: {unknown!r} is no language.", cure="Write codes such as en, de or zh."
            )
        object.__setattr__(self, "_codes", tuple(sorted({code for code in codes if code})))
        object.__setattr__(self, "_licences", frozenset(map(_licence_key, self.licences or ())))
        object.__setattr__(
            self, "_phrases", tuple(folded(phrase) for phrase in sorted(set(self.phrases)) if phrase)
        )

    def as_spec(self) -> dict[str, Any]:
        """The rules that are set, as JSON values, for the spec of a ledger."""
        found: dict[str, Any] = {}
        for rule in fields(self):
            value = getattr(self, rule.name)
            if rule.init and value != rule.default:
                found[rule.name] = sorted(set(value)) if isinstance(value, tuple) else value
        if self.languages is not None:
            found["languages"] = list(self._codes)
        return found

    @property
    def codes(self) -> tuple[str, ...]:
        """The languages as codes, in order."""
        return self._codes

    @property
    def reads_texts(self) -> bool:
        """True when a rule needs the conversation itself, not only what is counted of it."""
        return bool(
            self.last_message_assistant or self.tools or self.refusals or self.boilerplate or self._phrases
        )

    def refuses_counts(self, facts: RowFacts) -> str | None:
        """The first rule about counts or licence that a row breaks, in words; None when it keeps them all."""
        for name, count, unit in (("min_chars", facts.n_chars, 1), ("max_chars", facts.n_chars, -1),
                                  ("min_turns", facts.n_turns, 1), ("max_turns", facts.n_turns, -1)):  # fmt: skip
            limit = getattr(self, name)
            if limit is not None and count * unit < limit * unit:
                return f"{name}: {count} {'<' if unit > 0 else '>'} {limit}"
        if self.licences is not None and _licence_key(facts.licence or "") not in self._licences:
            return f"licence: {facts.licence} not allowed" if facts.licence else "licence: none is known"
        return None

    def refuses_texts(self, conversation: Conversation) -> str | None:
        """The first rule about messages that a conversation breaks, in words; None when it keeps them all."""
        if self.tools is not None:
            has_tools = uses_tools(conversation)
            if has_tools is not (self.tools == "with"):
                return f"tools: {'without' if self.tools == 'with' else 'with'} tools"
        if self.last_message_assistant and (ending := _other_ending(conversation)):
            return f"last_message_assistant: ends with {ending}"
        return self._refuses_answers(conversation)

    def refuses_language(self, code: str | None) -> str | None:
        """The reason against a language, as a code or None where none was recognised."""
        if self.languages is None or code in self._codes:
            return None
        return f"language: {code or 'none recognised,'} not in {', '.join(self._codes)}"

    def _refuses_answers(self, conversation: Conversation) -> str | None:
        if not (self.refusals or self.boilerplate or self._phrases):
            return None
        answers = [folded(message.content) for message in conversation.messages
                   if message.role == "assistant" and message.content]  # fmt: skip
        if self.refusals and (found := _first(refusal_in(answer) for answer in answers)):
            return f'refusal: "{found}"'
        if self.boilerplate and (found := _first(phrase_in(answer, BOILERPLATE) for answer in answers)):
            return f'boilerplate: "{found}"'
        if found := _first(phrase_in(answer, self._phrases) for answer in answers):
            return f'phrase: "{found}"'
        return None


@dataclass(frozen=True, slots=True)
class RowFacts:
    """What is known of a row without reading it."""

    sample_id: str
    content_sha256: str
    n_chars: int
    n_turns: int
    language: str | None
    licence: str | None


def uses_tools(conversation: Conversation) -> bool:
    """True for tools on offer, a tool call or a tool message."""
    return conversation.tools is not None or any(
        message.role == "tool" or message.tool_calls for message in conversation.messages
    )


def exact_duplicates(rows: Iterable[tuple[str, str, str]], priority: Sequence[str]) -> dict[str, str]:
    """Rows whose content a better placed row has too, each with the row that stands for it.

    Args:
        rows: (sample_id, content_sha256, source) of rows that may be selected.
        priority: sources, the one that is to give its row first; sources not named come last.

    Returns:
        sample_id -> sample_id of the row of the first source, ties to the smaller id.
    """
    place = {source: at for at, source in reversed(list(enumerate(priority)))}
    groups: dict[str, list[tuple[int, str]]] = {}
    for sample_id, content, source in rows:
        groups.setdefault(content, []).append((place.get(source, len(priority)), sample_id))
    standing: dict[str, str] = {}
    for group in groups.values():
        if len(group) > 1:
            best = min(group)
            standing.update({sample_id: best[1] for _, sample_id in group if sample_id != best[1]})
    return standing


def excluded_digest(excluded: Mapping[str, str]) -> str:
    """sha256 over the sorted lines `sample_id reason`: what the filters made of a pool, 64 hex characters."""
    digest = hashlib.sha256()
    for sample_id in sorted(excluded):
        digest.update(f"{sample_id} {excluded[sample_id]}\n".encode())
    return digest.hexdigest()


def _other_ending(conversation: Conversation) -> str | None:
    """What a conversation ends with, where that is no text of the assistant."""
    last = conversation.messages[-1]
    if last.role != "assistant":
        return f"a {last.role} message"
    return None if last.content and not last.content.isspace() else "an assistant message without text"


def _licence_key(licence: str) -> str:
    return re.sub(r"[\s_-]+", "-", licence.strip().casefold())


def _first(found: Iterator[str | None]) -> str | None:
    return next((phrase for phrase in found if phrase), None)
