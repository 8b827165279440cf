"""Bearer tokens of an issuer (JWT): whose they are, what is refused and why."""

import base64
import hmac
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from coatcheck.app import create_app, load_config, make_tokens
from coatcheck.engine.clock import Clock
from coatcheck.engine.errors import ConfigurationError
from coatcheck.engine.keys import Caller
from coatcheck.engine.limits import Limits

from .clients import Client, client, request
from .issuers import ISSUER, Issuer, bearer, jwt_auth, keys, owner, private, token
from .jobs import Hands

SUBMIT = "/v1/async/embeddings"
SECRET = "a secret of more than thirty-two bytes"


async def refusal(c: Client, value: str) -> str:
    """Why the token is refused, after checking how that is said: alike on submits and on polls."""
    reasons = set()
    for method, path, body in (
        ("POST", SUBMIT, request("embeddings")),
        ("GET", f"{SUBMIT}/00000000-0000-4000-8000-000000000000", None),
    ):
        answer = await c.ask(method, path, body, bearer(value))
        assert (answer.status, answer.code) == (401, "token_invalid"), answer.text
        reason = answer.message.removeprefix("The bearer token is not valid: ").removesuffix(".")
        assert answer.headers["WWW-Authenticate"] == (
            f'Bearer realm="coatcheck", error="invalid_token", error_description="{reason}"'
        )
        reasons.add(reason)
    (reason,) = reasons
    return reason


