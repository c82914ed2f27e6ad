"""The real detector on short texts of several languages, and on code."""

import pytest

from deita_assets.engines.languages import Lingua

TEXTS = {
    "en": "Explain why the sky is blue.\nSunlight is scattered by the air, and blue light most of all.",
    "de": "Warum ist der Himmel blau?\nDie Luft streut blaues Licht stärker als rotes.",
    "fr": "Pourquoi le ciel est-il bleu ?\nL'air diffuse davantage la lumière bleue que la rouge.",
    "zh": "为什么天空是蓝色的？\n空气散射蓝光比散射红光更强。",
    "ja": "空はなぜ青いのですか。\n空気は青い光をより強く散乱するからです。",
    "ru": "Почему небо голубое?\nВоздух рассеивает голубой свет сильнее, чем красный.",
}
CODE = (
    "Write a JavaScript program to print the Fibonacci series.\nfunction fibonacci(n) {\n  let a = 0, b = 1;\n"
    "  for (let i = 0; i < n; i++) { console.log(a); [a, b] = [b, a + b]; }\n}\nprint the first n numbers"
)


@pytest.fixture(scope="module")
def lingua():
    return Lingua()


def test_scripts_that_one_language_has_need_no_models(lingua):
    assert lingua.detect([TEXTS["zh"], TEXTS["ja"], "안녕하세요"]) == ["zh", "ja", "ko"]


@pytest.mark.slow
def test_languages_are_recognised_whatever_stands_beside_them(lingua):
    texts = list(TEXTS.values())
    assert lingua.detect(texts) == list(TEXTS)
    assert lingua.detect(texts[::-1] * 3) == list(TEXTS)[::-1] * 3
    assert lingua.detect([CODE]) == ["en"]


def test_what_is_no_text_has_no_language(lingua):
    assert lingua.detect(["", "1 + 1 = 2\n{}", "?!"]) == [None, None, None]
    assert lingua.detect([]) == []


def test_the_name_says_which_models_and_how_much_of_a_text(lingua):
    assert lingua.name.startswith("lingua/2.")
    assert lingua.name.endswith("/1000")
