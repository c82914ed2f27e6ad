"""Phrases of answers that refuse, and of answers that speak of themselves as a language model.

What belongs here: the two lists, and finding them in one text. What does not: what becomes of such rows.

Where they come from. People who cleaned the ShareGPT and Evol-Instruct pools published word lists: `optional_clean.py`
of ShareGPT_Vicuna_unfiltered, `wizardlm_clean.py` of WizardLM_alpaca_evol_instruct_70k_unfiltered, `tags.py` of
OpenOrca's DatasetFiltering. Each mixes three things: refusals ("I cannot fulfill your request"), self-description
("As an AI language model"), and words of a subject ("ethical", "racist", "OpenAI", "It is important to"). The third
drops every answer about ethics or law, so none of it is here. Of the first two, those phrases are here that mean the
same thing wherever they stand: refusals count at the beginning of an answer only, where nobody is quoted, and a bare
"I cannot" needs a verb of service behind it, because letters and poems begin so too.
"""

from __future__ import annotations

import re
from typing import Final

#: How an apology or an excuse begins, before the refusal itself.
_LEAD: Final = (
    r"(?:(?:i'm|i am) (?:very |really |truly |so )?(?:sorry|afraid)|(?:my )?(?:sincere )?apologies|sorry|"
    r"i apologi[sz]e|unfortunately|as an ai(?: (?:language model|assistant|chatbot|model))?|"
    r"as a (?:large )?language model|as an artificial intelligence)"
    r"(?: for (?:any|the) [a-z ]{1,40})?"
)
_UNABLE: Final = (
    r"i (?:cannot|can't|can not|won't|will not|am unable|am not able|don't have the ability|"
    r"do not have the ability|am not capable|am not programmed|am not designed|must decline|have to decline)"
    r"|i'm (?:unable|not able|not capable|not programmed|not designed)"
)
_SERVICE: Final = (
    r"(?:fulfil|fulfill|assist|help (?:you )?with|provide|comply|generate|create|answer|engage|offer|support|"
    r"complete (?:this|your|that)|process (?:this|your)|access|browse)\b"
)
#: With a lead any inability refuses; without one it must be a service that is refused.
_REFUSAL: Final = re.compile(
    rf"(?:{_LEAD}[,.:;!]*(?: but| however)?,? )+(?:{_UNABLE})\b"
    rf"|(?:{_UNABLE}) (?:to )?{_SERVICE}"
)  # fmt: skip
#: The same in other languages, by the words that such answers begin with.
_REFUSAL_OPENINGS: Final = (
    "抱歉，我无法", "抱歉，我不能", "很抱歉，我无法", "很抱歉，我不能", "对不起，我无法", "对不起，我不能",
    "對不起，我無法", "很抱歉，我無法", "申し訳ありませんが、", "申し訳ございませんが、", "죄송하지만",
    "es tut mir leid, aber ich kann", "tut mir leid, aber ich kann", "je suis désolé, mais je ne peux",
    "désolé, mais je ne peux", "lo siento, pero no puedo", "mi dispiace, ma non posso",
    "desculpe, mas não posso", "sinto muito, mas não posso", "извините, но я не могу", "к сожалению, я не могу",
)  # fmt: skip

#: Self-description, anywhere in an answer.
BOILERPLATE: Final = (
    "as an ai language model", "as an ai model", "as an ai assistant", "as an ai chatbot", "as an ai, i",
    "as a language model, i", "as a large language model, i", "as an artificial intelligence, i",
    "as an artificial intelligence language model", "i am an ai language model", "i'm an ai language model",
    "i am a language model", "i'm a language model", "i am a large language model", "i'm a large language model",
    "i am just an ai", "i'm just an ai", "my knowledge cutoff", "my training data only goes",
    "language model trained by openai", "language model developed by openai", "against my programming",
    "作为一个ai语言模型", "作为ai语言模型", "作为一个人工智能", "作为人工智能语言模型", "作为一个语言模型",
    "als ki-sprachmodell", "als ki-modell", "en tant que modèle de langage", "como modelo de lenguaje",
    "como modelo de linguagem", "как языковая модель", "как модель искусственного интеллекта",
)  # fmt: skip

#: Characters in which a refusal must begin to end.
_HEAD: Final = 240
_SPACE: Final = re.compile(r"\s+")
_APOSTROPHES: Final = str.maketrans({"\u2019": "'", "\u2018": "'", "\u02bc": "'"})


def folded(text: str) -> str:
    """Text without regard to case, with straight apostrophes: what phrases are compared in."""
    return text.translate(_APOSTROPHES).casefold()


def refusal_in(answer: str) -> str | None:
    """The words with which a folded answer refuses, where it begins with them."""
    head = _SPACE.sub(" ", answer[:_HEAD]).lstrip(" \"'*_>-")
    if found := _REFUSAL.match(head):
        return found.group()
    return next((opening for opening in _REFUSAL_OPENINGS if head.startswith(opening)), None)


def phrase_in(answer: str, phrases: tuple[str, ...]) -> str | None:
    """The first of the folded `phrases` that stands in a folded answer."""
    return next((phrase for phrase in phrases if phrase in answer), None)
