"""What a dialect answers: whole, or as the frames of a stream."""

import dataclasses
import json


@dataclasses.dataclass
class Answer:
    status: int = 200
    body: bytes = b""
    headers: dict = dataclasses.field(default_factory=dict)
    content_type: str = "application/json"
    frames: list = None  # of a stream, each one event
    garbage: bytes = b""  # a frame of this framing that no decoder can read
    overload: bytes = b""  # a frame that reports overload, where the dialect has one


def json_answer(value, status=200, **fields):
    return Answer(status=status, body=json.dumps(value, ensure_ascii=False).encode(), **fields)
