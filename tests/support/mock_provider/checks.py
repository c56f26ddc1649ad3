"""What the providers refuse: wrong credentials, unknown or null members, values out of range."""

import datetime
import hashlib
import hmac
import urllib.parse

KEY = "mock-key"  # the one good API key, in whatever header it travels
AWS_KEY_ID, AWS_SECRET = "AKTESSERAEXAMPLE", "tessera-not-a-real-secret"
SESSION = ("ASIAEX", "secret2", "TOK2")  # what the mock's STS gives


class Refusal(Exception):
    def __init__(self, status, message, code=""):
        super().__init__(message)
        self.status, self.message, self.code = status, message, code


def bearer(request, *good):
    got = request.headers.get("authorization", "")
    if got not in [f"Bearer {key}" for key in good or (KEY,)]:
        raise Refusal(401, "Incorrect API key provided.", "invalid_api_key")


def header_key(request, name):
    if request.headers.get(name) != KEY:
        raise Refusal(401, "invalid x-api-key", "authentication_error")


def members(value, allowed, where="body"):
    """No member beyond `allowed`, and none that is null, at this level."""
    for name, content in value.items():
        if name not in allowed:
            raise Refusal(400, f"{where}.{name}: Extra inputs are not permitted", "invalid_request_error")
        if content is None:
            raise Refusal(400, f"{where}.{name}: must not be null", "invalid_request_error")


def between(value, name, low, high):
    if name in value and not low <= value[name] <= high:
        raise Refusal(400, f"{name}: must be between {low} and {high}", "invalid_request_error")


def required(value, *names):
    for name in names:
        if name not in value:
            raise Refusal(400, f"{name}: Field required", "invalid_request_error")


def no_nulls(value, where="body"):
    if value is None:
        raise Refusal(400, f"{where}: expected a value, found Null", "ValidationException")
    for name, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        no_nulls(inner, f"{where}.{name}")


def _quote(text):
    return urllib.parse.quote(text, safe="-._~")


def _hmac(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def sigv4(request, service):
    """Signs the request again and compares (AWS Signature Version 4)."""
    header = request.headers.get("authorization", "")
    if not header.startswith("AWS4-HMAC-SHA256 "):
        raise Refusal(403, "Missing Authentication Token", "MissingAuthenticationTokenException")
    parts = dict(part.strip().split("=", 1) for part in header[17:].split(","))
    key_id, date, region, signed_service, _ = parts["Credential"].split("/")
    secrets = {AWS_KEY_ID: AWS_SECRET, SESSION[0]: SESSION[1]}
    if key_id not in secrets or signed_service != service:
        raise Refusal(403, "The security token included in the request is invalid.", "UnrecognizedClientException")
    if key_id == SESSION[0] and request.headers.get("x-amz-security-token") != SESSION[2]:
        raise Refusal(403, "The security token included in the request is expired", "ExpiredTokenException")
    stamp = request.headers["x-amz-date"]
    age = datetime.datetime.now(datetime.timezone.utc) - datetime.datetime.strptime(
        stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=datetime.timezone.utc)
    if abs(age.total_seconds()) > 300:
        raise Refusal(403, "Signature expired", "InvalidSignatureException")
    names = parts["SignedHeaders"].split(";")
    path, _, query = request.path.partition("?")
    uri = "/".join(_quote(segment) for segment in path.split("/"))
    pairs = sorted((_quote(k), _quote(v)) for k, v in urllib.parse.parse_qsl(query, keep_blank_values=True))
    canonical = "\n".join([
        request.method, uri, "&".join(f"{k}={v}" for k, v in pairs),
        "".join(f"{name}:{' '.join(request.headers[name].split())}\n" for name in names), ";".join(names),
        hashlib.sha256(request.body).hexdigest()])
    scope = f"{date}/{region}/{service}/aws4_request"
    text = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = ("AWS4" + secrets[key_id]).encode()
    for step in (date, region, service, "aws4_request"):
        key = _hmac(key, step)
    if _hmac(key, text).hex() != parts["Signature"]:
        raise Refusal(403, "The request signature we calculated does not match the signature you provided.",
                      "InvalidSignatureException")
