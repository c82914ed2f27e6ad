"""A transparent stand-in scorer for first runs: no model, no download, thousands of turns a second.

What belongs here: the weights, the two formulas and the scorer. What does not: counting (`heuristic_text`)
and word tables (`heuristic_cues`).

This is not a DEITA score and must never be shown as one. It reads length, structure and a few words; it knows
nothing about truth. Rankings by it follow length to a large degree, so compare them with a random and a
longest-first selection before you rely on them, and use the trained scorers for real curation.

Both formulas add named parts to a latent value x on the scale of the digits 1 to 6. The value becomes six
logits `-(k - x)^2 / (2 * spread^2)` and the score is their expectation, as with the trained scorers, so it
is a real number strictly between 1 and 6.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from deita_assets.core.evol_score import expected_score
from deita_assets.core.fingerprint import Fingerprint, canonical_json, sha256_hex
from deita_assets.errors import UsageError
from deita_assets.scorers import heuristic_cues, heuristic_text
from deita_assets.scorers.base import MEASURES, Measure, Status, TurnText
from deita_assets.scorers.heuristic_text import Text, read_text

#: Raise it whenever equal weights and words would give other scores.
ALGORITHM_VERSION = 1

#: Points of an instruction. The full parts add up to 5.0, so x spans 1.0 to 6.0.
COMPLEXITY_WEIGHTS: Mapping[str, float] = MappingProxyType(
    {
        "base": 1.0,
        "length": 1.2,  # added constraints make an instruction longer, but so does quoted input
        "length_full_words": 300.0,  # beyond it the rest is mostly quoted input
        "constraints": 1.1,
        "constraints_scale": 4.0,  # cues until 63 % of the part is reached
        "depth": 0.9,
        "depth_scale": 2.0,  # one `why` says much, the fifth adds little
        "richness": 1.0,  # the one cheap sign of a demanding subject that does not follow length
        "richness_scale": 1.0,
        "richness_letters": 9.0,
        "clauses": 0.4,
        "clauses_scale": 8.0,
        "structure": 0.4,
        "structure_scale": 4.0,
        "number": 0.5,  # a number is half a mark; a list line, heading or code mark is one
    }
)

#: Points of a response to its instruction. Gains reach x = 6.0; the penalties are what x loses at worst.
QUALITY_WEIGHTS: Mapping[str, float] = MappingProxyType(
    {
        "base": 1.3,
        "length": 2.5,  # no cheap signal orders human preferences better than answer length
        "length_full_words": 250.0,  # about 350 tokens; longer answers gain nothing more
        "relevance": 1.0,
        "relevance_scale": 0.25,  # a quarter of the instruction's topics taken up gives 63 % of the part
        "structure": 0.6,
        "structure_scale": 4.0,
        "richness": 0.6,
        "richness_scale": 15.0,
        "richness_letters": 7.0,
        "off_topic": 2.2,  # must outweigh what a long answer gains by its length
        "off_topic_from_words": 12.0,  # short right answers often share no word with the question
        "off_topic_full_words": 50.0,
        "off_topic_topics": 3.0,  # an instruction with fewer topics than this cannot show it
        "refusal": 2.2,
        "refusal_fade_words": 150.0,  # a long answer that opens with an apology still answers
        "repetition": 2.8,
        "repetition_from": 0.15,  # prose repeats under 10 % of its word triples, lists and verse 15 %
        "repetition_full": 0.6,
        "cut": 0.7,
        "bloat": 0.8,
        "bloat_from_words": 1000.0,
        "bloat_full_words": 8000.0,
        "echo": 1.5,  # the answer is the question
    }
)

#: Width of the kernel that turns x into six logits: neighbours of x keep weight, as trained scorers do.
SPREAD = 0.6
#: Kept away from 1 and 6, where the expectation over the digits can no longer tell values apart.
LATENT_RANGE = (1.0, 6.0)
#: Exponentials differ in the last bit between processors; nine decimals are equal on all of them.
_DECIMALS = 9


class HeuristicScorer:
    """Scores turns by counting, with the interface and the range of the trained scorers.

    Attributes:
        measure: `complexity` (reads the instruction only) or `quality` (reads both texts).
        fingerprint: algorithm version and the hash of the weights and word tables.
    """

    def __init__(self, measure: Measure = "complexity") -> None:
        """Makes a scorer for one measure.

        Raises:
            UsageError: for an unknown measure.
        """
        if measure not in MEASURES:
            raise UsageError(f"measure: found {measure!r}, expected one of {', '.join(MEASURES)}.")
        self.measure: Measure = measure
        self.fingerprint = Fingerprint(
            "scorer",
            "heuristic",
            {"algorithm": ALGORITHM_VERSION, "measure": measure, "weights_sha256": _weights_sha256(measure)},
        )

    def score_turns(self, turns: Sequence[TurnText]) -> tuple[NDArray[np.float64], list[Status]]:
        """Scores in (1, 6), shape (len(turns),), NaN exactly where the status is `empty_response`.

        Only quality has that status: a response without a visible character. Any other text gets a score.
        """
        latent: Callable[[str, str], float] = complexity_latent
        if self.measure == "quality":
            latent = quality_latent
        values = np.full(len(turns), np.nan, dtype=np.float64)
        statuses: list[Status] = ["ok"] * len(turns)
        for place, (instruction, response) in enumerate(turns):
            if self.measure == "quality" and not response.strip():
                statuses[place] = "empty_response"
            else:
                values[place] = latent(instruction, response)
        return _scores(values), statuses


def complexity_latent(instruction: str, response: str = "") -> float:
    """The latent complexity x of an instruction; the response is not read."""
    weights, text = COMPLEXITY_WEIGHTS, read_text(instruction)
    depth, constraint, clause = heuristic_text.count_cues(text)
    marks = heuristic_text.count_structure(text) + weights["number"] * heuristic_text.count_numbers(text)
    long_words = heuristic_text.distinct_long_words(text, int(weights["richness_letters"]))
    # Per square root of the length (Guiraud's index): a plain share would punish every long text.
    richness = long_words / math.sqrt(max(1.0, text.n_words))
    return (
        weights["base"]
        + weights["length"] * _log_share(text.n_words, weights["length_full_words"])
        + weights["constraints"] * _saturate(constraint, weights["constraints_scale"])
        + weights["depth"] * _saturate(depth, weights["depth_scale"])
        + weights["richness"] * _saturate(richness, weights["richness_scale"])
        + weights["clauses"] * _saturate(clause, weights["clauses_scale"])
        + weights["structure"] * _saturate(marks, weights["structure_scale"])
    )


def quality_latent(instruction: str, response: str) -> float:
    """The latent quality x of a response to an instruction."""
    asked, answer = read_text(instruction), read_text(response)
    return form_latent(asked, answer) + _topic_points(asked, answer)


def form_latent(asked: Text, answer: Text) -> float:
    """What `quality_latent` is without the instruction's topics: length, structure, richness, and the penalties."""
    weights = QUALITY_WEIGHTS
    marks = heuristic_text.count_structure(answer) + answer.raw.count("\n\n")
    long_words = heuristic_text.distinct_long_words(answer, int(weights["richness_letters"]))
    gain = (
        weights["base"]
        + weights["length"] * _log_share(answer.n_words, weights["length_full_words"])
        + weights["structure"] * _saturate(marks, weights["structure_scale"])
        + weights["richness"] * _saturate(long_words, weights["richness_scale"])
    )
    return gain - _penalties(asked, answer)


