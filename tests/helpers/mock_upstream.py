"""A server of the completions protocol without a model, as a process: the same answer for everybody, token by token.

    python -m helpers.mock_upstream PORT TOKENS SECONDS_PER_TOKEN [lose]

With `lose` one token id of every stream is missing, as of servers that lose some, while the count of tokens is right.
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from typing import Any

VOCABULARY = 313
"""The embedded model's."""
END = 0


def tokens(count: int) -> list[int]:
    return [*(1 + i % (VOCABULARY - 1) for i in range(count - 1)), END]


def application(count: int, pause: float, lose: bool = False) -> Any:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import JSONResponse, Response, StreamingResponse
    from starlette.routing import Route

    async def models(_: Request) -> Response:
        return JSONResponse({"data": [{"id": "base"}]})

    async def completions(request: Request) -> Response:
        body = await request.json()
        assert isinstance(body["prompt"], list) and body["return_token_ids"]

        async def events() -> AsyncIterator[str]:
            ids = tokens(count)
            for place, token in enumerate(ids):
                if pause:
                    await asyncio.sleep(pause)
                last = place == count - 1
                choice = {"index": 0, "text": "", "token_ids": [] if lose and place == 1 else [token],
                          "logprobs": {"token_logprobs": [] if lose and place == 1 else [-0.5]},
                          "finish_reason": "stop" if last else None}  # fmt: skip
                choice["text"] = "" if last else f"w{token} "
                yield f"data: {json.dumps({'model': body['model'], 'choices': [choice]})}\n\n"
            usage = {"prompt_tokens": len(body["prompt"]), "completion_tokens": count}
            yield f"data: {json.dumps({'model': body['model'], 'choices': [], 'usage': usage})}\n\ndata: [DONE]\n\n"

        return StreamingResponse(events(), media_type="text/event-stream")

    routes = [Route("/v1/models", models), Route("/v1/completions", completions, methods=["POST"])]
    return Starlette(routes=routes)


def main() -> None:
    import uvicorn

    port, count, pause = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    app = application(count, pause, "lose" in sys.argv[4:])
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="error", access_log=False)


if __name__ == "__main__":
    main()
