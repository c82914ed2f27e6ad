"""Words and phrases that the heuristic scorer counts, by meaning and language.

What belongs here: the tables, and nothing that reads a text. What does not: weights.

Languages written with spaces are matched by whole lower-case words; Chinese, Japanese and Korean by
substring, because their words have no borders or carry endings. The tables are short on purpose: a cue
earns its place when it nearly always means the same thing in an instruction.
"""

from __future__ import annotations

#: Words that ask for reasoning rather than recall.
DEPTH_WORDS: dict[str, str] = {
    "en": (
        "why prove proof derive derivation explain analyze analyse analysis analytical compare comparing "
        "comparison contrast evaluate evaluation optimize optimise optimal optimization design justify "
        "critique criticize synthesize infer deduce estimate solve theorem algorithm algorithms tradeoff "
        "tradeoffs implication implications hypothesis simulate formulate integrate diagnose debug "
        "refactor architecture complexity efficient efficiently recursive probability equation equations "
        "integral derivative asymptotic assess reasoning consequences investigate strategy mechanism "
        "mechanisms discuss implement examine interpret"
    ),
    "de": (
        "warum weshalb wieso beweise beweisen herleiten leite erkläre erklären analysiere analysieren "
        "vergleiche vergleichen bewerte bewerten optimiere optimieren entwirf entwerfen begründe "
        "begründen berechne löse"
    ),
    "fr": (
        "pourquoi prouver prouve démontrer démontre dériver expliquer explique expliquez analyser "
        "analyse analysez comparer compare comparez évaluer évalue évaluez optimiser optimise concevoir "
        "justifier justifiez résoudre"
    ),
    "es": (
        "demuestra demostrar deriva explica explicar explique analiza analizar analice compara comparar "
        "compare evalúa evaluar optimiza optimizar diseña diseñar justifica justificar resuelve resolver "
        "calcula"
    ),
    "it": (
        "perché dimostra dimostrare deriva spiega spiegare analizza analizzare confronta confrontare "
        "valuta valutare ottimizza ottimizzare progetta giustifica risolvi calcola"
    ),
    "pt": (
        "prove provar demonstre explique explicar analise analisar compare comparar avalie avaliar "
        "otimize otimizar projete justifique resolva calcule"
    ),
    "nl": "waarom bewijs leid verklaar analyseer vergelijk evalueer optimaliseer ontwerp onderbouw",
    "ru": (
        "почему докажи докажите выведи выведите объясни объясните проанализируй проанализируйте сравни "
        "сравните оцени оцените оптимизируй оптимизируйте спроектируй обоснуй обоснуйте реши решите"
    ),
}

#: Words that narrow what counts as a right answer.
CONSTRAINT_WORDS: dict[str, str] = {
    "en": (
        "must should exactly precisely least most only without avoid ensure include including includes "
        "limit between each every within under format formatted json csv xml yaml markdown table less "
        "fewer maximum minimum max min using require required requires requirement constraint "
        "constraints except unless not never don't cannot specific specifically step steps following per "
        "either both additionally also addition tone style written no based consider considering provide "
        "given assume appropriate relevant"
    ),
    "de": (
        "muss müssen soll sollte genau mindestens höchstens nur ohne vermeide zwischen jede jeder jedes "
        "keine nicht"
    ),
    "fr": (
        "doit doivent exactement moins plus seulement sans éviter évitez entre chaque aucun aucune "
        "maximum minimum"
    ),
    "es": (
        "debe deben exactamente menos máximo mínimo sólo solo sin evita evite entre cada ningún ninguna "
        "incluya"
    ),
    "it": "deve devono esattamente almeno massimo minimo solo senza evita tra ogni nessun includi",
    "pt": "deve devem exatamente menos máximo mínimo apenas sem evite entre cada nenhum inclua",
    "nl": "moet moeten precies minstens hoogstens alleen zonder vermijd tussen elke geen",
    "ru": "должен должна должны ровно минимум максимум только без избегай между каждый каждая каждое",
}

