"""Texts that try to instruct the model, or to break out of the place where a program puts them.

Found by the wording and the marks that such attempts need (OWASP, "LLM01 Prompt Injection"; Perez and Ribeiro 2022,
"Ignore previous prompt"): what is phrased without them is not found, so that the absence of a finding is no proof.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from eval.contracts import Document, Example
from eval.findings import Finding
from eval.reading.text import counted

USUAL = 0.25
"""Where more of the rows than this have such marks, they are the form of the data and no attack on it."""

_BEGINS = r"(?:^|[.!?,;:\n][^\S\n]*)(?:please )?"
"""Where an order may begin: in "the courier ignores the instructions" nobody is told to."""
_DO = r"(?:say|write|answer|reply|respond|output|print|classify|label|tell|return|act|pretend|translate|mark|choose)"

_TEXT = (
    r"(?:(?:this|these|every|each|all|any|my|the (?:above|following|next))(?: \w+)? "
    r"(?:text|message|row|input|ticket|review|comment|sentence|query|querie|example|e-?mail|request|question|complaint)s?"
    r"|the (?:text|message|row|input)s?|(?:everything|the above)(?= as\b))\b"
)
"""What a model is told to label or to mark, where people label parcels and mark invoices as paid."""
_SYSTEM = r"(?:^|[.!?,;\n][^\S\n]*)system\s*:"
_OF_THINGS = (
    r"(?! (?:(?:that |which )?(?:I|we)\b(?! (?:\w+ ){1,2}you\b)|(?:on|inside) (?:the|my)\b|in the (?:box|pack|manual)))"
)
"""Labels and instructions that are none of a model's: "which we gave the driver", "on the box"."""

_TOLD = r"(?:instructions?|prompts?|rules|guidelines|directions|commands)\b"
_ONLY = "(?:reply|respond|answer|output)(?: with)? (?:only|just|exactly|nothing but)"
_DROP = (
    "ignorieren? sie|ignoriere?|vergessen sie|vergiss|missachten?(?: sie)?|negeer|vergeet|ignore[zr]?|oublie[zr]?"
    "|ne (?:tiens|tenez) pas compte|ignora(?:d|te)?|ignoren?|olvid(?:a|e|en|ad)|dimentica(?:te)?|esqueça"
)
_NOT = r"(?<!\bn['’])(?<!\bno )(?<!\bnon )(?<!\bnão )"
"""Who is told not to forget is told to mind."""
_EARLIER = (
    "toutes?|todas?|todos|tutt[ei]|alle[nrs]?|jegliche[nr]?|vorherig\\w*|bisherig\\w*|obige[nr]?|vorige|eerdere"
    "|des?|du|pr[ée]c[ée]dent\\w*|anterior\\w*"
)
_SAID = (
    "anweisung\\w*|instruktion\\w*|regeln|vorgaben|gesagt|instructies|instructions|consignes|r[èe]gles"
    "|instrucciones|istruzioni|instruç\\w+"
)
"""In German, Dutch, French, Spanish, Italian and Portuguese."""

