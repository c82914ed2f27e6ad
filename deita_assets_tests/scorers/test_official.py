"""`compat="official"` against the published arithmetic: generate, six fixed columns, softmax."""

import math

import numpy as np
import pytest
import torch
import transformers

from deita_assets import Conversation, DeitaScorer, parse_conversation
from deita_assets.core.conversation import Message
from deita_assets.errors import UsageError
from deita_assets.scorers.official import score_official
from deita_assets_tests.scorers.tiny_models import save_llama, save_llama_tokenizer, save_tokenizer

TEMPLATES = {
    "complexity": "You are a helpful assistant. Please identify the complexity score of the following user "
    "query. \n##Query: {instruction}  \n##Complexity: ",
    "quality": "You are a helpful assistant. Please identify the quality score of the Response corresponding "
    "to the Question. \n #Question#:\n{instruction}\n#Response#:\n{output} \n##Quality: ",
}
CONVERSATIONS = [
    [("user", "Why is the sky blue?"), ("assistant", "Because air scatters short waves.")],
    [("system", "Be brief."), ("user", "Why?"), ("assistant", "So.")],
    [("user", "hi"), ("assistant", "hello"), ("user", "write </s> and <s> now")],
    [("user", "end</s>"), ("assistant", "</s></s>")],
    [("user", "Sum 1 2 3 4 5 6 " * 60), ("assistant", " ")],
    [("assistant", "I speak first"), ("user", "")],
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A LLaMA of 128 positions: the long prompt overruns them, as it may with rotary positions."""
    return save_tokenizer(save_llama(tmp_path_factory.mktemp("official"), positions=128))


def conversation(messages):
    return Conversation(tuple(Message(role, text) for role, text in messages))


def published_scores(folder, measure, messages):
    """What the published code writes for one conversation: one prompt at a time, defaults of the library."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    columns = [tokenizer.convert_tokens_to_ids(digit) for digit in "123456"]
    texts = [text for _, text in messages]
    scores = []
    for at in range(0, len(texts), 2):
        output = texts[at + 1] if at + 1 < len(texts) else ""
        prompt = TEMPLATES[measure].format(instruction=texts[at], output=output)
        out = model.generate(
            tokenizer.encode(prompt, return_tensors="pt"),
            max_new_tokens=2,
            num_return_sequences=1,
            return_dict_in_generate=True,
            output_scores=True,
            pad_token_id=1,  # as the library would choose, without its warning; equal to the end token
        )
        six = out.scores[0][0][columns].double().numpy()
        weights = np.exp(six - six.max())
        scores.append(float((weights / weights.sum() * [1, 2, 3, 4, 5, 6]).sum()))
    return scores


@pytest.mark.parametrize("measure", ["complexity", "quality"])
def test_scores_are_those_the_published_code_lists(folder, measure):
    scorer = DeitaScorer(folder, measure, compat="official")
    found = score_official(scorer, [conversation(messages) for messages in CONVERSATIONS])
    expected = [published_scores(folder, measure, messages) for messages in CONVERSATIONS]
    assert [len(one.scores) for one in found] == [1, 2, 2, 1, 1, 1]
    for one, wanted in zip(found, expected, strict=True):
        assert one.scores == pytest.approx(wanted, abs=1e-5)
        assert set(one.statuses) == {"ok"}
    longest = scorer.count_tokens([(CONVERSATIONS[4][0][1], "")])[0]
    assert longest > 128, "the control: this prompt is longer than the positions"


@pytest.mark.parametrize("measure", ["complexity", "quality"])
def test_the_platforms_own_scores_differ_where_it_says_so(folder, measure):
    texts = [(m[0][1], m[1][1]) for m in CONVERSATIONS]
    official, official_statuses = DeitaScorer(folder, measure, compat="official").score_turns(texts)
    own, statuses = DeitaScorer(folder, measure).score_turns(texts)
    blank = measure == "quality"
    # The pairs of the second and last conversation, ("Be brief.", "Why?") and ("I speak first", ""), are plain text.
    assert statuses == ["ok", "ok", "ok", "ok", *(["empty_response"] * 2 if blank else ["truncated", "ok"])]
    assert official_statuses == ["ok"] * 6
    same = [0, 1, 2] if blank else [0, 1, 2, 5]
    assert own[same] == pytest.approx(official[same], abs=1e-5)
    assert abs(own[3] - official[3]) > 1e-3, "special tokens: plain text here, parsed there"
    assert blank or abs(own[4] - official[4]) > 1e-3, "cut to the window here, whole there"


def test_where_the_logits_give_no_number_the_score_is_3_and_says_fallback(folder, tmp_path):
    model = transformers.AutoModelForCausalLM.from_pretrained(folder)
    with torch.no_grad():
        model.model.norm.weight.fill_(float("nan"))
    model.save_pretrained(tmp_path)
    broken = save_tokenizer(tmp_path)
    [one] = score_official(DeitaScorer(broken, compat="official"), [conversation(CONVERSATIONS[1])])
    assert (one.scores, one.statuses) == ((3.0, 3.0), ("fallback", "fallback"))
    scores, statuses = DeitaScorer(broken).score_turns([("Why?", "So.")])
    assert (math.isnan(scores[0]), statuses) == (True, ["non_finite"])


def test_batches_change_nothing(folder):
    rows = [conversation(messages) for messages in CONVERSATIONS]
    one, many = (
        score_official(DeitaScorer(folder, "quality", compat="official", batch_tokens=n), rows)
        for n in (1, 100_000)
    )
    for left, right in zip(one, many, strict=True):
        assert left.scores == pytest.approx(right.scores, abs=1e-5)


def test_conversations_without_messages_have_no_scores(folder):
    scorer = DeitaScorer(folder, compat="official")
    assert score_official(scorer, []) == []
    found = score_official(scorer, [Conversation(()), conversation(CONVERSATIONS[0]), Conversation(())])
    assert [len(one.scores) for one in found] == [0, 1, 0]


def test_a_parsed_sharegpt_row_is_paired_by_place(folder):
    row = {"conversations": [{"from": "system", "value": "Be brief."}, *SAID]}
    [one] = score_official(DeitaScorer(folder, compat="official"), [parse_conversation(row)])
    [again] = score_official(DeitaScorer(folder, compat="official"), [conversation(CONVERSATIONS[1])])
    assert one == again


SAID = [{"from": "human", "value": "Why?"}, {"from": "gpt", "value": "So."}]


def test_special_tokens_are_parsed_with_a_vocabulary_laid_out_as_llamas(tmp_path):
    vocabulary = save_llama_tokenizer(save_llama(tmp_path))
    model = DeitaScorer(tmp_path, compat="official").load()
    [ids] = model.encode(["the </s> of"])
    assert ids.count(vocabulary["</s>"]) == 1
    assert transformers.AutoTokenizer.from_pretrained(tmp_path)("the </s> of")["input_ids"] == ids


class TestIdentity:
    def test_its_fingerprint_is_its_own(self, folder):
        official = DeitaScorer(folder, compat="official").fingerprint
        assert official.digest != DeitaScorer(folder).fingerprint.digest
        assert official.digest != DeitaScorer(folder, truncation="none").fingerprint.digest
        assert official.spec["compat"] == "official"
        assert official.spec["max_length"] is official.spec["truncation"] is None
        assert "compat" not in DeitaScorer(folder).fingerprint.spec

    def test_it_says_which_it_is(self, folder):
        assert DeitaScorer(folder, compat="official").compat == "official"
        assert DeitaScorer(folder).compat is None
        assert DeitaScorer(folder, compat="official").window == 2**31


@pytest.mark.parametrize("options", [{"max_length": 512}, {"truncation": "none"}])
def test_options_that_would_cut_are_refused(folder, options):
    with pytest.raises(UsageError, match="cuts nothing") as caught:
        DeitaScorer(folder, compat="official", **options)
    assert caught.value.cure


def test_other_kinds_of_compat_are_refused(folder):
    with pytest.raises(UsageError, match="compat"):
        DeitaScorer(folder, compat="vllm")


def test_a_scorer_without_compat_is_refused(folder):
    with pytest.raises(UsageError, match="not comparable") as caught:
        score_official(DeitaScorer(folder), [conversation(CONVERSATIONS[0])])
    assert 'compat="official"' in caught.value.cure
