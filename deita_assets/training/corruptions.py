"""Mechanical corruptions of good answers: a ladder on which any quality scorer should stand firm.

Every corruption keeps the separators of its text (spaces, line breaks) and, but for a cut in mid-sentence, its final
punctuation, so that a scorer cannot tell it by traces of the tool.

What belongs here: making corruptions, reproducibly from a name. What does not: who learns from them.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from deita_assets.scorers.distilled.turn_text import sentences
from deita_assets.training.graded_set import GradedText, place_of

#: An answer of fewer sentences can be shuffled into sense.
SHUFFLED_SENTENCES = 4
_CUT_WORDS = 12
_FINAL = ".!?\u2026\u3002\uff01\uff1f"
_PIECES = re.compile(r"(\s+)")
#: Without need. Even places are learnt from, odd ones judged with, so that no phrase is known beforehand.
_REFUSALS: dict[str, tuple[str, ...]] = {
    "en": (
        "I'm sorry, but I can't help with that request.",
        "Unfortunately this is something I am not in a position to answer.",
        "As an AI language model, I cannot provide an answer to this question.",
        "I would rather not respond to this. Please ask a professional instead.",
        "I am unable to assist with this. Is there anything else I can do for you?",
        "Thank you for asking, but that goes beyond what I am able to do here.",
    ),
    "de": ("Es tut mir leid, dabei kann ich nicht helfen.", "Dazu kann ich leider keine Auskunft geben."),
    "fr": (
        "Je suis d\u00e9sol\u00e9, je ne peux pas vous aider.",
        "Je pr\u00e9f\u00e8re ne pas r\u00e9pondre \u00e0 cette demande.",
    ),
    "es": (
        "Lo siento, no puedo ayudarte con eso.",
        "Por desgracia, no me es posible responder a esta pregunta.",
    ),
}


@dataclass(frozen=True)
class Corruption:
    """A corrupted answer beside the good one.

    Attributes:
        kind: one of `KINDS`.
        original: the answer that was corrupted.
        response: what became of it.
    """

    kind: str
    original: GradedText
    response: str


def truncation(text: str, rng: random.Random) -> str | None:
    """The first 40 to 70 % of the words, cut in the middle of a sentence."""
    pieces = _PIECES.split(text.strip())
    words = (len(pieces) + 1) // 2
    if words < _CUT_WORDS:
        return None
    keep = int(words * rng.uniform(0.4, 0.7))
    cut = "".join(pieces[: 2 * keep - 1])
    return cut.rstrip(".!?,;:\u2026") or None


def truncation_at_sentence(text: str, rng: random.Random) -> str | None:
    """The first 35 to 70 % of the sentences, all whole: only what is missing tells."""
    parts = sentences(text.strip())
    if len(parts) < 3:
        return None
    keep = max(1, int(len(parts) * rng.uniform(0.35, 0.7)))
    return "".join(parts[:keep]).rstrip()


def word_shuffle(text: str, rng: random.Random) -> str | None:
    """All words in another order; white space and final punctuation stay where they were."""
    body, final = _body(text.strip())
    pieces = _PIECES.split(body)
    if len(pieces) < 2 * 5:
        return None
    words = pieces[::2]
    shuffled = _other_order(words, rng)
    return None if shuffled is None else "".join(_interleave(shuffled, pieces[1::2])) + final


def sentence_shuffle(text: str, rng: random.Random) -> str | None:
    """All sentences in another order; what stood between them stays where it was. None for lists, code and verse.

    Their lines make sense in many orders; prose is what ends three of four parts with a full stop.
    """
    parts = sentences(text.strip())
    ended = sum(part.rstrip().endswith(tuple(_FINAL)) for part in parts)
    if ended < SHUFFLED_SENTENCES or ended < 0.75 * len(parts):
        return None
    shuffled = _other_order([part.rstrip() for part in parts], rng)
    gaps = [part[len(part.rstrip()) :] for part in parts]
    return None if shuffled is None else "".join(_interleave(shuffled, gaps))


def repetition(text: str, rng: random.Random) -> str | None:
    """One of the first sentences, over and over, to about the length of the text."""
    parts = sentences(text.strip())
    if not parts or len(text.split()) < _CUT_WORDS:
        return None
    again = rng.choice(parts[:3]).strip()
    times = max(3, round(len(text) / max(1, len(again))))
    return " ".join([again] * min(times, 40))


def empty(text: str, rng: random.Random) -> str | None:
    """Nothing. A scorer gives it no score (`empty_response`), so it is judged and not learnt from."""
    return ""


_MAKERS: dict[str, Callable[[str, random.Random], str | None]] = {
    "truncation": truncation,
    "truncation_at_sentence": truncation_at_sentence,
    "word_shuffle": word_shuffle,
    "sentence_shuffle": sentence_shuffle,
    "repetition": repetition,
    "empty": empty,
}
KINDS = (*_MAKERS, "other_answer", "refusal")


def corruptions(good: Sequence[GradedText], *, judged: bool) -> list[Corruption]:
    """Every corruption that each good answer allows; the same ones for the same answers.

    Args:
        good: answers worth corrupting; other answers are taken from among them.
        judged: use the refusals that nobody learnt from.
    """
    made = []
    for at, text in enumerate(good):
        rng = random.Random(f"corruption {text.id}")  # noqa: S311 - reproducible, not secret
        answer = text.response or ""
        for kind, make in _MAKERS.items():
            broken = make(answer, rng)
            if broken is not None and broken != answer:
                made.append(Corruption(kind, text, broken))
        other = _other_answer(good, at)
        if other is not None:
            made.append(Corruption("other_answer", text, other))
        made.append(Corruption("refusal", text, _refusal(text.language, rng, judged=judged)))
    return made


def _other_answer(good: Sequence[GradedText], at: int) -> str | None:
    """The answer nearest in length, in the same language, to another instruction."""
    text = good[at]
    others = [one for one in good if one.seed != text.seed and one.language == text.language and one.response]
    length = len(text.response or "")
    near = sorted(others, key=lambda one: (abs(len(one.response or "") - length), place_of(one.id)))
    return near[0].response if near else None


def _refusal(language: str, rng: random.Random, *, judged: bool) -> str:
    phrases = _REFUSALS.get(language, _REFUSALS["en"])
    return rng.choice(phrases[1 if judged else 0 :: 2])


def _body(text: str) -> tuple[str, str]:
    """A text without its final punctuation and the space that French puts before it, and those."""
    body = text.rstrip().rstrip(_FINAL).rstrip()
    return body, text[len(body) :]


def _interleave(words: Sequence[str], gaps: Sequence[str]) -> list[str]:
    woven = [piece for pair in zip(words, gaps, strict=False) for piece in pair]
    return [*woven, *words[len(gaps) :]]


def _other_order(parts: Sequence[str], rng: random.Random) -> list[str] | None:
    """The parts shuffled so that the text changes; None when they are all alike."""
    if len(set(parts)) < 2:
        return None
    shuffled = list(parts)
    while shuffled == list(parts):
        rng.shuffle(shuffled)
    return shuffled
