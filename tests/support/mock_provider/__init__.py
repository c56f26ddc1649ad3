"""A process that speaks the dialects of all providers, for tests and benchmarks.

    with MockProvider() as mock:
        mock.url                      # the origin to aim an endpoint at (base_url_override)
        mock.requests                 # what has arrived, oldest first
        mock.script("error-429", "")  # what the next requests get, in order; "" is normal

What a request gets, unless scripted, is named by a marker in its text: "Stock? [[two-tools]]". All
dialects tell the same small story (world.py), so that answers can be compared across providers.
Credentials and bodies are checked as strictly as the providers do it (checks.py).

Run alone:  python3 -m mock_provider --port 9000   (in tests/support)
"""

from .server import MockProvider

__all__ = ["MockProvider"]
