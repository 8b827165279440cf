"""The keys of an issuer (JWK Sets): how they change, when they are loaded again, what a load that fails leaves."""

import asyncio
from pathlib import Path
from typing import Any

import orjson
import pytest

from coatcheck.engine.errors import ConfigurationError, Unavailable
from coatcheck.handlers.jwks import KeySet

from .clients import client, request
from .issuers import ISSUER, Issuer, bearer, jwt_auth, keys, owner, public, token

SUBMIT = "/v1/async/embeddings"


def test_a_token_of_a_key_that_was_just_published_is_not_refused(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with Issuer("rsa-1") as issuer, client(folder, auth=jwt_auth(jwks=issuer.url)) as c:
            issuer.body = keys("rsa-1", "rsa-2")
            fresh = [owner(c, bearer(token(kid, sub=sub))) for kid in ("rsa-1", "rsa-2") for sub in "abc"]
            assert await asyncio.gather(*fresh) == [f"jwt:{ISSUER}|{sub}" for sub in "abcabc"]
            assert issuer.asked <= 3

    run(main())


def test_a_key_that_left_the_set_is_refused_also_where_it_was_remembered(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with Issuer("rsa-1") as issuer, client(folder, auth=jwt_auth(jwks=issuer.url)) as c:
            before = token("rsa-1")
            assert await owner(c, bearer(before)) == f"jwt:{ISSUER}|alice"
            issuer.body = keys("rsa-2")
            assert await owner(c, bearer(token("rsa-2"))) == f"jwt:{ISSUER}|alice"
            tokens = c.served.gateway.tokens
            assert tokens is not None
            with pytest.raises(Exception, match="signed with a key that is not known"):
                tokens.caller(before)

    run(main())


def test_a_file_of_keys_is_read_again_when_it_changes(folder: Path, run: Any) -> None:
    async def main() -> None:
        (folder / "jwks.json").write_bytes(keys("rsa-1"))
        async with client(folder, auth=jwt_auth(jwks="jwks.json")) as c:
            (folder / "jwks.json").write_bytes(keys("rsa-1", "rsa-2"))
            for kid in ("rsa-1", "rsa-2"):
                assert await owner(c, bearer(token(kid))) == f"jwt:{ISSUER}|alice"

    run(main())


def test_an_issuer_that_is_away_at_the_start_makes_tokens_wait_and_keys_work(folder: Path, run: Any) -> None:
    async def main() -> None:
        auth = {**jwt_auth(), "keys": [{"name": "a", "key": "plain"}]}
        async with Issuer("rsa-1") as issuer:
            issuer.status = 500
            auth["jwt"]["jwks"] = issuer.url
            async with client(folder, auth=auth) as c:
                answer = await c.ask("POST", SUBMIT, request("embeddings"), bearer(token()))
                assert (answer.status, answer.code) == (503, "unavailable")
                assert answer.headers["Retry-After"] == "10"
                assert "the keys of the tokens' issuer cannot be had now" in answer.message
                assert await owner(c, bearer("plain")) == "key:config/a"

    run(main())


@pytest.mark.parametrize(
    ("text", "reason"),
    [(None, "cannot be read: No such file"), (b"{", "this is not a JWK Set"), (b'{"keys": 1}', "this is not a JWK Set"),
     (b"[]", "this is not a JWK Set"), (b" " * 1_000_001, "the set is larger than 1000000 bytes")],
)  # fmt: skip
def test_a_file_of_keys_that_cannot_be_used_stops_the_start(
    folder: Path, run: Any, text: bytes | None, reason: str
) -> None:
    async def main() -> None:
        if text is not None:
            (folder / "jwks.json").write_bytes(text)
        with pytest.raises(ConfigurationError, match=reason):
            async with client(folder, auth=jwt_auth(jwks="jwks.json")):
                pass

    run(main())


def test_a_set_is_loaded_for_an_unknown_key_as_often_as_allowed_and_nobody_is_refused_for_it(run: Any) -> None:
    async def main() -> None:
        async with Issuer("rsa-1") as issuer:
            found = KeySet(issuer.url, ("RS256",), spacing_seconds=0.3, interval_seconds=600)
            await found.start()
            loop = asyncio.get_running_loop()
            begun = loop.time()
            await asyncio.gather(*(found.refresh() for _ in range(50)))
            assert issuer.asked <= 3
            issuer.body = keys("rsa-1", "rsa-2")
            await asyncio.gather(*(found.refresh() for _ in range(50)))
            assert ("rsa-2", "RS256") in found.keys, "who knows of a new key waits until it may be asked for"
            assert issuer.asked <= 4
            assert loop.time() - begun >= 0.3
            await found.close()

    run(main())


def test_one_that_asks_while_the_keys_are_on_their_way_gets_later_ones(run: Any) -> None:
    async def main() -> None:
        async with Issuer("rsa-1") as issuer:
            found = KeySet(issuer.url, ("RS256",), spacing_seconds=0.01, interval_seconds=600)
            await found.start()
            first = asyncio.create_task(found.refresh())
            while await issuer.asks.get() < 2:
                pass
            # The first load was answered with the old keys.
            issuer.body = keys("rsa-1", "rsa-2")
            await found.refresh()
            assert ("rsa-2", "RS256") in found.keys
            await first
            await found.close()

    run(main())


def test_more_than_may_wait_for_keys_are_told_to_come_again(run: Any) -> None:
    async def main() -> None:
        async with Issuer("rsa-1") as issuer:
            found = KeySet(issuer.url, ("RS256",), spacing_seconds=0.01, interval_seconds=600)
            await found.start()
            answers = await asyncio.gather(*(found.refresh() for _ in range(150)), return_exceptions=True)
            assert sum(answer is None for answer in answers) == 100
            assert sum(isinstance(answer, Unavailable) for answer in answers) == 50
            await found.refresh()
            await found.close()

    run(main())


@pytest.mark.parametrize(
    ("answered", "told"),
    [
        (b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n", "/jwks.json answered 404"),
        (b"no http\r\n\r\n", "/jwks.json does not speak HTTP as expected"),
        (b"", "/jwks.json cannot be fetched"),
        (None, "its address cannot be understood"),
    ],
)
def test_what_may_be_secret_in_the_address_of_the_keys_is_not_in_the_log(
    answered: bytes | None, told: str, run: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answered or b"")
            writer.close()

        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            host = f"127.0.0.1:{port}" if answered is not None else "[127.0.0.1"
            found = KeySet(f"http://me:the-word@{host}/jwks.json?key=in-the-query", ("RS256",))
            await found.start()
            await found.close()

    run(main())
    assert told in caplog.text
    assert [secret for secret in ("the-word", "in-the-query") if secret in caplog.text] == []


@pytest.mark.parametrize("trouble", ["status", "redirect", "garbage", "large", "compressed", "gone"])
def test_a_load_that_fails_keeps_the_keys(trouble: str, run: Any) -> None:
    async def main() -> None:
        async with Issuer("rsa-1") as issuer:
            found = KeySet(issuer.url, ("RS256",), spacing_seconds=0.01, interval_seconds=600)
            await found.start()
            before = found.keys
            if trouble == "status":
                issuer.status = 404
            elif trouble == "redirect":
                issuer.status, issuer.headers = 302, {"Location": "/elsewhere.json"}
            elif trouble == "garbage":
                issuer.body = b"<html>"
            elif trouble == "large":
                issuer.body = b" " * 1_000_001
            elif trouble == "compressed":
                issuer.headers = {"Content-Encoding": "gzip"}
            else:
                await issuer._runner.cleanup()
            with pytest.raises(Unavailable, match="cannot be had now"):
                await found.refresh()
            assert found.keys is before
            await found.close()

    run(main())


def test_keys_are_loaded_again_now_and_then(run: Any) -> None:
    async def main() -> None:
        async with Issuer("rsa-1") as issuer:
            found = KeySet(issuer.url, ("RS256",), interval_seconds=0.01)
            await found.start()
            issuer.body = keys("rsa-2")
            # The next load brings them, and has ended when the one after it begins.
            last = issuer.asked + 2
            while await issuer.asks.get() < last:
                pass
            assert set(found.keys) == {("rsa-2", "RS256"), (None, "RS256")}
            await found.close()

    run(main())


def test_of_a_set_only_keys_that_can_check_our_algorithms_count(run: Any) -> None:
    async def main() -> None:
        async with Issuer() as issuer:
            secret = {"kty": "oct", "k": "AAAA", "kid": "secret"}
            members = [
                public("rsa-1", use="enc"), public("weak"), secret, public("rsa-2", alg="RS512"), 7, {}, public("ec-1"),
                {**public("rsa-3"), "d": "AAAA"}, {"kty": "RSA", "kid": "broken", "n": "!", "e": "AQAB"},
            ]  # fmt: skip
            issuer.body = orjson.dumps({"keys": members})
            found = KeySet(issuer.url, ("RS256", "ES256"))
            await found.start()
            assert set(found.keys) == {("ec-1", "ES256"), (None, "ES256"), ("rsa-3", "RS256"), (None, "RS256")}
            await found.close()

    run(main())