_ORDERS = (
    # to drop what was said before
    r"\b(?:ignore|disregard|forget|override|bypass)\b[^.!?\n]{0,30}"
    r"\b(?:previous|prior|above|earlier|preceding|(?:all|any)(?! (?:of )?(?:my|our)\b)|your)\b[^.!?\n]{0,20}"
    rf"\b(?:instructions?|prompts?|rules|guidelines|directions|labels|commands|examples)\b{_OF_THINGS}",
    rf"{_BEGINS}(?:ignore|disregard|forget) the "
    rf"(?:instructions?|prompt|rules|labels|categories|examples)\b{_OF_THINGS}",
    rf"{_BEGINS}(?:do not|don['’]?t|never) (?:follow|obey) (?:(?:any|all|of|the) )*(?:(?:previous|prior|above|earlier"
    rf"|preceding|your) {_TOLD}|{_TOLD} above(?! the)){_OF_THINGS}",
    r"\b(?:ignore|disregard|forget) (?:everything|all|(?:all of )?(?:the )?above)\b[^.!?\n]{0,40}?"
    rf"\b(?:and|then|instead)\b,? (?:\w+ )?{_DO}\b",
    r"\bforget (?:everything|all|anything|what)\b[^.!?\n]{0,20}\byou(?:'ve| have| were|'d)? "
    r"(?:been )?(?:told|given|instructed|taught|know(?! about\b)|learn\w*)\b",
    rf"{_NOT}\b(?:{_DROP})\b(?! (?:bitte )?(?:nicht|pas|niet)\b)[^.!?\n]{{0,25}}?\b(?:{_EARLIER})\b"
    rf"[^.!?\n]{{0,25}}?\b(?:{_SAID})\b",
    rf"{_BEGINS}(?:vergiss|vergessen sie|ignoriere?|ignorieren sie) alles\b",
    rf"{_BEGINS}(?:{_DROP}) (?:die|les|las|le|gli)\b[^.!?\n]{{0,20}}?\b(?:{_SAID})\b",
    r"\btalimat[^.!?\n]{0,40}?\b(?:unut|yok say|dikkate alma|görmezden gel)\w*",
    r"(?:проигнорируй|игнорируй|забудь)\w*[^.!?\n]{0,40}?(?:инструкци|указани|правил|команд)",
    r"\b(?:zignoruj|ignoruj|zapomnij)\w*[^.!?\n]{0,40}?\b(?:instrukcj|polece|zasad|wytyczn)",
    r"(?:تجاهل|انس[َى]?)[^.!?؟\n]{0,40}?(?:تعليمات|أوامر|توجيهات)",
    r"(?:忽略|无视|無視|忽視|忘记|忘記)[^。！？，\n]{0,12}(?:指令|指示|说明|說明|提示|规则|規則)",
    r"(?:指示|命令|指令|プロンプト|ルール)[^。！？\n]{0,8}(?:無視|忘れ)",
    r"(?:지시|명령|지침|프롬프트)[^.!?\n]{0,8}(?:무시|잊)",
    # to speak as another, or as told
    r"\byou are now an? (?!(?:\w+ )?(?:(?:minute|hour|day|week|month)s?|years?(?! old)|bit|step|click|member|customer"
    r"|client|subscriber|user|part|resident|citizen|adult|supplier|partner|dealer|owner|holder)\b)\w",
    r"\bfrom now on,? (?:you (?:are an?|will|must) )?(?:only )?(?:always )?"
    rf"(?:(?!label|mark){_DO}\b|(?:label|mark) {_TEXT})",
    r"\bfrom now on,? you are an?\b",
    r"\b(?:dan|jailbreak) mode\b",
    rf"{_BEGINS}(?:\w+ and )?{_ONLY}(?: with| in| as)? (?:the|a|an|yes|no|one|\w+\s*$|[\"'“:])",
    rf"\b{_ONLY}(?: with)?\s*[:\"'“]",
    r"\b(?:reply|respond|answer|output|say) (?:with )?the (?:word|label|phrase|string)\b",
    rf"{_BEGINS}(?:new|updated|revised|real|actual) instructions?\s*:[^\n]{{0,40}}?\b(?:always|never|ignore|{_DO})\b",
    r"\bcorrect (?:label|category|class|intent)"
    rf"(?: (?:for|of) (?:this|it|{_TEXT})(?:\s*[:=]| is\b)|(?: is)?\s*[:=\"'“])",
    r"\bcorrect intent is\b",
    r"\bmark (?:it|this|this row|this answer|the answer) as (?:correct|right|true|passed)\b",
    rf"{_SYSTEM}\s*(?:please |now |always |only |just )?(?:answer|reply|respond|output|classify)\b",
    rf"{_SYSTEM}[^.!?\n]{{0,40}}\b(?:you (?:are|must|should|shall|will|have to)|(?:new|your) instructions?"
    rf"|ignore|override|prompt|label(?:\s*[:=]| (?:is|it|this|to)\b| {_TEXT}))",
    rf"\byou (?:must|should|shall|will|have to) (?:always )?(?:classify|label|categori[sz]e|mark) {_TEXT}",
    r"\byou (?:must|should|shall|will|have to) (?:label this|(?:classify|categori[sz]e) (?:this|it)) as\b",
    # to reveal the prompt
    r"\b(?:print|show|reveal|repeat|output|display|dump|leak|tell)\b[^.!?\n]{0,25}"
    r"\b(?:system (?:prompt|instructions)|(?:hidden|secret) (?:prompt|instructions)"
    r"|(?:full|entire|initial|original|whole) prompt"
    r"|instructions (?:above(?! the)|you (?:were|have been|are) (?:given|told)))\b",
    r"\b(?:print|show|reveal|output|display|dump|leak)\b[^.!?\n]{0,15}"
    r"\byour (?:(?:full|entire|initial|original|whole|exact) )?(?:prompt|instructions)\b(?! (?:for|on|about|to)\b)",
    r"\brepeat your (?:prompt|instructions) (?:back|verbatim|word for word|exactly)\b",
    r"\bexamples you (?:were|have been) (?:shown|given)\b",
    # to whoever reads by machine
    r"\b(?:if|since|because|as) you(?:'re| are) an? (?:ai|llm|(?:large )?language model|classifier|grader)\b"
    r"(?! (?:engineer|researcher|developer|scientist|expert|student|company|startup|team)\b)",
    r"\b(?:attention|dear|note to|hey|hello) (?:ai|llm|language model|classifier|grader)s?\b",
)
_TURNS = (
    r"[\[<(]\s*(?:system|developer|assistant)(?: (?:message|prompt|note|override))?\s*[\])>]\s*:?\s*"
    rf"(?:you|ignore|new|from now|override|{_DO})\b",
    r"[\"']role[\"']\s*:\s*[\"'](?:system|assistant|user|developer|tool)[\"']",
    r"(?<!#)#{2,}+\s*(?:instructions?|input|output|response|system|assistant|answer|label|prompt)\s*:",
    # the first such word of a line stands for all: from each of them the line's end would be looked for anew
    r"(?m:^)(?>[^\n]*?\b(?:answer|output|label|response|assistant)\s*:)[^\n]*"
    r"\n\s*(?:question|input|text|query|user|message)\s*:",
)
_TOKENS = (r"<\|[\w ]{2,40}\|>", r"</s>", r"\[/?INST\]", r"<</?SYS>>", r"<(?:start|end)_of_turn>")
_MARKUP = (
    r"<\s*(?:script|iframe|object|embed)\b|<\w+[^>]{0,200}\son(?:error|load|click|mouseover)\s*=|\bjavascript:\w",
    r"(?:^|[\s,;\"'])[=@+-]\s*(?:hyperlink|import(?:xml|data|html|feed|range)|webservice|dde|cmd|exec|rtd)\s*[(|]",
)
_SLOT = r"(?:input|output|question|context|prompt|answer|text|label|system|instructions?)"
_PLACEHOLDERS = (rf"\{{\{{\s*{_SLOT}\s*\}}\}}", rf"(?<![\w=$])\{{{_SLOT}\}}")
_HIDDEN = (
    r"(?<![\U0001f3f4\U000e0000-\U000e007f])[\U000e0000-\U000e007f]{2,}",  # tags, unless they spell a flag
    r"[\u202d\u202e]",
    r"[\u200b\u2060\ufeff]{3,}",
)


