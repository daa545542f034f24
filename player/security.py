"""What keeps other sites out, and what a catalogue's text can do to nothing.

- Only known host names are answered: a site that lets its own name point to this machine (DNS
  rebinding) is not.
- What changes anything must come from this server's own page, by ``Origin`` or ``Sec-Fetch-Site``,
  or from a program with its bearer token, which no browser sends by itself.
- A content security policy under which the page loads scripts, styles, pictures and sounds from
  this server alone; other hosts only once the listener has switched them on.
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from player.errors import PlayerError

COOKIE = "musicrec_listener"
"""How the page's cookie is called, with the store's id behind it: cookies ignore ports, and another
player on this machine must not overwrite them. Without an id by players of before."""
MAX_BODY = 16 * 1024
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
LOCAL_HOSTS = ("localhost", "127.0.0.1", "::1")
SPOTIFY = "https://open.spotify.com"

MAX_ORIGINS = 64
"""Of a catalogue's pictures, or previews, in the policy; with more of them any http or https."""

_ORIGIN = re.compile(r"https?://[a-z0-9.-]+(:[0-9]{1,5})?")

_HOST = re.compile(r"(\[[^\]]*\]|[^:]*)(:[0-9]{1,5})?")
"""A Host header: a name, or an IPv6 address in brackets, and perhaps a port."""

_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; sandbox",
}

_FAILED = PlayerError(500, "failed", "the player failed here, and has written down why in its log")


def page_policy(
    *, pictures: Iterable[str] = (), previews: Iterable[str] = (), spotify: bool = False
) -> str:
    """Return the content security policy of the page.

    Args:
        pictures: origins of the catalogue's pictures, where the listener wants them.
        previews: likewise of its previews.
        spotify: whether the listener wants Spotify's embedded player.
    """
    parts = {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": " ".join(("'self'", *pictures)),
        "media-src": " ".join(("'self'", *previews)),
        "connect-src": "'self'",
        "frame-src": SPOTIFY if spotify else "'none'",
        "form-action": "'none'",
        "base-uri": "'none'",
        "frame-ancestors": "'none'",
    }
    return "; ".join(f"{name} {value}" for name, value in parts.items())


def origins_of(links: Iterable[str]) -> tuple[str, ...]:
    """Return the origins of http and https links, sorted, as a policy can hold them.

    A link whose origin is no plain host name is left out: nothing of a catalogue can add words to
    the policy.
    """
    found: set[str] = set()
    for link in links:
        try:
            parts = urlsplit(link)
        except ValueError:
            continue
        origin = f"{parts.scheme}://{parts.netloc}".lower()
        if _ORIGIN.fullmatch(origin):
            found.add(origin)
    return tuple(sorted(found)) if len(found) <= MAX_ORIGINS else ("http:", "https:")


def cookie_of(store_id: str) -> str:
    """Return the name of the cookie of a store's listeners."""
    return f"{COOKIE}_{store_id}"


def host_name(host: str) -> str:
    """Return the name in a Host header, without port and brackets, in small letters."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].lower()


class Guard:
    """Refuses foreign hosts and origins and bodies that are too large; adds the headers.

    It answers for an application that fails, too (500), and lets the error through to the log.

    Args:
        app: what is guarded.
        bound_to: the address that the server is bound to.
        allowed: further names by which it may be called.
    """

    def __init__(self, app: ASGIApp, *, bound_to: str, allowed: Iterable[str] = ()) -> None:
        self.app = app
        self.allowed = {*LOCAL_HOSTS, bound_to.lower(), *(name.lower() for name in allowed)}
        # Bound to all addresses it is called by one of them; a rebinding site by its own name.
        self.any_address = bound_to in ("0.0.0.0", "::", "")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or hand it on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        has_begun = False

        async def send_with_headers(message: Message) -> None:
            nonlocal has_begun
            if message["type"] == "http.response.start":
                has_begun = True
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            try:
                self._check(scope)
                whole = await _limited(scope, receive)
            except PlayerError as error:
                await _answer(error, send_with_headers)
                return
            await self.app(scope, whole, send_with_headers)
        except Exception:  # answered here: what Starlette would answer has no headers of ours
            if not has_begun:
                await _answer(_FAILED, send_with_headers)
            raise

    def _check(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if not _HOST.fullmatch(host):
            raise PlayerError(
                403,
                "foreign-host",
                "the Host header must be a name, or an address (IPv6 in brackets), and may have a "
                f"port of at most five digits behind a colon, got {host[:200]!r}",
            )
        if not self._is_ours(host_name(host)):
            raise PlayerError(
                403,
                "foreign-host",
                f"the player does not answer to the host name {host[:200]!r}; start it with "
                "--allow-host NAME if it is to",
            )
        if scope["method"] in SAFE_METHODS:
            return
        _check_origin(headers, host, scope)
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        has_body = headers.get("content-length", "0") != "0" or "transfer-encoding" in headers
        if has_body and kind != "application/json":
            raise PlayerError(
                415, "not-json", f"the body must be application/json, got {kind[:100]!r}"
            )

    def _is_ours(self, name: str) -> bool:
        return name in self.allowed or (self.any_address and _is_address(name))


def _check_origin(headers: Headers, host: str, scope: Scope) -> None:
    """Raise `PlayerError` unless the page of this server, or a program, sent the request."""
    origin, site = headers.get("origin"), headers.get("sec-fetch-site")
    own = f"{scope['scheme']}://{host}".lower()
    # "null" is also what a page of ours sends in some modes, as it sends no referrer.
    named_right = origin in (None, "null") or str(origin).lower() == own
    if site is not None:  # no script can forge it
        if site in ("same-origin", "none") and named_right:
            return
    elif origin is not None:
        if str(origin).lower() == own:
            return
    elif not any(name.startswith(COOKIE) for name in cookie_parser(headers.get("cookie", ""))):
        return  # a program; without a token it will be told so
    raise PlayerError(
        403,
        "foreign-origin",
        "this request changes something, and was not sent by the player's own page "
        f"(Origin {(origin or 'not given')[:200]!r}); a program sends its token as "
        "'Authorization: Bearer TOKEN' and no cookie",
    )


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


async def _limited(scope: Scope, receive: Receive) -> Receive:
    """Return a ``receive`` of a body that was read whole, and is not too large."""
    if scope["method"] in SAFE_METHODS:
        return receive
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            break
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > MAX_BODY:
            raise PlayerError(413, "too-large", f"the body must be at most {MAX_BODY:,} bytes")
    sent = False

    async def again() -> Message:
        nonlocal sent
        if sent:
            return await receive()
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


async def _answer(error: PlayerError, send: Send) -> None:
    body = json.dumps(error.content()).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": error.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
