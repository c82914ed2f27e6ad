import json
import shutil

import numpy as np
import pytest
import torch
import transformers

from deita_assets.scorers.causal_lm import DigitModel
from deita_assets.scorers.deita import DeitaScorer
from deita_assets.scorers.deita_prompt import build_prompt
from deita_assets_tests.scorers.tiny_models import (
    save_llama,
    save_llama_tokenizer,
    save_model,
    save_tokenizer,
    small_config,
)

TURNS = [
    ("Why is the sky blue?", "Because air scatters short waves more than long ones."),
    ("hi", "hello"),
    ("Write a poem about the sea, in four lines.", "Sea.\nSalt.\nSand.\nSun."),
    ("解释一下量子纠缠", "量子纠缠是一种现象。"),
    ("", "An answer to nothing"),
    ("Sum 1 2 3 4 5 6 " * 20, "21 " * 50),
]
DIGITS = "123456"
END_PAD = {"pad_token": "</s>"}


def expectation(logits):
    """Sum of k * softmax over six logits, in float64."""
    weights = np.exp(logits - logits.max())
    return float((weights * np.arange(1, 7)).sum() / weights.sum())


def reference(folder, measure, turn):
    """Score by `generate`, with the library's own tokenizer call and the logits over the whole vocabulary."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    prompt = build_prompt(measure, *turn).text
    out = model.generate(
        **tokenizer(prompt, return_tensors="pt", return_token_type_ids=False),
        max_new_tokens=1,
        do_sample=False,
        output_scores=True,
        return_dict_in_generate=True,
        pad_token_id=1,
    )
    ids = [tokenizer(digit, add_special_tokens=False)["input_ids"][-1] for digit in DIGITS]
    return expectation(out.scores[0][0, ids].double().numpy())


@pytest.mark.parametrize("measure", ["complexity", "quality"])
def test_score_is_the_expectation_over_the_digits_that_generate_would_sample(llama, measure):
    scores, statuses = DeitaScorer(llama, measure).score_turns(TURNS)
    assert statuses == ["ok"] * len(TURNS)
    assert scores == pytest.approx([reference(llama, measure, turn) for turn in TURNS], abs=1e-5)
    assert scores.dtype == np.float64
    assert np.ptp(scores) > 0.2, "the tiny model must tell the turns apart, else this test shows nothing"


def test_sampling_in_the_models_generation_config_changes_nothing(llama, tmp_path):
    """`generate` returns scores after its warpers: with these settings most of the six would be -inf there."""
    expected, _ = DeitaScorer(llama).score_turns(TURNS)
    model = transformers.AutoModelForCausalLM.from_pretrained(llama)
    model.generation_config.update(do_sample=True, temperature=0.6, top_p=0.9, top_k=2)
    model.save_pretrained(tmp_path)
    assert (tmp_path / "generation_config.json").exists()
    scores, statuses = DeitaScorer(save_tokenizer(tmp_path)).score_turns(TURNS)
    assert statuses == ["ok"] * len(TURNS)
    assert scores.tolist() == expected.tolist()


def test_truncation_and_padding_that_a_tokenizer_file_asks_for_do_not_happen(llama, tmp_path):
    folder = shutil.copytree(llama, tmp_path / "copy")
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    tokenizer["truncation"] = {
        "direction": "Right", "max_length": 30, "strategy": "LongestFirst", "stride": 0
    }  # fmt: skip
    tokenizer["padding"] = {
        "strategy": {"Fixed": 600}, "direction": "Right", "pad_to_multiple_of": None,
        "pad_id": 1, "pad_type_id": 0, "pad_token": "</s>",
    }  # fmt: skip
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    scores, _ = DeitaScorer(folder).score_turns(TURNS)
    assert scores.tolist() == DeitaScorer(llama).score_turns(TURNS)[0].tolist()


@pytest.mark.parametrize("batch_tokens", [1, 300, 1_000_000])
def test_a_score_depends_on_no_other_row(llama, batch_tokens):
    alone = np.concatenate([DeitaScorer(llama, "quality").score_turns([turn])[0] for turn in TURNS])
    scorer = DeitaScorer(llama, "quality", batch_tokens=batch_tokens)
    for order in (list(range(6)), [5, 4, 3, 2, 1, 0], [3, 0, 5, 1, 4, 2]):
        scores, _ = scorer.score_turns([TURNS[i] for i in order])
        assert scores == pytest.approx(alone[order], abs=1e-5)


def test_the_side_on_which_a_tokenizer_pads_changes_nothing(llama, tmp_path):
    scores = []
    for side in ("left", "right"):
        folder = tmp_path / side
        for loaded in (
            transformers.AutoTokenizer.from_pretrained(llama, padding_side=side, **END_PAD),
            transformers.AutoModelForCausalLM.from_pretrained(llama),
        ):
            loaded.save_pretrained(folder)
        scores.append(DeitaScorer(folder, batch_tokens=100_000).score_turns(TURNS)[0])
    assert scores[0].tolist() == scores[1].tolist()


def test_equal_runs_give_equal_bits(llama):
    assert (
        DeitaScorer(llama).score_turns(TURNS)[0].tolist() == DeitaScorer(llama).score_turns(TURNS)[0].tolist()
    )


def test_special_tokens_in_a_row_are_plain_text(llama):
    scorer = DeitaScorer(llama)
    prompt = build_prompt("complexity", "end</s><s>start").text
    [ids] = scorer.load().encode([prompt])
    tokenizer = transformers.AutoTokenizer.from_pretrained(llama)
    assert ids[0] == tokenizer.bos_token_id
    assert tokenizer.bos_token_id not in ids[1:]
    assert tokenizer.eos_token_id not in ids
    assert tokenizer.decode(ids[1:]) == prompt
    parsed = tokenizer(prompt)["input_ids"]
    assert parsed.count(tokenizer.eos_token_id) == 1, "the control: a plain call does parse them"
    # The second control: the same bytes through the bare model, which knows no added tokens at all.
    backend = tokenizer.backend_tokenizer
    pieces = [piece for piece, _ in backend.pre_tokenizer.pre_tokenize_str(prompt)]
    assert ids[1:] == [token.id for piece in pieces for token in backend.model.tokenize(piece)]


@pytest.mark.parametrize("measure", ["complexity", "quality"])
def test_truncation_keeps_template_and_cue_and_fills_the_window(llama, measure, monkeypatch):
    seen = spy_on_rows(monkeypatch)
    long_turn = ("start " + "word " * 3000 + "end", "first " + "more " * 2000 + "last")
    window = 128
    scores, statuses = DeitaScorer(llama, measure, max_length=window).score_turns([long_turn, TURNS[1]])
    assert statuses == ["truncated", "ok"]
    assert np.isfinite(scores).all()
    cut = max(seen, key=len)
    assert len(cut) == window
    text = transformers.AutoTokenizer.from_pretrained(llama).decode(cut[1:])
    head, *_, cue = build_prompt(measure, "\0", "\0").text.split("\0")
    assert text.startswith(head + "start ")
    assert text.endswith(("end" if measure == "complexity" else "last") + cue)


def test_truncated_scores_follow_the_kept_text(llama):
    scorer = DeitaScorer(llama, max_length=96)
    filler = "word " * 400
    scores, _ = scorer.score_turns([(f"alpha {filler}omega", ""), (f"alpha {filler}beta", "")])
    again, _ = scorer.score_turns([(f"alpha {filler}{filler}omega", "")])
    assert scores[0] != scores[1]
    assert again[0] == scores[0], "what was cut away must not count"


def test_without_truncation_a_long_prompt_has_no_score(llama):
    scorer = DeitaScorer(llama, max_length=128, truncation="none")
    scores, statuses = scorer.score_turns([("word " * 500, ""), TURNS[0]])
    assert statuses == ["too_long", "ok"]
    assert np.isnan(scores[0])
    assert scores[1] == pytest.approx(DeitaScorer(llama).score_turns([TURNS[0]])[0][0], abs=1e-6)


@pytest.mark.parametrize("blank", ["", " \n\t", "\u3000"])
def test_quality_of_a_blank_response_is_no_number(llama, blank):
    scores, statuses = DeitaScorer(llama, "quality").score_turns([("Why?", blank), ("Why?", "So.")])
    assert statuses == ["empty_response", "ok"]
    assert np.isnan(scores[0])
    assert np.isfinite(scores[1])


def test_complexity_does_not_read_the_response(llama):
    scores, statuses = DeitaScorer(llama).score_turns([("Why?", ""), ("Why?", "Because.")])
    assert statuses == ["ok", "ok"]
    assert scores[0] == scores[1]


def test_no_turns_give_no_scores(llama):
    scores, statuses = DeitaScorer(llama).score_turns([])
    assert scores.shape == (0,)
    assert statuses == []


def test_a_model_that_answers_nan_is_reported_not_hidden(llama, tmp_path):
    model = transformers.AutoModelForCausalLM.from_pretrained(llama)
    with torch.no_grad():
        model.model.norm.weight.fill_(float("nan"))
    model.save_pretrained(tmp_path)
    scores, statuses = DeitaScorer(save_tokenizer(tmp_path)).score_turns(TURNS[:2])
    assert statuses == ["non_finite", "non_finite"]
    assert np.isnan(scores).all()


def test_out_of_memory_is_met_with_smaller_batches(llama, monkeypatch):
    expected, _ = DeitaScorer(llama).score_turns(TURNS)
    sizes = spy_on_rows(monkeypatch, most_rows=2, per_call=True)
    scores, _ = DeitaScorer(llama, batch_tokens=1_000_000).score_turns(TURNS)
    assert scores == pytest.approx(expected, abs=1e-5)
    assert sizes[:3] == [1, 1, 6], "two probes of the head, then all rows at once"
    assert max(sizes[3:]) < 6
    assert all(size <= 2 for size in sizes[-2:])


def test_out_of_memory_with_one_row_is_raised(llama, monkeypatch):
    scorer = DeitaScorer(llama, batch_tokens=1_000_000)
    scorer.load()
    spy_on_rows(monkeypatch, most_rows=0)
    with pytest.raises(torch.OutOfMemoryError):
        scorer.score_turns(TURNS)


def spy_on_rows(monkeypatch, *, most_rows=10**9, per_call=False):
    """Records the token rows of each forward pass, or its number of rows; fails above `most_rows` rows."""
    seen, forward = [], DigitModel.digit_logits

    def spied(self, rows):
        seen.extend([len(rows)] if per_call else rows)
        if len(rows) > most_rows:
            raise torch.OutOfMemoryError
        return forward(self, rows)

    monkeypatch.setattr(DigitModel, "digit_logits", spied)
    return seen


ARCHITECTURES = {
    "gemma2 (soft cap after the head)": (
        transformers.Gemma2ForCausalLM,
        lambda: small_config(
            transformers.Gemma2Config, head_dim=16, final_logit_softcapping=5.0, num_key_value_heads=2
        ),
    ),
    "granite (scaled logits)": (
        transformers.GraniteForCausalLM,
        lambda: small_config(transformers.GraniteConfig, logits_scaling=7.0),
    ),
    "gpt2 (learned positions, tied head)": (
        transformers.GPT2LMHeadModel,
        lambda: transformers.GPT2Config(
            vocab_size=420, n_embd=64, n_layer=2, n_head=4, n_positions=512, bos_token_id=0, eos_token_id=1
        ),
    ),
    "phi (head with a bias)": (transformers.PhiForCausalLM, lambda: small_config(transformers.PhiConfig)),
    "qwen2": (
        transformers.Qwen2ForCausalLM,
        lambda: small_config(transformers.Qwen2Config, num_key_value_heads=2),
    ),
}


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_architecture_scores_as_generate_does(name, tmp_path):
    model_class, config = ARCHITECTURES[name]
    folder = save_tokenizer(save_model(tmp_path, model_class, config()))
    if "bias" in name:
        set_head_bias(folder)
    turns = TURNS[:4]
    scorer = DeitaScorer(folder, batch_tokens=10_000)
    scores, statuses = scorer.score_turns(turns)
    assert statuses == ["ok"] * 4
    assert scorer.load().six_row_head
    assert scores == pytest.approx([reference(folder, "complexity", turn) for turn in turns], abs=1e-5)


def set_head_bias(folder):
    model = transformers.AutoModelForCausalLM.from_pretrained(folder)
    with torch.no_grad():
        model.get_output_embeddings().bias.copy_(torch.linspace(-3, 3, 420))
    model.save_pretrained(folder)


def test_a_head_that_is_no_plain_linear_layer_gives_the_same_scores(llama, monkeypatch):
    expected, _ = DeitaScorer(llama).score_turns(TURNS)
    monkeypatch.setattr(transformers.LlamaForCausalLM, "get_output_embeddings", lambda self: None)
    scorer = DeitaScorer(llama, batch_tokens=1_000)
    scores, _ = scorer.score_turns(TURNS)
    assert not scorer.load().six_row_head
    assert scores == pytest.approx(expected, abs=1e-5)


def test_a_head_that_cannot_be_replaced_keeps_all_its_rows(llama, monkeypatch):
    expected, _ = DeitaScorer(llama).score_turns(TURNS)
    real = transformers.LlamaForCausalLM.forward

    def skewed(self, *args, **kwargs):
        out = real(self, *args, **kwargs)
        if out.logits.shape[-1] == 6:
            out.logits = out.logits.flip(-1)
        return out

    monkeypatch.setattr(transformers.LlamaForCausalLM, "forward", skewed)
    scorer = DeitaScorer(llama)
    scores, _ = scorer.score_turns(TURNS)
    assert not scorer.load().six_row_head
    assert scores == pytest.approx(expected, abs=1e-5)


def test_bfloat16_scores_lie_near_those_of_float32(llama):
    exact, _ = DeitaScorer(llama).score_turns(TURNS)
    coarse, _ = DeitaScorer(llama, dtype="bfloat16").score_turns(TURNS)
    assert coarse == pytest.approx(exact, abs=0.15)
    assert coarse.tolist() != exact.tolist()


def test_a_tokenizer_laid_out_as_llamas_keeps_bos_digits_and_cue(tmp_path, monkeypatch):
    vocabulary = save_llama_tokenizer(save_llama(tmp_path))
    scorer = DeitaScorer(tmp_path, max_length=160)
    assert scorer.load().digit_ids == [vocabulary[digit] for digit in DIGITS]
    seen = spy_on_rows(monkeypatch)
    turns = [("the </s> of 7 日本", ""), ("the 日\U0001f600 " * 300, "")]
    scores, statuses = scorer.score_turns(turns)
    assert statuses == ["ok", "truncated"]
    assert scores[0] == pytest.approx(expectation_of(tmp_path, seen[1]), abs=1e-5)
    for ids in seen:
        assert ids[0] == vocabulary["<s>"]
        assert vocabulary["</s>"] not in ids
        assert transformers.AutoTokenizer.from_pretrained(tmp_path).decode(ids).endswith("  \n##Complexity: ")
    assert len(seen[0]) == 160


def expectation_of(folder, ids):
    model = transformers.AutoModelForCausalLM.from_pretrained(folder).eval()
    vocabulary = transformers.AutoTokenizer.from_pretrained(folder).get_vocab()
    with torch.no_grad():
        logits = model(torch.tensor([ids])).logits[0, -1].double().numpy()
    return expectation(logits[[vocabulary[digit] for digit in DIGITS]])