def _any_of(patterns: Sequence[str]) -> re.Pattern[str]:
    return re.compile("|".join(patterns), re.I)


IN_EXAMPLES = {
    "orders to a model": _any_of(_ORDERS),
    "chat-template tokens": _any_of(_TOKENS),
    "forged turns": _any_of(_TURNS),
    "active markup or formulas": _any_of(_MARKUP),
    "template placeholders": _any_of(_PLACEHOLDERS),
    "hidden characters": _any_of(_HIDDEN),
}
"""What is looked for in inputs, by name."""
IN_DOCUMENTS = {name: IN_EXAMPLES[name] for name in ("orders to a model", "chat-template tokens", "hidden characters")}
"""Documents that are shown to a model. Questions with answers, markup and placeholders are usual in them."""


def tries_to_instruct(text: str) -> bool:
    """Whether an input addresses the model instead of the task, or could break out of its place."""
    return any(form.search(text) for form in IN_EXAMPLES.values())


def prompt_injection(examples: Sequence[Example], documents: Sequence[Document] = ()) -> list[Finding]:
    """Report the rows and the documents whose text addresses the model instead of the task, by id."""
    inputs = {example.id: example.input for example in examples}
    texts = {document.id: f"{document.title}\n{document.text}" for document in documents}
    kept = (
        "Kept, with their outputs: chat-template tokens in them cannot open a turn, and reports show markup as text. "
        "Remove rows that no client would send."
    )
    shown = "Kept: retrieval may show them to the model. Remove the documents, or these passages."
    reports = [_report(inputs, IN_EXAMPLES, "input", kept), _report(texts, IN_DOCUMENTS, "document", shown)]
    return [finding for finding in reports if finding is not None]


def _report(texts: dict[str, str], looked_for: Mapping[str, re.Pattern[str]], noun: str, action: str) -> Finding | None:
    found = {name: [kind for kind, form in looked_for.items() if form.search(text)] for name, text in texts.items()}
    rows = tuple(name for name, kinds in found.items() if kinds)
    if not rows:
        return None
    counts = Counter(kind for kinds in found.values() for kind in kinds)
    by_kind = ", ".join(f"{kind} {counts[kind]}" for kind in looked_for if counts[kind])
    verb = "tries" if len(rows) == 1 else "try"
    message = f"{counted(len(rows), noun)} {verb} to instruct a model or to break out of their place ({by_kind})."
    if len(rows) > USUAL * len(texts) and len(texts) > 1 / USUAL:
        message += " That is so much that it seems to be the form of these data."
        return Finding("prompt_injection", "info", len(rows), rows, message, action)
    return Finding("prompt_injection", "warning", len(rows), rows, message, action)
