import argparse
import time

from . import MockProvider

parser = argparse.ArgumentParser(description="A mock of every provider, on loopback.")
parser.add_argument("--port", type=int, default=0)
with MockProvider(parser.parse_args().port) as mock:
    print(mock.url, flush=True)
    while True:
        time.sleep(3600)
