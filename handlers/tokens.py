"""Bearer tokens of one issuer (JWT, RFC 7519; RFC 8725 for what to be wary of): whose they are, if they are valid."""

import base64
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jwt
import orjson

from ..engine.clock import Clock
from ..engine.errors import ConfigurationError, InvalidToken, UnknownSigner
from ..engine.jobs import SECOND
from ..engine.keys import Caller, digest
from ..schemas.config import JwtSettings
from .jwks import KeySet

_SHARED = ("HS256", "HS384", "HS512")
_PUBLIC = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")

#: Tokens that are remembered as valid.
_MAX_REMEMBERED = 10_000
#: Characters that a subject may have, so that an owner can be written into a line of a log.
_MAX_SUBJECT = 255
#: Later moments are no dates (RFC 7519 sets no bound).
_MAX_SECONDS = 1e12

#: What may not stand in an error_description (RFC 6750, 3).
_UNQUOTABLE = re.compile(r"[^\x20-\x21\x23-\x5b\x5d-\x7e]")

_REASONS: Mapping[type[jwt.PyJWTError], str] = {
    jwt.InvalidSignatureError: "its signature is wrong",
    jwt.InvalidIssuerError: "it is of another issuer",
    jwt.InvalidAudienceError: "it is for another audience",
}


class Tokens:
    def __init__(
        self,
        settings: JwtSettings,
        clock: Clock,
        environ: Mapping[str, str] = os.environ,
        *,
        folder: Path = Path(),
    ) -> None:
        """A relative path of `jwks` begins at `folder`. Raises `ConfigurationError` if the settings cannot be used, or
        would let a token choose how it is checked."""
        self._settings = settings
        self._clock = clock
        #: What the names of the issuer's owners begin with, and the limits of each.
        self.owners = f"jwt:{settings.issuer}|"
        self.limits = settings.limits
        self._algorithms = _algorithms(settings)
        self._secret: Mapping[str, jwt.PyJWK] = {}
        self._set: KeySet | None = None
        if settings.jwks is not None:
            remote = settings.jwks.startswith(("http://", "https://"))
            self._set = KeySet(settings.jwks if remote else folder / settings.jwks, self._algorithms)
        else:
            self._secret = _secret(settings, self._algorithms, environ)
        #: By a token's hash: whose it is, until when (microseconds UTC), and by which version of the keys.
        self._remembered: dict[bytes, tuple[Caller, int, int]] = {}

    async def start(self) -> None:
        """Raises `ConfigurationError` if the issuer's keys are in a file that cannot be used."""
        if self._set is not None:
            await self._set.start()

    async def close(self) -> None:
        if self._set is not None:
            await self._set.close()

    async def refresh(self) -> None:
        """Loads the issuer's keys again. Raises `Unavailable` if they cannot be had."""
        if self._set is not None:
            await self._set.refresh()

    def caller(self, token: str) -> Caller | None:
        """Whose token it is; None if it is no JWT. Raises `InvalidToken` with the reason if it is not valid,
        `UnknownSigner` if that is so by the keys that are known now."""
        sha256 = digest(token)
        version = self._set.version if self._set is not None else 0
        known = self._remembered.get(sha256)
        if known is not None:
            if known[1] > self._clock.now() and known[2] == version:
                return known[0]
            del self._remembered[sha256]
        header = _header(token)
        if header is None:
            return None
        claims = self._claims(token, header)
        ends_at = self._check_times(claims)
        found = Caller(self._owner(claims), self._is_admin(claims))
        while len(self._remembered) >= _MAX_REMEMBERED:
            del self._remembered[next(iter(self._remembered))]
        self._remembered[sha256] = (found, ends_at, version)
        return found

    def _claims(self, token: str, header: Mapping[str, Any]) -> dict[str, Any]:
        """What a token says that is signed by the issuer, for this server; its times are not checked."""
        key = self._key(header)
        try:
            return jwt.decode(
                token,
                key,
                algorithms=[key.algorithm_name],
                issuer=self._settings.issuer,
                audience=self._settings.audience,
                options={
                    "require": ["exp", "iss"],
                    "verify_exp": False, "verify_nbf": False, "verify_iat": False,
                    "verify_sub": False, "verify_jti": False,
                    "enforce_minimum_key_length": True,
                },
            )  # fmt: skip
        except jwt.MissingRequiredClaimError as error:
            raise _invalid(f"it has no {error.claim}") from None
        except jwt.PyJWTError as error:
            raise _invalid(_REASONS.get(type(error), "it is malformed")) from None

    def _key(self, header: Mapping[str, Any]) -> jwt.PyJWK:
        """The key that the header names, of those that are for its algorithm."""
        algorithm, kid = header.get("alg"), header.get("kid")
        if not isinstance(algorithm, str) or algorithm not in self._algorithms:
            raise _invalid(f"its algorithm is not one of {', '.join(self._algorithms)}")
        if self._set is None:
            return self._secret[algorithm]
        if kid is not None and not isinstance(kid, str):
            raise _invalid("its kid is not a string")
        key = self._set.keys.get((kid, algorithm))
        if key is None:
            raise UnknownSigner(headers=_challenge("it was signed with a key that is not known"))
        return key

    def _check_times(self, claims: Mapping[str, Any]) -> int:
        """The moment at which the token expires, in microseconds UTC."""
        now, leeway = self._clock.now(), int(self._settings.leeway_seconds * SECOND)
        times = {name: _moment(name, claims[name]) for name in ("exp", "nbf", "iat") if claims.get(name) is not None}
        if times["exp"] + leeway <= now:
            raise _invalid("it has expired")
        if times.get("nbf", now) > now + leeway:
            raise _invalid("it is not valid yet (nbf)")
        if times.get("iat", now) > now + leeway:
            raise _invalid("it was issued in the future (iat)")
        return times["exp"]

    def _owner(self, claims: Mapping[str, Any]) -> str:
        name = self._settings.owner_claim
        subject = claims.get(name)
        if not isinstance(subject, str) or not 0 < len(subject) <= _MAX_SUBJECT or not subject.isprintable():
            raise _invalid(f"its {name} is not a name of 1 to {_MAX_SUBJECT} printable characters")
        return self.owners + subject

    def _is_admin(self, claims: Mapping[str, Any]) -> bool:
        name, wanted = self._settings.admin_claim, self._settings.admin_value
        if name is None:
            return False
        claim = claims.get(name)
        if wanted is None:
            return claim is True
        return claim == wanted or (isinstance(claim, list) and wanted in claim)


