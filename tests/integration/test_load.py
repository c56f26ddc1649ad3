"""Many streams at once."""

import asyncio

import openai
import pytest
from support import CHAT


@pytest.mark.parametrize("count", [200])
def test_concurrent_streams_all_finish(server, count):
    async def run():
        client = openai.AsyncOpenAI(base_url=f"{server.url}/serving-endpoints", api_key=server.token,
                                    max_retries=0, timeout=300)

        async def one(i):
            stream = await client.chat.completions.create(
                model=CHAT, messages=[{"role": "user", "content": f"Count from {i}."}], max_tokens=12,
                temperature=0, stream=True, stream_options={"include_usage": True})
            text, finish, usage = "", None, None
            async for chunk in stream:
                if chunk.choices:
                    text += chunk.choices[0].delta.content or ""
                    finish = chunk.choices[0].finish_reason or finish
                usage = chunk.usage or usage
            return text, finish, usage

        answers = await asyncio.gather(*(one(i) for i in range(count)))
        alone = await one(7)
        return answers, alone

    answers, alone = asyncio.run(run())
    assert all(finish in ("stop", "length") and usage.completion_tokens > 0 for _, finish, usage in answers)
    assert answers[7][0] == alone[0]  # a row in a batch equals the row alone
