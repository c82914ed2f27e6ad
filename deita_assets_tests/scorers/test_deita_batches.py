"""Batches: what rows stand together, and what memory allows, changes no score."""

import numpy as np
import pytest
import torch
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st

from deita_assets.scorers.causal_lm import DigitModel
from deita_assets.scorers.deita import DeitaScorer

WORDS = ["the", "sea", "Why", "7", "</s>", "\n", "日本", "poem", "x = 1;", "  "]
#: Up to 400 tokens: with a window of 200 some prompts are cut, and padding reaches more than a hundred tokens.
TEXTS = st.lists(st.sampled_from(WORDS), max_size=90).map(" ".join)
TURNS = st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=7)
BATCHES = st.sampled_from([1, 200, 450, 1_000_000])
#: Greatest difference over 840 random turns: 1e-6 in float32, 7e-3 in bfloat16, which keeps 8 bits.
TOLERANCES = {"float32": 1e-5, "bfloat16": 0.05}


@pytest.fixture(scope="module", params=TOLERANCES)
def scorers(llama, request):
    """One scorer per batch size, loaded once."""
    sizes = (1, 200, 450, 1_000_000)
    made = {
        n: DeitaScorer(llama, "quality", max_length=200, dtype=request.param, batch_tokens=n) for n in sizes
    }
    return made, TOLERANCES[request.param]


@settings(deadline=None, max_examples=40)
@given(turns=TURNS, batch_tokens=BATCHES, randomly=st.randoms(use_true_random=False))
def test_neighbours_padding_and_order_change_no_score(scorers, turns, batch_tokens, randomly):
    made, tolerance = scorers
    alone = [made[1].score_turns([turn]) for turn in turns]
    order = list(range(len(turns)))
    randomly.shuffle(order)
    scores, statuses = made[batch_tokens].score_turns([turns[i] for i in order])
    assert statuses == [alone[i][1][0] for i in order]
    assert scores == pytest.approx([alone[i][0][0] for i in order], abs=tolerance, nan_ok=True)
    assert [status == "empty_response" for status in statuses] == [not turns[i][1].strip() for i in order]


LONG = [("sea " * n, "poem " * n) for n in (40, 30, 25, 20, 10, 5)]


@pytest.fixture
def memory(monkeypatch):
    """`memory(rows, error)`: forward passes of more rows raise `error`; gives the rows of every pass."""
    seen, forward = [], transformers.LlamaForCausalLM.forward

    def limit(most, error):
        def limited(self, input_ids=None, **inputs):
            seen.append(len(input_ids))
            if len(input_ids) > most:
                raise error
            return forward(self, input_ids=input_ids, **inputs)

        monkeypatch.setattr(transformers.LlamaForCausalLM, "forward", limited)
        return seen

    return limit


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("MPS backend out of memory (MPS allocated: 8.00 GB)"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    ],
    ids=["CUDA", "MPS", "CPU", "cuBLAS"],
)
def test_every_way_of_running_out_of_memory_is_met_with_smaller_batches(llama, memory, error):
    expected, _ = DeitaScorer(llama, "quality").score_turns(LONG)
    memory(2, error)
    scores, statuses = DeitaScorer(llama, "quality", batch_tokens=1_000_000).score_turns(LONG)
    assert scores == pytest.approx(expected, abs=1e-5)
    assert statuses == ["ok"] * len(LONG)


def test_a_batch_size_that_failed_is_not_tried_again(llama, memory):
    scorer = DeitaScorer(llama, "quality", batch_tokens=1_000_000)
    scorer.load()
    seen = memory(3, torch.OutOfMemoryError())
    first, _ = scorer.score_turns(LONG)
    assert seen[0] == len(LONG)
    seen.clear()
    second, _ = scorer.score_turns(LONG)
    assert max(seen) <= 3
    assert second == pytest.approx(first, abs=1e-5)


def test_memory_that_one_row_exceeds_is_an_error_and_no_status(llama, memory):
    scorer = DeitaScorer(llama, batch_tokens=1_000_000)
    scorer.load()
    memory(0, RuntimeError("MPS backend out of memory"))
    with pytest.raises(torch.OutOfMemoryError, match="MPS"):
        scorer.score_turns(LONG)


def test_other_errors_of_the_forward_pass_are_raised_as_they_are(llama, memory):
    scorer = DeitaScorer(llama, batch_tokens=1_000_000)
    scorer.load()
    seen = memory(0, RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    with pytest.raises(RuntimeError, match="mat1") as caught:
        scorer.score_turns(LONG)
    assert not isinstance(caught.value, torch.OutOfMemoryError)
    assert len(seen) == 1


def test_batches_hold_one_row_on_a_cpu_and_many_elsewhere(llama, monkeypatch):
    sizes, forward = [], DigitModel.digit_logits

    def spied(self, rows):
        sizes.append(len(rows))
        return forward(self, rows)

    for device in ("cpu", "cpu:0"):
        scorer = DeitaScorer(llama, device=device)
        scorer.load()
        with monkeypatch.context() as patched:
            patched.setattr(DigitModel, "digit_logits", spied)
            scores, _ = scorer.score_turns(LONG)
        assert np.isfinite(scores).all()
    assert set(sizes) == {1}
