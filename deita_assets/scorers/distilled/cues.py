"""Words and phrases that the counted features look for in a response.

What belongs here: the tables. What does not: anything that reads a text.
"""

from __future__ import annotations

#: Openings that point back at what was said, and so do not start an answer.
DEPENDENT_OPENINGS = (
    "however therefore thus then also moreover furthermore finally additionally consequently otherwise instead but "
    "so and or this that these those it they he she his her their its such next lastly hence meanwhile afterwards "
    "aber dann außerdem deshalb daher schließlich dies diese cependant ensuite enfin donc mais ainsi pero luego "
    "además entonces finalmente porém depois então ma poi infine inoltre maar dan daarna daarom"
)

#: Openings by where in an answer they belong, from its start to its end.
PLACED_OPENINGS = (
    "first firstly erstens zuerst d'abord primero primeiro prima eerst",
    "second secondly then next zweitens dann ensuite luego depois poi daarna",
    "third thirdly drittens",
    "finally lastly schließlich enfin finalmente infine tenslotte",
)

#: Openings of sentences that close an answer.
CLOSING_OPENINGS = (
    "finally lastly overall ultimately conclusion summary schließlich insgesamt enfin finalmente infine"
)

#: Words around the matter, in lower case.
HEDGES = (
    "it depends",
    "many factors",
    "various factors",
    "generally speaking",
    "everyone is different",
    "there are many",
    "hard to say",
    "it is up to",
    "kommt darauf an",
    "ça dépend",
    "depende de",
    "dipende",
)

#: Words that fill and say nothing, in lower case.
FILLERS = (
    "it is important to",
    "it's important to",
    "important to note",
    "keep in mind",
    "in conclusion",
    "in today's",
    "great question",
    "certainly",
    "of course",
    "as you know",
    "needless to say",
    "delve",
    "tapestry",
    "ever-evolving",
    "at the end of the day",
    "i hope this helps",
    "thank you for",
    "let's dive",
    "wichtig zu",
    "il est important",
    "es importante",
    "è importante",
)

#: Words that carry grammar and no matter.
FUNCTION_WORDS = (
    "the a an of to in on at for with by from and or but is are was were be been as that this it its not you your we "
    "der die das ein eine und oder in zu von mit ist sind nicht le la les un une de des et ou est dans el los las una "
    "y o en es con il lo gli un che di e o per het een en van op"
)
