"""``tandem router explain``: why a request goes where it goes. No model is called."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tandem.errors import TandemError
from tandem.router.calls import Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tandem.router.config.load import Loaded
    from tandem.router.config.settings import Config
    from tandem.router.routing.route import Explanation

_MAX_BODY_BYTES = 64 << 20


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser], load: Callable[[Path], Loaded]) -> None:
    """Add the command, which reads its configuration with `load`."""
    parser = commands.add_parser(
        "explain",
        help="say which decision takes a request, and why",
        description="Evaluate every signal for a request, and say which hold, which decision takes it, and which "
        "models would be asked. None is. The status is 0, 1 where the request would be refused, 2 for a configuration "
        "that cannot be served.",
    )
    parser.add_argument("config", type=Path, metavar="CONFIG", help="the file")
    parser.add_argument("--text", help="what a user says; without it the body of a request is read from standard input")
    parser.add_argument("--model", metavar="NAME", help="the model of --text (default: the first virtual name)")
    parser.add_argument("--json", action="store_true", help="print a document")
    parser.set_defaults(handler=lambda arguments: _explain(arguments, load(arguments.config)))


def _explain(arguments: argparse.Namespace, loaded: Loaded) -> int:
    if loaded.config is None:
        for problem in loaded.problems:
            print(problem.render(str(arguments.config)), file=sys.stderr)
        return 2
    config = loaded.config
    body = _body(arguments, config)
    try:
        explanation = asyncio.run(_evaluate(config, body))
    except Refused as refused:
        # It is refused before any signal is looked at.
        print(
            json.dumps({"refused": _refusal(refused)}, indent=2) if arguments.json else _refused_line(_refusal(refused))
        )
        return 1
    document = _document(config, explanation)
    print(json.dumps(document, indent=2) if arguments.json else _text(document))
    return 1 if isinstance(explanation.result, Refused) else 0


def _body(arguments: argparse.Namespace, config: Config) -> Mapping[str, object]:
    if arguments.text is not None:
        general = config.general
        model = arguments.model or (*general.router.names, *general.integrations.looper.fusion.names)[0]
        return {"model": model, "messages": [{"role": "user", "content": arguments.text}]}
    if arguments.model:
        raise TandemError("--model is for --text; the body of a request names its model itself")
    try:
        body = json.loads(sys.stdin.buffer.read(_MAX_BODY_BYTES))
    except (ValueError, RecursionError) as error:
        raise TandemError(f"standard input: no JSON ({error}); write the body of a request, or use --text") from None
    if not isinstance(body, dict):
        raise TandemError("standard input: no JSON object; write the body of a request, or use --text")
    return body


async def _evaluate(config: Config, body: Mapping[str, object]) -> Explanation:
    from tandem.router.routing.build import build_routing
    from tandem.router.routing.route import CHAT, COMPLETIONS

    routing = await build_routing(config, os.environ)
    try:
        return await routing.explain(body, COMPLETIONS if "prompt" in body and "messages" not in body else CHAT)
    finally:
        await routing.close()


def _document(config: Config, explanation: Explanation) -> dict[str, Any]:
    evaluation, result = explanation.evaluation, explanation.result
    document: dict[str, Any] = {
        "model": explanation.model,
        "text": explanation.text,
        "signals": [_signal(kind, one, explanation) for kind, one in _signals(config) if kind in evaluation.families],
        "degraded": dict(evaluation.degraded),
        "timings_ms": {family: round(seconds * 1000, 3) for family, seconds in evaluation.timings_sec.items()},
    }
    if isinstance(result, Refused):
        return document | {"refused": _refusal(result)}
    decision = result.decision
    return document | {
        "decision": decision.name if decision else None,
        "priority": decision.priority if decision else None,
        "algorithm": decision.algorithm.type if decision else None,
        "models": list(result.models),
    }


def _signals(config: Config) -> list[tuple[str, object]]:
    signals = config.routing.signals
    families = {"keyword": signals.keywords, "context": signals.context, "embedding": signals.embeddings}
    return [(kind, one) for kind, some in families.items() for one in some]


def _signal(kind: str, signal: object, explanation: Explanation) -> dict[str, object]:
    name = str(getattr(signal, "name", ""))
    found = explanation.evaluation.details.get((kind, name))
    document: dict[str, object] = {
        "signal": f"{kind}:{name}",
        "holds": (kind, name) in explanation.evaluation.matches,
    }
    if kind == "keyword":
        document["keywords"] = list(found) if isinstance(found, tuple) else []
    elif kind == "context":
        limits = {key: getattr(signal, key) for key in ("min_tokens", "max_tokens")}
        document |= {"tokens": found, **{key: value for key, value in limits.items() if value is not None}}
    else:
        document |= {"score": found, "threshold": getattr(signal, "threshold", None)}
    return document


def _refusal(refused: Refused) -> dict[str, Any]:
    return {"status": refused.status, "code": refused.code, "message": str(refused)}


def _refused_line(refusal: Mapping[str, Any]) -> str:
    return f"refused   {refusal['status']} {refusal['code']}: {refusal['message']}"


def _text(document: Mapping[str, Any]) -> str:
    lines = [f"model     {document['model']}"]
    for signal in document["signals"]:
        values = ", ".join(
            f"{key} {', '.join(value) or 'none' if isinstance(value, list) else value}"
            for key, value in signal.items()
            if key not in ("signal", "holds") and value is not None
        )
        lines.append(f"{'holds' if signal['holds'] else '-':<9} {signal['signal']} ({values})")
    lines += [f"degraded  {family}: {why}" for family, why in document["degraded"].items()]
    if "refused" in document:
        return "\n".join([*lines, _refused_line(document["refused"])])
    if document["decision"]:
        lines.append(f"decision  {document['decision']} (priority {document['priority']}, {document['algorithm']})")
    return "\n".join([*lines, f"models    {', '.join(document['models'])}"])
