"""The shipped graded set keeps the rules that its datasheet states."""

import json
import re
from collections import Counter, defaultdict
from itertools import combinations

import numpy as np
import pytest

from deita_assets.training.graded_set import packaged_set, read_graded_set, split
from deita_assets.training.statistics import spearman, weighted_kappa

EVOLUTIONS = {"add_constraint", "deepen", "concretise", "more_reasoning"}
BETTER = {"helpfulness", "relevance", "depth", "creativity", "detail"}
WORSE = {"wrong", "evasive", "off_topic", "bloated", "refusal", "incomplete"}
BINS = ("short", "middle", "long")
_KANA_HAN = re.compile("[\u3040-\u30ff\u3400-\u9fff]")


def n_words(text):
    """Words between white space; two characters of Chinese or Japanese count as one."""
    return len(_KANA_HAN.sub(" ", text).split()) + (len(_KANA_HAN.findall(text)) + 1) // 2


def length_bin(text):
    n = n_words(text)
    return "short" if n < 25 else "middle" if n <= 80 else "long"


@pytest.fixture(scope="module")
def complexity():
    return read_graded_set(packaged_set("complexity"), "complexity")


@pytest.fixture(scope="module")
def quality():
    return read_graded_set(packaged_set("quality"), "quality")


def by_seed(texts):
    groups = defaultdict(list)
    for text in texts:
        groups[text.seed].append(text)
    return groups


def seeds(texts):
    return [text for text in texts if text.parent is None]


def test_complexity_has_enough_seeds_domains_and_languages(complexity):
    found = seeds(complexity)
    assert len(found) >= 600
    assert min(Counter(text.grade for text in found).values()) >= 60
    assert len({text.domain for text in found}) >= 12
    assert np.mean([text.language != "en" for text in found]) >= 0.15
    assert len({text.language for text in found}) >= 10


def test_in_every_grade_the_seeds_fill_the_length_bins_evenly(complexity):
    cells = Counter((text.grade, length_bin(text.instruction)) for text in seeds(complexity))
    for grade in range(1, 7):
        counts = [cells[grade, name] for name in BINS]
        mean = sum(counts) / len(counts)
        assert all(0.75 * mean <= count <= 1.25 * mean for count in counts), (grade, counts)


def test_length_says_little_about_the_grade_of_a_seed(complexity):
    found = seeds(complexity)
    rho = spearman([n_words(text.instruction) for text in found], [text.grade for text in found])
    assert abs(rho) <= 0.15


def test_chains_are_whole_rise_and_are_not_a_matter_of_length(complexity):
    chains = [group for group in by_seed(complexity).values() if len(group) > 1]
    assert len(chains) >= 120
    not_longer = 0
    for chain in chains:
        assert len(chain) == 6
        assert [text.parent for text in chain[1:]] == [text.id for text in chain[:-1]]
        assert {text.mutation for text in chain[1:]} == EVOLUTIONS
        assert chain[-1].grade >= chain[0].grade + 1
        not_longer += any(
            later.grade > earlier.grade and n_words(later.instruction) <= n_words(earlier.instruction)
            for earlier, later in zip(chain, chain[1:], strict=False)
        )
    assert not_longer >= len(chains) / 5
    orders = {tuple(text.mutation for text in chain[1:]) for chain in chains}
    assert len(orders) >= 30


def test_quality_has_enough_groups_and_every_kind_of_response(quality):
    groups = by_seed(quality)
    assert len(groups) >= 150
    assert {text.mutation for text in quality} == {None, *BETTER, *WORSE}
    assert set(Counter(text.grade for text in quality)) == set(range(1, 7))
    for group in groups.values():
        assert len({text.instruction for text in group}) == 1
        assert len({text.grade for text in group}) >= 3


def test_the_better_response_is_shorter_in_two_of_five_pairs_or_more(quality):
    shorter = [
        n_words(max(pair, key=lambda text: text.grade).response)
        < n_words(min(pair, key=lambda text: text.grade).response)
        for group in by_seed(quality).values()
        for pair in combinations(group, 2)
        if pair[0].grade != pair[1].grade
    ]
    assert 0.4 <= np.mean(shorter) <= 0.6


@pytest.mark.parametrize("measure", ["complexity", "quality"])
def test_two_gradings_agree_and_what_was_decided_lies_between_them(measure, request):
    texts = request.getfixturevalue(measure)
    assert all(len(text.grades) == 2 for text in texts)
    assert weighted_kappa(*zip(*(text.grades for text in texts), strict=True)) >= 0.8
    for text in texts:
        if abs(text.grades[0] - text.grades[1]) < 2:
            assert text.grade in text.grades


@pytest.mark.parametrize("measure", ["complexity", "quality"])
def test_no_text_stands_twice_and_none_names_its_grade(measure, request):
    texts = request.getfixturevalue(measure)
    keys = [(text.instruction, text.response) for text in texts]
    assert len(set(keys)) == len(keys)
    assert all(text.instruction.strip() for text in texts)
    assert not any(
        re.search(r"\b(grade [1-6]|expert[- ]level|anchor)\b", text.instruction, re.I) for text in texts
    )


@pytest.mark.parametrize("measure", ["complexity", "quality"])
def test_a_fifth_of_the_seeds_is_held_out_and_has_every_grade(measure, request):
    learnt, held = split(request.getfixturevalue(measure))
    share = len(by_seed(held)) / (len(by_seed(held)) + len(by_seed(learnt)))
    assert 0.15 <= share <= 0.25
    assert {text.grade for text in held} == set(range(1, 7))


@pytest.mark.slow
@pytest.mark.parametrize("measure", ["complexity", "quality"])
def test_outside_a_seed_no_two_texts_are_nearly_the_same(measure, request):
    from deita_assets.embedders.sentence import SentenceEmbedder

    texts = request.getfixturevalue(measure)
    joined = [
        text.instruction if text.response is None else f"{text.instruction}\n\n{text.response}"
        for text in texts
    ]
    vectors = SentenceEmbedder().embed_texts(joined)
    similar = vectors @ vectors.T
    names = np.array([text.seed for text in texts])
    similar[names[:, None] == names] = 0.0
    assert similar.max() <= 0.9


def test_the_datasheet_states_the_counts_that_are_there(complexity, quality):
    sheet = (packaged_set("complexity").parent / "DATASHEET.md").read_text(encoding="utf-8")
    stated = json.loads(re.search(r"```json\n(.*?)```", sheet, re.S).group(1))
    assert stated == {"complexity": counts(complexity), "quality": counts(quality)}


def counts(texts):
    """The figures of the datasheet."""
    found = seeds(texts)
    chained = [group for group in by_seed(texts).values() if len(group) > 1]
    kappa = weighted_kappa(*zip(*(text.grades for text in texts), strict=True))
    return {
        "texts": len(texts),
        "seeds": len(found),
        "chains_or_groups": len(chained),
        "domains": len({text.domain for text in found}),
        "languages": dict(sorted(Counter(text.language for text in found).items())),
        "grades": {str(grade): n for grade, n in sorted(Counter(text.grade for text in texts).items())},
        "graded_alike_twice": round(float(np.mean([a == b for a, b in (t.grades for t in texts)])), 3),
        "two_or_more_apart": sum(abs(a - b) >= 2 for a, b in (text.grades for text in texts)),
        "weighted_kappa": round(kappa, 3),
    }
