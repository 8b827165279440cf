"""Signatures of deliveries, checked by code that is not ours."""

import json
import resource
import subprocess
import threading
import time
from pathlib import Path

import orjson
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256, Hash
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from standardwebhooks import Webhook, WebhookVerificationError

from coatcheck.engine.errors import StoreUnavailable
from coatcheck.engine.signatures import EdenKey, Secret, eden_canonical, new_secret, read_whsec, standard, whsec

ID = "msg-1"
BODY = b'{"event":"async_job.completed","data":{"text":"\xc3\xa9t\xc3\xa9"}}'
PAYLOAD = {
    "event": "async_job_completed",
    "output": {"b": [1, 2.5, 1.0, {}], "a": {"z": None, "é": 'ü\n"\\/\u2028'}, "empty": []},
    "n": -7,
    "user_parameters": {"10": True, "9": False},
}


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> EdenKey:
    return EdenKey(tmp_path_factory.mktemp("key") / "webhook-key.pem")


def now() -> int:
    return int(time.time())


def test_the_standard_s_own_library_takes_what_we_sign() -> None:
    secret = new_secret()
    headers = standard(ID, now(), BODY, [secret])
    assert Webhook(whsec(secret)).verify(BODY, headers) == json.loads(BODY)
    assert headers["webhook-id"] == ID


@pytest.mark.parametrize("change", ["body", "id", "timestamp", "secret"])
def test_the_standard_s_own_library_refuses_what_was_changed(change: str) -> None:
    secret = new_secret()
    headers = standard(ID, now(), BODY, [secret])
    headers |= {"id": {"webhook-id": "msg-2"}, "timestamp": {"webhook-timestamp": str(now() - 1)}}.get(change, {})
    with pytest.raises(WebhookVerificationError):
        Webhook(whsec(new_secret() if change == "secret" else secret)).verify(
            BODY.replace(b"completed", b"failed") if change == "body" else BODY, headers
        )


def test_while_a_secret_changes_both_of_them_verify() -> None:
    old, new = new_secret(), new_secret()
    headers = standard(ID, now(), BODY, [new, old])
    assert len(headers["webhook-signature"].split(" ")) == 2
    for secret in (old, new):
        Webhook(whsec(secret)).verify(BODY, headers)


def test_the_earlier_secret_is_valid_until_its_time_is_over_and_not_then() -> None:
    secret = Secret(secret=b"new", created_at=0, earlier=b"old", earlier_until=100)
    assert secret.valid(99) == (b"new", b"old")
    assert secret.valid(100) == (b"new",)


def test_a_secret_is_read_as_it_was_written() -> None:
    secret = new_secret()
    assert read_whsec(whsec(secret)) == secret


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "begins with whsec_"),
        ("whsec_!!!", "base64"),
        ("whsec_c2hvcnQ=", "24 to 64 bytes, not 5"),
    ],
)
def test_what_is_no_secret_is_refused_and_not_quoted(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why) as caught:
        read_whsec(text)
    assert text.removeprefix("whsec_") not in str(caught.value)


def test_eden_s_canonical_form_is_what_python_s_json_makes_of_the_payload() -> None:
    expected = json.dumps(PAYLOAD, sort_keys=True, indent=2, ensure_ascii=False).encode()
    assert eden_canonical(orjson.dumps(PAYLOAD)) == expected


@pytest.mark.parametrize("depth", [250, 260])
def test_what_nests_deeply_is_signed_too(depth: int) -> None:
    body = b'{"user_parameters":' * depth + b'"\xc3\xbc"' + b"}" * depth
    assert eden_canonical(body) == json.dumps(json.loads(body), sort_keys=True, indent=2, ensure_ascii=False).encode()


def test_cryptography_takes_eden_s_signature_of_a_canonical_form_made_otherwise(key: EdenKey) -> None:
    signature = bytes.fromhex(key.sign(orjson.dumps(PAYLOAD)))
    digest = Hash(SHA256())
    digest.update(json.dumps(PAYLOAD, sort_keys=True, indent=2, ensure_ascii=False).encode())
    public = load_pem_public_key(key.public_pem())
    assert isinstance(public, rsa.RSAPublicKey)
    assert public.key_size == 3072
    public.verify(signature, digest.finalize().hex().encode(), padding.PKCS1v15(), SHA256())
    with pytest.raises(InvalidSignature):
        public.verify(signature, b"0" * 64, padding.PKCS1v15(), SHA256())


def test_openssl_takes_eden_s_signature(key: EdenKey, tmp_path: Path) -> None:
    body = orjson.dumps(PAYLOAD)
    (tmp_path / "public.pem").write_bytes(key.public_pem())
    (tmp_path / "signature").write_bytes(bytes.fromhex(key.sign(body)))
    canonical = json.dumps(json.loads(body), sort_keys=True, indent=2, ensure_ascii=False).encode()
    inner = subprocess.run(["openssl", "dgst", "-sha256", "-r"], input=canonical, capture_output=True, check=True)
    (tmp_path / "digits").write_bytes(inner.stdout.split()[0])
    verify = ["openssl", "dgst", "-sha256", "-verify", "public.pem", "-signature", "signature", "digits"]
    assert subprocess.run(verify, cwd=tmp_path, capture_output=True, check=True).stdout == b"Verified OK\n"
    (tmp_path / "digits").write_bytes(b"0" * 64)
    assert subprocess.run(verify, cwd=tmp_path, capture_output=True, check=False).returncode == 1


def test_the_key_is_made_once_for_nobody_else_to_read_and_found_again(tmp_path: Path) -> None:
    path = tmp_path / "webhook-key.pem"
    keys = [EdenKey(path) for _ in range(3)]
    found: list[bytes] = []
    threads = [threading.Thread(target=lambda k=key: found.append(k.public_pem())) for key in keys]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 3
    assert set(found) == {EdenKey(path).public_pem()}
    assert path.stat().st_mode & 0o777 == 0o600
    assert [file.name for file in tmp_path.iterdir()] == ["webhook-key.pem"]


def test_a_key_that_the_disk_does_not_take_leaves_nothing_and_is_made_later(tmp_path: Path) -> None:
    key = EdenKey(tmp_path / "webhook-key.pem")
    _, hard = before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        with pytest.raises(StoreUnavailable, match="the webhook key cannot be read or kept: File too large"):
            key.public_pem()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(tmp_path.iterdir()) == []
    assert key.public_pem().startswith(b"-----BEGIN PUBLIC KEY-----")


def test_a_file_that_holds_no_rsa_key_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "webhook-key.pem"
    made = subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519"], capture_output=True, check=True).stdout
    path.write_bytes(made)
    with pytest.raises(ValueError, match="holds no RSA key"):
        EdenKey(path).sign(b"{}")
    assert path.read_bytes() == made