def _algorithms(settings: JwtSettings) -> tuple[str, ...]:
    """Those that are allowed. Shared and public ones never mix: a public key would do as a secret that all know."""
    if (settings.jwks is None) == (settings.secret_env is None):
        raise ConfigurationError("[auth.jwt]: give either jwks or secret_env")
    if not settings.issuer or not settings.issuer.isprintable() or "|" in settings.issuer:
        raise ConfigurationError(
            "[auth.jwt]: issuer: a name of printable characters other than |, as the tokens have it"
        )
    known, usual = (_PUBLIC, ("RS256", "ES256")) if settings.jwks is not None else (_SHARED, ("HS256",))
    for name in settings.algorithms:
        if name not in known:
            means = "jwks" if settings.jwks is not None else "secret_env"
            raise ConfigurationError(
                f"[auth.jwt]: algorithms: {name!r} cannot be used with {means}; use {', '.join(known)}"
            )
    return settings.algorithms or usual


def _secret(settings: JwtSettings, algorithms: tuple[str, ...], environ: Mapping[str, str]) -> Mapping[str, jwt.PyJWK]:
    secret = environ.get(settings.secret_env or "")
    if not secret:
        raise ConfigurationError(f"[auth.jwt]: the environment variable {settings.secret_env} is not set")
    encoded = base64.urlsafe_b64encode(secret.encode()).rstrip(b"=").decode()
    keys = {name: jwt.PyJWK({"kty": "oct", "k": encoded}, name) for name in algorithms}
    for name, key in keys.items():
        if key.Algorithm.check_key_length(key.key):
            raise ConfigurationError(
                f"[auth.jwt]: the secret in {settings.secret_env} is too short for {name}: it must have at least "
                f"{int(name[2:]) // 8} bytes (RFC 7518, 3.2)"
            )
    return keys


def _header(token: str) -> dict[str, Any] | None:
    """The header of what looks like a JWT, unverified; None if it is another kind of token."""
    if token.count(".") != 2 or not token.isascii():
        return None
    head = token.partition(".")[0]
    try:
        header = orjson.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))
    except ValueError:
        return None
    return header if isinstance(header, dict) else None


def _moment(name: str, value: object) -> int:
    """A NumericDate in microseconds UTC."""
    if type(value) not in (int, float) or not -_MAX_SECONDS < value < _MAX_SECONDS:  # type: ignore[operator]
        raise _invalid(f"its {name} is not a number of seconds")
    return int(value * SECOND)  # type: ignore[operator]


def _invalid(why: str) -> InvalidToken:
    return InvalidToken(f"The bearer token is not valid: {why}.", headers=_challenge(why))


def _challenge(why: str) -> Mapping[str, str]:
    description = _UNQUOTABLE.sub("?", why)
    return {"WWW-Authenticate": f'Bearer realm="coatcheck", error="invalid_token", error_description="{description}"'}