#: Words that join clauses.
CLAUSE_WORDS: dict[str, str] = {
    "en": (
        "and or but if when while because although though which that then where whose whether so since until"
    ),
    "de": "und oder aber wenn während weil obwohl dass damit sowie falls",
    "fr": "et ou mais si quand lorsque parce quoique que qui dont afin",
    "es": "y o pero si cuando mientras porque aunque que cual",
    "it": "e o ma se quando mentre perché benché che cui",
    "pt": "e ou mas se quando enquanto porque embora que cujo",
    "nl": "en of maar als terwijl omdat hoewel dat die",
    "ru": "и или но если когда пока потому хотя что который которая которые чтобы",
}

#: The same three meanings in scripts that are matched by substring.
DEPTH_PHRASES = (
    "为什么 为何 证明 推导 解释 分析 比较 对比 评估 评价 优化 设计 论证 阐述 算法 求解 原理 為什麼 證明 "
    "推導 解釋 比較 評估 優化 設計 論證 なぜ 証明 導出 説明 分析して 評価 最適化 設計して 考察 왜 증명 "
    "유도 설명 분석 비교 평가 최적화 설계"
)
CONSTRAINT_PHRASES = (
    "必须 应该 至少 至多 最多 不超过 不少于 只能 仅 不要 避免 包括 包含 要求 每个 格式 以内 之间 字以 "
    "使用 必須 應該 不超過 只能 避免 包括 以上 以下 以内で だけ 含めて ください 避けて 必ず 반드시 최소 "
    "최대 이상 이하 이내 만 포함 없이 피하"
)
CLAUSE_PHRASES = (
    "并且 而且 但是 如果 因为 所以 虽然 以及 然后 同时 並且 如果 因為 そして しかし もし ので 그리고 "
    "하지만 만약 때문"
)

#: Openings that decline to answer. Looked for near the start of a response only.
REFUSAL_PHRASES = (
    "i'm sorry",
    "i am sorry",
    "sorry, i",
    "sorry, but",
    "i apologize",
    "as an ai",
    "as a language model",
    "i cannot",
    "i can't",
    "i can not",
    "i'm unable",
    "i am unable",
    "i'm not able",
    "i am not able",
    "i do not have access",
    "i don't have access",
    "i don't know",
    "i do not know",
    "es tut mir leid",
    "ich kann nicht",
    "ich kann das nicht",
    "als ki",
    "je suis désolé",
    "je ne peux pas",
    "lo siento",
    "no puedo",
    "mi dispiace",
    "non posso",
    "desculpe",
    "sinto muito",
    "não posso",
    "извините",
    "к сожалению, я не",
    "я не могу",
    "抱歉",
    "对不起",
    "對不起",
    "我无法",
    "我無法",
    "我不能",
    "作为一个人工智能",
    "作为一个ai",
    "作为ai",
    "申し訳",
    "お答えできません",
    "죄송",
)

#: Instructions whose right answer need not share a word with them.
TRANSFER_WORDS = (
    "translate translation translated übersetze übersetzung traduire traduis traduisez traduce traducir "
    "traduci traduza traduzir vertaal переведи переведите convert decode encode rhyme"
)
TRANSFER_PHRASES = "翻译 翻譯 译成 訳し 翻訳 번역"

#: Words too common to show that an answer is about its question.
STOP_WORDS = (
    "about above after again against also because been before being below between both could does doing "
    "down during each from further have having here hers himself into itself just like made make more "
    "most must myself once only other ought ours over please same shall should some such than that their "
    "them then there these they this those through under until very want were what when where which "
    "while whom will with would your yours following given write give tell list name describe explain "
    "create generate provide using example sentence answer question text eine einen einer eines dass "
    "nicht auch oder wenn sind wird haben dans pour avec plus cette sont vous elle leur para como pero "
    "este esta esto entre sobre todo tiene"
)
