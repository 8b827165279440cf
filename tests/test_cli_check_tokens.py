"""`coatcheck check` where tokens of an issuer are taken: it does what a start does, and says what to do."""

from pathlib import Path
from typing import Any

import pytest

from .clients import ECHO
from .issuers import ISSUER, Issuer, keys
from .test_cli_check import check, lines

SECRET = "s" * 32


def tables(**jwt: Any) -> Any:
    return {"providers": ECHO, "auth": {"jwt": {"issuer": ISSUER, "admin_claim": "admin", **jwt}}}


@pytest.mark.parametrize(
    ("jwt", "environ", "reason", "cure"),
    [
        ({"secret_env": "ISSUER_SECRET"}, {}, "the environment variable ISSUER_SECRET is not set",
         "set ISSUER_SECRET to the secret that the issuer signs with"),
        ({"secret_env": "ISSUER_SECRET"}, {"ISSUER_SECRET": SECRET[1:]}, "it must have at least 32 bytes",
         "set ISSUER_SECRET to the secret that the issuer signs with"),
        ({"secret_env": "ISSUER_SECRET", "algorithms": ["none"]}, {"ISSUER_SECRET": SECRET},
         "algorithms: 'none' cannot be used with secret_env; use HS256", "change [auth.jwt] in config.toml"),
        ({}, {}, "give either jwks or secret_env", "change [auth.jwt] in config.toml"),
        ({"jwks": "keys.json"}, {}, "keys.json cannot be read: No such file", "put the issuer's JWK Set there"),
        ({"jwks": "http://127.0.0.1:9/jwks.json"}, {}, "http://127.0.0.1:9/jwks.json cannot be fetched: ",
         "is jwks of [auth.jwt] in config.toml right, and can this machine reach it?"),
    ],
)  # fmt: skip
def test_tokens_that_could_not_be_checked_are_a_fault(
    folder: Path, run: Any, jwt: Any, environ: dict[str, str], reason: str, cure: str
) -> None:
    async def main() -> None:
        done = await check(folder, tables(**jwt), **environ)
        assert (done.code, done.err) == (1, "")
        found = lines(done)["tokens"]
        assert found.startswith("✗ [auth.jwt]: ")
        assert reason in found
        assert f"→ {cure}" in done.out
        assert " | " not in found

    run(main())


def test_tokens_that_can_be_checked_are_in_order(folder: Path, run: Any) -> None:
    async def main() -> None:
        shared = await check(folder, tables(secret_env="ISSUER_SECRET"), ISSUER_SECRET=SECRET)
        assert (shared.code, lines(shared)["tokens"]) == (0, f"✓ those of {ISSUER} are checked with the shared secret")
        assert lines(shared)["keys"] == f"✓ none; and tokens of {ISSUER}"
        said = f"✓ those of {ISSUER} are checked with the issuer's public keys"
        data = folder / "data"
        data.mkdir()
        (data / "keys.json").write_bytes(keys("rsa-1"))
        file = await check(folder, tables(jwks="keys.json"), "--data", str(data))
        assert (file.code, lines(file)["tokens"]) == (0, said)
        async with Issuer("rsa-1") as issuer:
            address = await check(folder, tables(jwks=issuer.url))
            assert (address.code, lines(address)["tokens"]) == (0, said)

    run(main())


def test_a_set_without_a_fitting_key_is_worth_a_look(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with Issuer("ec-1") as issuer:
            done = await check(folder, tables(jwks=issuer.url, algorithms=["RS256"]))
            assert (done.code, done.err) == (0, "")
            assert "! [auth.jwt]: jwks: no key of the set is for RS256" in lines(done)["tokens"]
            assert "→ compare algorithms of [auth.jwt] with what the issuer publishes\n" in done.out

    run(main())