def test_a_token_of_the_issuer_is_as_good_as_a_key(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with Issuer("rsa-1", "ec-1") as issuer, client(folder, auth=jwt_auth(jwks=issuer.url)) as c:
            for kid in ("rsa-1", "ec-1"):
                id = await c.submit("embeddings", headers=bearer(token(kid)))
                ticket = await c.served.gateway.store.ticket(id, None)
                assert ticket is not None
                assert ticket.job.owner == f"jwt:{ISSUER}|alice"
            assert (await c.ask("GET", f"{SUBMIT}/{id}", None, bearer(token("rsa-1")))).status in (200, 202)
            bob = await c.ask("GET", f"{SUBMIT}/{id}", None, bearer(token("rsa-1", sub="bob")))
            assert (bob.status, bob.message) == (404, "job not found or expired")
            assert issuer.asked == 1

    run(main())


def test_a_server_with_an_issuer_is_closed_and_starts_where_others_reach_it(folder: Path, run: Any) -> None:
    async def main() -> None:
        server = {"host": "0.0.0.0"}
        async with client(folder, server=server, auth=jwt_auth(secret_env="COATCHECK_TEST_SECRET")) as c:
            answer = await c.ask("POST", SUBMIT, request("embeddings"))
            assert (answer.status, answer.message) == (401, "virtual key is required")
            mine = token(None, key=SECRET, algorithm="HS256")
            assert await owner(c, bearer(mine)) == f"jwt:{ISSUER}|alice"

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COATCHECK_TEST_SECRET", SECRET)
        run(main())


def test_the_claims_that_name_owner_and_admin_are_the_operators_choice(folder: Path, run: Any) -> None:
    async def main() -> None:
        settings = {"owner_claim": "email", "admin_claim": "roles", "admin_value": "root"}
        async with Issuer("rsa-1") as issuer, client(folder, auth=jwt_auth(jwks=issuer.url, **settings)) as c:
            assert await owner(c, bearer(token(email="a@example.com"))) == f"jwt:{ISSUER}|a@example.com"
            for roles, status in (("root", 200), (["x", "root"], 200), (["x"], 403), (True, 403), (None, 403)):
                answer = await c.ask("GET", "/v1/keys", None, bearer(token(email="a", roles=roles)))
                assert answer.status == status, roles

    run(main())


def test_without_a_value_the_admin_claim_must_be_true(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with Issuer("rsa-1") as issuer, client(folder, auth=jwt_auth(jwks=issuer.url, admin_claim="root")) as c:
            for claim, status in ((True, 200), (1, 403), ("true", 403), ([True], 403), (None, 403)):
                assert (await c.ask("GET", "/v1/keys", None, bearer(token(root=claim)))).status == status, claim

    run(main())


def test_nobody_is_an_admin_by_token_unless_a_claim_is_named(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with Issuer("rsa-1") as issuer, client(folder, auth=jwt_auth(jwks=issuer.url)) as c:
            assert (await c.ask("GET", "/v1/keys", None, bearer(token(admin=True)))).status == 403

    run(main())


def now(seconds: int = 0) -> int:
    """So many seconds from now, as claims count them; asked when a test runs, which may be long after its import."""
    return int(time.time()) + seconds


def encoded(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()


def forged() -> str:
    head, _, signature = token().split(".")
    claims = orjson.dumps({"iss": ISSUER, "sub": "root", "aud": "coatcheck", "exp": now(3600)})
    return f"{head}.{encoded(claims)}.{signature}"


def unsigned() -> str:
    head = encoded(orjson.dumps({"alg": "none", "kid": "rsa-1"}))
    return f"{head}.{token().split('.')[1]}."


def confused() -> str:
    """Signed with the public key as a secret."""
    shared = private("rsa-1").public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    head = encoded(orjson.dumps({"alg": "HS256", "kid": "rsa-1"}))
    text = f"{head}.{token().split('.')[1]}"
    return f"{text}.{encoded(hmac.digest(shared, text.encode(), 'sha256'))}"


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: token(exp=now(-60)), "it has expired"),
        (lambda: token(exp=None), "it has no exp"),
        (lambda: token(exp="soon"), "its exp is not a number of seconds"),
        (lambda: token(exp=float("inf")), "its exp is not a number of seconds"),
        (lambda: token(exp=True), "its exp is not a number of seconds"),
        (lambda: token(nbf=now(600)), "it is not valid yet (nbf)"),
        (lambda: token(iat=now(600)), "it was issued in the future (iat)"),
        (lambda: token(aud="other"), "it is for another audience"),
        (lambda: token(aud=None), "it has no aud"),
        (lambda: token(iss="https://evil.example.com/"), "it is of another issuer"),
        (lambda: token(iss=None), "it has no iss"),
        (lambda: token(sub=None), "its sub is not a name of 1 to 255 printable characters"),
        (lambda: token(sub=""), "its sub is not a name of 1 to 255 printable characters"),
        (lambda: token(sub=7), "its sub is not a name of 1 to 255 printable characters"),
        (lambda: token(sub="a\nb"), "its sub is not a name of 1 to 255 printable characters"),
        (lambda: token(sub="a" * 256), "its sub is not a name of 1 to 255 printable characters"),
        (lambda: token(key=private("rsa-2")), "its signature is wrong"),
        (forged, "its signature is wrong"),
        (unsigned, "its algorithm is not one of RS256, ES256"),
        (confused, "its algorithm is not one of RS256, ES256"),
        (lambda: token(algorithm="RS512"), "its algorithm is not one of RS256, ES256"),
        (lambda: token(headers={"crit": ["x"], "x": 1}), "it is malformed"),
        (lambda: token()[:-10] + "!!!", "it is malformed"),
        (lambda: token(None), "it was signed with a key that is not known"),
    ],
)  # fmt: skip
def test_a_token_that_is_not_valid_is_401_with_its_reason(
    folder: Path, run: Any, make: Callable[[], str], reason: str
) -> None:
    async def main() -> None:
        (folder / "jwks.json").write_bytes(keys("rsa-1", "rsa-2", "ec-1"))
        async with client(folder, auth=jwt_auth(jwks="jwks.json")) as c:
            assert await refusal(c, make()) == reason

    run(main())


def test_without_an_audience_of_ones_own_a_token_for_another_is_refused(folder: Path, run: Any) -> None:
    async def main() -> None:
        (folder / "jwks.json").write_bytes(keys("rsa-1"))
        async with client(folder, auth={"jwt": {"issuer": ISSUER, "jwks": "jwks.json"}}) as c:
            assert await owner(c, bearer(token(aud=None))) == f"jwt:{ISSUER}|alice"
            assert await refusal(c, token()) == "it is for another audience"

    run(main())


def test_a_token_may_be_a_little_ahead_or_late(folder: Path, run: Any) -> None:
    async def main() -> None:
        (folder / "jwks.json").write_bytes(keys("rsa-1"))
        hands = Hands()
        now = hands.wall // 1_000_000
        async with client(folder, auth=jwt_auth(jwks="jwks.json", leeway_seconds=10), clock=hands.clock) as c:
            late = token(exp=now - 9, iat=now + 9, nbf=now + 9)
            assert await owner(c, bearer(late)) == f"jwt:{ISSUER}|alice"
            hands.pass_(1)
            assert await refusal(c, late) == "it has expired"
            assert await refusal(c, token(exp=now + 60, nbf=now + 12, iat=None)) == "it is not valid yet (nbf)"

    run(main())


def test_a_token_that_was_valid_before_is_refused_once_it_has_expired(folder: Path, run: Any) -> None:
    async def main() -> None:
        (folder / "jwks.json").write_bytes(keys("rsa-1"))
        hands = Hands()
        now = hands.wall // 1_000_000
        async with client(folder, auth=jwt_auth(jwks="jwks.json"), clock=hands.clock) as c:
            mine = token(exp=now + 100, iat=now)
            for _ in range(3):
                assert await owner(c, bearer(mine)) == f"jwt:{ISSUER}|alice"
            hands.pass_(131)
            assert await refusal(c, mine) == "it has expired"

    run(main())


def test_no_more_tokens_are_remembered_than_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COATCHECK_TEST_SECRET", SECRET)
    settings = load_config({"auth": jwt_auth(secret_env="COATCHECK_TEST_SECRET")}, {}).auth
    tokens = make_tokens(settings, Clock())
    assert tokens is not None
    for number in range(10_100):
        mine = token(None, key=SECRET, algorithm="HS256", sub=str(number))
        assert tokens.caller(mine) == tokens.caller(mine) == Caller(f"jwt:{ISSUER}|{number}")
    assert len(tokens._remembered) == 10_000


def test_bytes_that_no_jwt_has_make_it_another_kind_of_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COATCHECK_TEST_SECRET", SECRET)
    tokens = make_tokens(load_config({"auth": jwt_auth(secret_env="COATCHECK_TEST_SECRET")}, {}).auth, Clock())
    assert tokens is not None
    head, body, signature = token(None, key=SECRET, algorithm="HS256").split(".")
    for value in (f"{head}.{body}\udcff.{signature}", f"{head}.{body}.é", f"{head}.{body}", f"{head}.{body}.x.y", ".."):
        assert tokens.caller(value) is None


def test_what_is_no_jwt_is_another_vendors_token_or_a_key(folder: Path, run: Any) -> None:
    async def main() -> None:
        (folder / "jwks.json").write_bytes(keys("rsa-1"))
        auth = {**jwt_auth(jwks="jwks.json"), "keys": [{"name": "a", "key": "plain"}, {"name": "b", "key": "a.b.c"}]}
        async with client(folder, auth=auth) as c:
            assert await owner(c, bearer("plain")) == "key:config/a"
            assert await owner(c, bearer("a.b.c")) == "key:config/b"
            for value in ("x.y.z", "sk-of-another", "WzFd.WzFd.WzFd", "é.é.é"):
                assert await owner(c, {**bearer(value), "x-api-key": "plain"}) == "key:config/a"
            answer = await c.ask("POST", SUBMIT, request("embeddings"), {**bearer(token(exp=1)), "x-api-key": "plain"})
            assert (answer.status, answer.code) == (401, "token_invalid")
            answer = await c.ask("POST", SUBMIT, request("embeddings"), {"x-api-key": token()})
            assert (answer.status, answer.message) == (400, "virtual key not found")

    run(main())


def test_each_subject_has_the_limits_of_the_table(folder: Path, run: Any) -> None:
    async def main() -> None:
        (folder / "jwks.json").write_bytes(keys("rsa-1"))
        async with client(folder, auth=jwt_auth(jwks="jwks.json", max_pending=3)) as c:
            limits = c.served.gateway.keys.limits
            assert limits(f"jwt:{ISSUER}|alice") == Limits(max_pending=3)
            assert limits("jwt:https://other/|alice") == limits("anon") == Limits()

    run(main())


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({}, "give either jwks or secret_env"),
        ({"jwks": "x", "secret_env": "Y"}, "give either jwks or secret_env"),
        ({"jwks": "x", "algorithms": ["none"]}, "algorithms: 'none' cannot be used with jwks; use RS256"),
        ({"jwks": "x", "algorithms": ["RS256", "HS256"]}, "algorithms: 'HS256' cannot be used with jwks"),
        ({"secret_env": "Y", "algorithms": ["RS256"]}, "'RS256' cannot be used with secret_env; use HS256"),
        ({"secret_env": "Y", "algorithms": ["none"]}, "'none' cannot be used with secret_env"),
        ({"secret_env": "COATCHECK_TEST_UNSET"}, "the environment variable COATCHECK_TEST_UNSET is not set"),
        ({"secret_env": "COATCHECK_TEST_SHORT"}, "too short for HS256: it must have at least 32 bytes"),
        ({"jwks": "x", "issuer": "a|b"}, "issuer: a name of printable characters other than |"),
        ({"jwks": "x", "isuer": "a"}, "isuer: unknown; did you mean 'issuer'?"),
        ({"jwks": "x", "leeway_seconds": 3600}, "leeway_seconds: Must be"),
    ],
)  # fmt: skip
def test_settings_that_cannot_be_used_are_refused(settings: Any, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COATCHECK_TEST_SHORT", "x" * 31)
    with pytest.raises(ConfigurationError) as caught:
        create_app({"auth": {"jwt": {"issuer": ISSUER, **settings}}})
    assert caught.value.message.startswith("[auth")
    assert reason in caught.value.message
