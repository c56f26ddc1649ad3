#!/usr/bin/env python3
"""Prints which room includes which, and fails on an edge the house does not have.

The rooms and their permitted edges are described in docs/architecture.md; a room here may use the rooms
in its set, besides `base` and itself. Every include of our own must start at src/: "room/file.h".
"""

import pathlib
import re
import sys

ALLOWED = {
    "base": set(),
    "http": set(),
    "api": set(),
    "compute": set(),
    "text": set(),
    "catalog": set(),
    "models": {"compute"},
    "engine": {"models", "text", "compute"},
    "worker": {"engine", "text", "api", "http"},
    "store": {"catalog"},
    "providers": {"api", "catalog"},
    "gateway": {"providers", "catalog", "api", "http"},
    "control": {"store", "catalog", "http"},
    "app": None,  # all of them
}
SUFFIXES = {".h", ".cpp", ".inl", ".cu", ".cuh"}
INCLUDE = re.compile(r'^\s*#\s*include\s*"([^"]+)"', re.MULTILINE)


def main() -> int:
    source = pathlib.Path(__file__).resolve().parent.parent / "src"
    rooms = list(ALLOWED)
    counts = {(a, b): 0 for a in rooms for b in rooms}
    faults = []
    for path in sorted(source.rglob("*")):
        if path.suffix not in SUFFIXES:
            continue
        name = path.relative_to(source)
        room = name.parts[0]
        if room not in ALLOWED:
            faults.append(f"src/{name}: '{room}' is not a room")
            continue
        for include in INCLUDE.findall(path.read_text(encoding="utf-8", errors="replace")):
            target = include.split("/")[0]
            if target not in ALLOWED:
                faults.append(f'src/{name}: "{include}" does not start at src/')
                continue
            counts[room, target] += 1
            permitted = ALLOWED[room]
            if target in (room, "base") or permitted is None or target in permitted:
                continue
            faults.append(f'src/{name}: room {room} must not include "{include}"')

    width = max(map(len, rooms))
    print(" " * width, *(f"{room:>{max(4, len(room))}}" for room in rooms))
    for a in rooms:
        cells = (f"{counts[a, b] or '·':>{max(4, len(b))}}" for b in rooms)
        print(f"{a:<{width}}", *cells)
    for fault in faults:
        print(fault, file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
