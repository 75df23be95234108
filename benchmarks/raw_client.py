"""Plain requests with the `openai` package, which every vLLM brings along: what `bench_served.py` is held against.

    VLLM_PYTHON raw_client.py ADDRESS CONCURRENCY < bodies.jsonl       the key: ITERDEPLOY_API_KEY

Each line of standard input is a list of request bodies. They are sent in that order, at most CONCURRENCY at once, by
one asyncio loop; for each line one of standard output tells {"seconds": ..., "answers": ..., "tokens": ...}. A first
line says that the package is there. The process and its connections stay, so that what is slow once is over.
"""

import asyncio
import json
import os
import sys
import time
from typing import Any

from openai import AsyncOpenAI

OWN = {"model", "prompt", "max_tokens", "temperature", "top_p", "seed", "logprobs"}
"""What the package has arguments for; all else goes into `extra_body`."""


async def main(address: str, concurrency: int) -> None:
    async with AsyncOpenAI(
        base_url=address, api_key=os.environ["ITERDEPLOY_API_KEY"] or "none", timeout=3600
    ) as client:
        free = asyncio.Semaphore(concurrency)

        async def ask(body: dict[str, Any]) -> int:
            """Tokens of the answer, as the server counts them; of one that does not, those that it returns."""
            own = {name: value for name, value in body.items() if name in OWN}
            extra = {name: value for name, value in body.items() if name not in OWN}
            async with free:
                reply = await client.completions.create(**own, extra_body=extra)
            return reply.usage.completion_tokens if reply.usage else len(reply.choices[0].token_ids)

        print("ready", flush=True)
        while line := await asyncio.to_thread(sys.stdin.readline):
            bodies = json.loads(line)
            began = time.perf_counter()
            tokens = sum(await asyncio.gather(*(ask(body) for body in bodies)))
            seconds = time.perf_counter() - began
            print(json.dumps({"seconds": seconds, "answers": len(bodies), "tokens": tokens}), flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
