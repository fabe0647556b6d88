"""Engines that need a known time: the model that is asked for is called by its milliseconds, as in `after-300`."""

from __future__ import annotations

import asyncio
import json
import sys

import uvloop

#: Pieces of a streamed answer, and how far apart they are sent: a synthesis of half a second.
PIECES, INTERVAL_SEC = 25, 0.02
_ANALYSIS = ("consensus", "contradictions", "partial_coverage", "unique_insights", "blind_spots")


def _answer(body: dict[str, object]) -> bytes:
    data = json.dumps({"id": "chatcmpl-1", "object": "chat.completion", "created": 1, **body}).encode()
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(data), data)


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
            asked = json.loads(await reader.readexactly(length) or b"{}")
            model = str(asked.get("model", "after-0"))
            if asked.get("stream"):
                await _stream(writer, model)
            else:
                await asyncio.sleep(int(model.rpartition("-")[2]) / 1000)
                # What the judge is asked for; as an answer of a member it is as good as any, and no two are alike.
                text = json.dumps({name: [model] for name in _ANALYSIS})
                choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
                writer.write(_answer({"model": model, "choices": [choice], "usage": {"total_tokens": 80}}))
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def _stream(writer: asyncio.StreamWriter, model: str) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
    for number in range(PIECES + 1):
        await asyncio.sleep(INTERVAL_SEC if number < PIECES else 0)
        last = number == PIECES
        choice = {"index": 0, "delta": {} if last else {"content": " token"}, "finish_reason": "stop" if last else None}
        chunk = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": model}
        data = b"data: %b\n\n" % json.dumps({**chunk, "choices": [choice]}).encode()
        data += b"data: [DONE]\n\n" if last else b""
        writer.write(b"%x\r\n%b\r\n" % (len(data), data))
    writer.write(b"0\r\n\r\n")


async def _main(port: int) -> None:
    server = await asyncio.start_server(_serve, "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_main(int(sys.argv[1])))
