"""The long mixed text of the parity goldens: 256 chunks of about 5 KB, made from parity.json by a
generator that parity_text.cpp beside the unit tests repeats bit for bit, so that neither the text
nor the ids need to be stored. Chunk k is of kind k mod 8:

  0 prose of many scripts  1 code     2 characters of script blocks  3 emoji
  4 white space, controls  5 specials 6 random bytes                 7 any code point
"""
import json
import pathlib

HERE = pathlib.Path(__file__).parent
CHUNKS, CHUNK_BYTES = 256, 5120
MASK = (1 << 64) - 1


class Random:  # splitmix64
    def __init__(self, seed):
        self.state = seed

    def next(self):
        self.state = (self.state + 0x9E3779B97F4A7C15) & MASK
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        return z ^ (z >> 31)

    def below(self, n):
        return self.next() % n

    def pick(self, items):
        return items[self.below(len(items))]


def load_pools():
    pools = json.loads((HERE / "parity.json").read_text())
    pools["words"] = pools["words"].split(" ")
    return pools


def chunk(pools, k):
    """The bytes of chunk k; of kind 6 they are not UTF-8."""
    r, kind, out = Random(k), k % 8, bytearray()
    while len(out) < CHUNK_BYTES:
        if kind == 0:
            out += (r.pick(pools["words"]) + r.pick(pools["separators"])).encode()
        elif kind == 1:
            out += r.pick(pools["code"]).encode()
        elif kind == 2:  # a run from one block, then a separator
            low, high = r.pick(pools["ranges"])
            for _ in range(1 + r.below(12)):
                out += chr(low + r.below(high - low + 1)).encode()
            if r.below(3) == 0:
                out += r.pick(pools["separators"]).encode()
        elif kind == 3:
            out += r.pick(pools["emoji"]).encode("utf-16", "surrogatepass").decode("utf-16").encode()
        elif kind == 4:
            out += r.pick(pools["blanks"]).encode()
        elif kind == 5:
            out += r.pick(pools["specials"]).encode()
        elif kind == 6:  # mostly bytes, sometimes the beginnings of characters
            if r.below(4) == 0:
                out += chr(0x80 + r.below(0xD000)).encode()[:1 + r.below(3)]
            else:
                out.append(r.below(256))
        else:
            c = r.below(0x110000 - 0x800)
            out += chr(c if c < 0xD800 else c + 0x800).encode()
    return bytes(out)


def text_of(data):
    """As Tessera reads bytes: each maximal invalid part is one U+FFFD."""
    return data.decode("utf-8", "replace")


def random_ids(k, vocab_size):
    """Sequence k of ids, some beyond the vocabulary."""
    r = Random(1_000_000 + k)
    return [r.below(vocab_size + 5) for _ in range(200)]




def hash_bytes(data):
    """Eight hexadecimal digits, of 64-bit words for speed."""
    h = 0xCBF29CE484222325 ^ len(data)
    data = data + bytes(-len(data) % 8)
    for i in range(0, len(data), 8):
        h = ((h ^ int.from_bytes(data[i:i + 8], "little")) * 0x9E3779B97F4A7C15) & MASK
        h ^= h >> 32
    return "%08x" % (h >> 32)


def hash_ids(ids):
    return hash_bytes(b"".join(i.to_bytes(4, "little") for i in ids))
