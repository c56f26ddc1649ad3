"""The story that every dialect tells: what the model says in each scenario."""

import dataclasses
import json
import re

PROMPT_TOKENS, COMPLETION_TOKENS = 14, 3


@dataclasses.dataclass
class Call:
    name: str
    arguments: dict
    id: str = ""


@dataclasses.dataclass
class Turn:
    text: str = ""
    calls: list = dataclasses.field(default_factory=list)
    thinking: str = ""
    finish: str = "stop"  # stop, length, tools, filter

    def pieces(self):
        """The text as a stream would bring it."""
        return [part for part in re.split(r"(?<= )", self.text) if part]


STOCK_B, STOCK_C = {"sku": "B-7"}, {"sku": "C-9"}
# Text that a careless reader of streams breaks: U+2028, more than one byte per character.
HARD_TEXT = "a\u2028b é 漢 😀"


def marker(body: bytes):
    """The scenario that the request's text asks for; "" for none."""
    found = re.findall(rb"\[\[([a-z0-9-]+)\]\]", body)
    return found[-1].decode() if found else ""


def turn(scenario, json_tool=None):
    """`json_tool`: the name of a tool that the request forces for structured output."""
    if json_tool:
        return Turn(calls=[Call(json_tool, {"answer": 2}, "call_json")], finish="tools")
    turns = {
        "tool": Turn(calls=[Call("get_stock", STOCK_B, "call_a1")], finish="tools"),
        "two-tools": Turn("Checking. ", [Call("get_stock", STOCK_B, "call_a1"),
                                         Call("get_stock", STOCK_C, "call_a2")], finish="tools"),
        "same-tools": Turn(calls=[Call("get_stock", STOCK_B, "call_a1"),
                                  Call("get_stock", STOCK_B, "call_a2")], finish="tools"),
        "no-arguments": Turn(calls=[Call("list_all", {}, "call_a1")], finish="tools"),
        "thinking": Turn("Two.", thinking="One plus one"),
        "length": Turn("Tw", finish="length"),
        "filter": Turn("", finish="filter"),
        "hard-text": Turn(HARD_TEXT),
        "json": Turn(json.dumps({"answer": 2})),
        "long": Turn("word " * 200),
    }
    return turns.get(scenario, Turn("One and one is two."))


def vector(text):
    """An embedding that only depends on its text: [number of characters, 1, -0.25]."""
    return [float(len(text)), 1.0, -0.25]
