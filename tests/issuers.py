"""An issuer of tokens, as an identity provider is one: it signs, and publishes its public keys."""

import asyncio
import time
from collections.abc import Mapping
from functools import cache
from typing import Any, Self

import jwt
import orjson
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from .clients import Client

ISSUER = "https://login.example.com/"


@cache
def private(kid: str) -> Any:
    """A private key of that name: RSA, or for names that begin with "ec" on P-256; "weak" is too short."""
    if kid.startswith("ec"):
        return ec.generate_private_key(ec.SECP256R1())
    return rsa.generate_private_key(public_exponent=65537, key_size=1024 if kid == "weak" else 2048)


def public(kid: str, **more: Any) -> dict[str, Any]:
    """The public half, as a member of a set."""
    algorithm: Any = ECAlgorithm if kid.startswith("ec") else RSAAlgorithm
    return {**algorithm.to_jwk(private(kid).public_key(), as_dict=True), "kid": kid, "use": "sig", **more}


def keys(*kids: str) -> bytes:
    return orjson.dumps({"keys": [public(kid) for kid in kids]})


def token(
    kid: str | None = "rsa-1",
    *,
    key: Any = None,
    algorithm: str | None = None,
    headers: Mapping[str, Any] | None = None,
    **claims: Any,
) -> str:
    """A token that is valid for an hour, but for what `claims` say; a claim that is None is left out."""
    now = int(time.time())
    said = {"iss": ISSUER, "sub": "alice", "aud": "coatcheck", "exp": now + 3600, "iat": now, **claims}
    ec_key = kid is not None and kid.startswith("ec")
    return jwt.encode(
        {name: value for name, value in said.items() if value is not None},
        key or private(kid or "rsa-1"),
        algorithm or ("ES256" if ec_key else "RS256"),
        headers={**({"kid": kid} if kid is not None else {}), **(headers or {})},
    )


class Issuer:
    """Publishes keys on a free port."""

    def __init__(self, *kids: str) -> None:
        self.body = keys(*kids)
        self.status = 200
        self.headers: Mapping[str, str] = {}
        #: How often it was asked, and each time again.
        self.asked = 0
        self.asks: asyncio.Queue[int] = asyncio.Queue()
        self.url = ""

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_get("/jwks.json", self._answer)
        app.router.add_get("/elsewhere.json", self._elsewhere)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.01)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/jwks.json"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _answer(self, _request: web.Request) -> web.Response:
        answer = web.Response(body=self.body, status=self.status, headers=self.headers)
        self.asked += 1
        self.asks.put_nowait(self.asked)
        return answer

    async def _elsewhere(self, _request: web.Request) -> web.Response:
        return web.Response(body=keys("stranger"))


def jwt_auth(**more: Any) -> dict[str, Any]:
    """An `[auth]` table that takes the issuer's tokens."""
    return {"jwt": {"issuer": ISSUER, "audience": "coatcheck", **more}}


def bearer(value: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {value}"}


async def owner(c: Client, headers: Mapping[str, str]) -> str:
    """Who owns what is submitted so."""
    ticket = await c.served.gateway.store.ticket(await c.submit("embeddings", headers=headers), None)
    assert ticket is not None
    return ticket.job.owner
