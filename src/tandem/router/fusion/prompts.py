"""What judge and synthesis are told. Templates of the configuration have upstream's placeholders.

Those are {{original}}, {{responses}} and {{analysis}}, replaced once and in one go: what stands in an answer is never
taken for a placeholder. Anything else in braces stays as it is, as upstream leaves it.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from tandem.router.fusion.analysis import KEYS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tandem.router.config.routing import Fusion
    from tandem.router.fusion.analysis import Analysis
    from tandem.router.fusion.answers import Reply

_PLACEHOLDER = re.compile(r"\{\{(original|responses|analysis)\}\}")

_ANALYSIS = f"""\
Several assistants answered the request below independently. You judge their answers; you do not answer the request.
Return one JSON object with exactly these keys: {", ".join(KEYS)}.
Each value is a list of at most two short strings. Return the JSON alone: no code fence, no text before or after it.

The request:
{{{{original}}}}

The answers:
{{{{responses}}}}"""

_RULES = """\
- Keep to every form that the request asks for: language, length, format.
- Where answers contradict each other, decide by what is right and say what matters of it; do not count votes.
- Do not mention this comparison, the assistants, their names or their reasoning, unless the request asks for them.

The request:
{{original}}
"""

_BEGINNINGS = {
    "separate": "Several assistants answered the request below, and their answers were analysed. "
    "Write the final answer for the user from both.",
    "one_call": "Several assistants answered the request below. Compare their answers: what they agree on, where they "
    "contradict each other, what only one of them saw. Then write the final answer for the user, and nothing else.",
    "none": "Several assistants answered the request below. Write the final answer for the user from their answers.",
}
_NO_ANALYSIS = "There is none; go by the answers."


def analysis_prompt(fusion: Fusion, original: str, panel: Sequence[tuple[str, Reply]]) -> str:
    """Return what the judge is asked for its analysis."""
    return render(fusion.analysis_template or _ANALYSIS, original, panel, "")


def answer_prompt(fusion: Fusion, original: str, panel: Sequence[tuple[str, Reply]], analysis: Analysis | None) -> str:
    """Return what the synthesis is asked. An analysis that could not be read is not told in our own prompt."""
    if fusion.synthesis_template:
        found = json.dumps(analysis.document(), ensure_ascii=False, indent=2) if analysis else ""
        return render(fusion.synthesis_template, original, panel, found)
    template = f"{_BEGINNINGS[fusion.analysis_mode]}\n\n{_RULES}\n"
    if fusion.analysis_mode == "separate":
        template += "The analysis:\n{{analysis}}\n\n"
    found = _NO_ANALYSIS
    if analysis and not analysis.parse_failed:
        found = json.dumps({key: list(analysis.lists.get(key, ())) for key in KEYS}, ensure_ascii=False, indent=2)
    return render(f"{template}The answers:\n{{{{responses}}}}\n\nThe final answer:", original, panel, found)


def render(template: str, original: str, panel: Sequence[tuple[str, Reply]], analysis: str) -> str:
    """Return the template with its placeholders filled."""
    values = {"original": original, "responses": responses(panel), "analysis": analysis}
    return _PLACEHOLDER.sub(lambda match: values[match[1]], template)


def responses(panel: Sequence[tuple[str, Reply]]) -> str:
    """Return the answers of the panel as upstream writes them."""
    parts = []
    for number, (model, reply) in enumerate(panel, 1):
        parts.append(f"Response {number} ({model}):\n{reply.content}")
        if reply.reasoning:
            parts.append(f"Reasoning {number} ({model}):\n{reply.reasoning}")
    return "\n\n".join(parts).strip()