def _topic_points(asked: Text, answer: Text) -> float:
    """Gain for taking up the instruction's topics, loss for a longer answer that takes up none."""
    weights = QUALITY_WEIGHTS
    topics = heuristic_text.topic_keys(asked)
    if not topics:
        return 0.0
    share = len(topics & heuristic_text.topic_keys(answer)) / len(topics)
    related = _saturate(share, weights["relevance_scale"])
    if len(topics) < weights["off_topic_topics"] or heuristic_text.asks_for_transfer(asked):
        return weights["relevance"] * related
    start, full = weights["off_topic_from_words"], weights["off_topic_full_words"]
    exposed = _ramp(answer.n_words, start, full)
    # Cubed, so that a few shared topics clear an answer: long instructions carry many that need no mention.
    return weights["relevance"] * related - weights["off_topic"] * exposed * (1.0 - related) ** 3


def _penalties(asked: Text, answer: Text) -> float:
    """What an answer loses for refusing, repeating itself, stopping short, running on or echoing."""
    weights = QUALITY_WEIGHTS
    repeated = heuristic_text.repeated_share(answer)
    loss = weights["repetition"] * _ramp(repeated, weights["repetition_from"], weights["repetition_full"])
    if heuristic_text.opens_with_refusal(answer):
        loss += weights["refusal"] * math.exp(-answer.n_words / weights["refusal_fade_words"])
    if heuristic_text.looks_cut(answer):
        loss += weights["cut"]
    if answer.n_words > weights["bloat_from_words"]:
        excess = math.log(answer.n_words / weights["bloat_from_words"])
        loss += weights["bloat"] * min(
            1.0, excess / math.log(weights["bloat_full_words"] / weights["bloat_from_words"])
        )
    if answer.lower.strip() == asked.lower.strip():
        loss += weights["echo"]
    return loss


def _log_share(amount: float, full: float) -> float:
    """log(1 + amount) / log(1 + full), at most 1."""
    return min(1.0, math.log1p(amount) / math.log1p(full))


def _saturate(amount: float, scale: float) -> float:
    """1 - exp(-amount / scale): each further cue adds less."""
    return 1.0 - math.exp(-amount / scale)


def _ramp(amount: float, start: float, full: float) -> float:
    """0 up to `start`, 1 from `full` on, straight in between."""
    return min(1.0, max(0.0, (amount - start) / (full - start)))


def _scores(latents: NDArray[np.float64]) -> NDArray[np.float64]:
    digits = np.arange(1.0, 7.0)
    centre = np.clip(latents, *LATENT_RANGE)[:, np.newaxis]
    return np.round(expected_score(-((digits - centre) ** 2) / (2.0 * SPREAD**2)), _DECIMALS)


def _weights_sha256(measure: Measure) -> str:
    weights = COMPLEXITY_WEIGHTS if measure == "complexity" else QUALITY_WEIGHTS
    tables = {name: value for name, value in vars(heuristic_cues).items() if name.isupper()}
    return sha256_hex(canonical_json({"weights": dict(weights), "spread": SPREAD, "tables": tables}))
