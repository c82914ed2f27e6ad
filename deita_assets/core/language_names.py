"""Names of languages, and the one code that each label of a row becomes.

What belongs here: labels. What does not: recognising the language of a text (engines.languages).
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

#: ISO 639-1, ISO 639-3 and English name of the languages that the detector tells apart, and two that it does not.
_NAMES: Final = (
    "af:afr:afrikaans ar:ara:arabic az:aze:azerbaijani be:bel:belarusian bg:bul:bulgarian bn:ben:bengali "
    "bs:bos:bosnian ca:cat:catalan cs:ces:czech cy:cym:welsh da:dan:danish de:deu:german el:ell:greek "
    "en:eng:english eo:epo:esperanto es:spa:spanish et:est:estonian eu:eus:basque fa:fas:persian fi:fin:finnish "
    "fr:fra:french ga:gle:irish gu:guj:gujarati he:heb:hebrew hi:hin:hindi hr:hrv:croatian hu:hun:hungarian "
    "hy:hye:armenian id:ind:indonesian is:isl:icelandic it:ita:italian ja:jpn:japanese ka:kat:georgian "
    "kk:kaz:kazakh ko:kor:korean la:lat:latin lg:lug:ganda lt:lit:lithuanian lv:lav:latvian mi:mri:maori "
    "mk:mkd:macedonian mn:mon:mongolian mr:mar:marathi ms:msa:malay nb:nob:bokmal nl:nld:dutch nn:nno:nynorsk "
    "pa:pan:punjabi pl:pol:polish pt:por:portuguese ro:ron:romanian ru:rus:russian sk:slk:slovak sl:slv:slovene "
    "sn:sna:shona so:som:somali sq:sqi:albanian sr:srp:serbian st:sot:sotho sv:swe:swedish sw:swa:swahili "
    "ta:tam:tamil te:tel:telugu th:tha:thai tl:tgl:tagalog tn:tsn:tswana tr:tur:turkish ts:tso:tsonga "
    "uk:ukr:ukrainian ur:urd:urdu vi:vie:vietnamese xh:xho:xhosa yo:yor:yoruba zh:zho:chinese zu:zul:zulu "
)
#: Other codes and names of the same: bibliographic codes of ISO 639-2, members of macrolanguages, former codes.
_OTHER_NAMES: Final = (
    "zh:cmn nb:no nb:norwegian fa:pes ms:zsm sq:als et:ekk lv:lvs ar:arb az:azj mn:khk sw:swh tl:fil tl:filipino "
    "el:ell de:ger fr:fre zh:chi cs:cze nl:dut el:gre fa:per ro:rum sk:slo sq:alb hy:arm eu:baq ka:geo is:ice "
    "mk:mac mi:mao ms:may cy:wel he:iw id:in ro:mo zh:mandarin fa:farsi sl:slovenian "
)
#: The other codes of ISO 639-1. No other two letters are a label: rows of code say `js`, `py` or `go` there.
_MORE_CODES: Final = (
    "aa ab ae ak am an as av ay ba bh bi bm bo br ce ch co cr cu cv dv dz ee ff fj fo fy gd gl gn gv ha ho ht hz "
    "ia ie ig ii ik io iu jv kg ki kj kl km kn kr ks ku kv kw ky lb li ln lo lu mg mh ml mt my na nd ne ng nr nv "
    "ny oc oj om or os pi ps qu rm rn rw sa sc sd se sg si sm ss su tg ti tk to tt tw ty ug uz ve vo wa wo yi za "
)
_CODES: Final = {
    label: entry.split(":")[0]
    for entry in (_NAMES + _OTHER_NAMES + _MORE_CODES).split()
    for label in entry.split(":")
}


@lru_cache(maxsize=4096)
def language_code(label: str | None) -> str | None:
    """ISO 639-1 code of a label such as `en`, `en-US`, `eng` or `English`; None for what names no language.

    Region and script are left away: `zh-CN` and `zh-Hant` are both `zh`.
    """
    return _CODES.get(re.split(r"[-_ (@.,;/]", (label or "").strip().casefold(), maxsplit=1)[0])
