"""Addresses of results' files that need no key: who has one may read that file, as long as its job is there."""

import hashlib
import hmac

#: Where the files of the v3 dialect's jobs are.
_PATH = "/v3/universal-ai/async/{id}/content?index={index}&signature={signature}"


class Links:
    """`secret` signs; `base_url` is where clients reach the server, where that is known."""

    def __init__(self, secret: bytes, base_url: str | None = None) -> None:
        self._secret = secret
        self._base_url = base_url.rstrip("/") if base_url else None

    def of(self, job_id: str, index: int, base: str = "") -> str:
        """The address of a result's file, by its place. `base` stands in front where the configuration does not say
        where clients reach the server; with neither it is a path."""
        path = _PATH.format(id=job_id, index=index, signature=self._signature(job_id, index))
        return f"{base if self._base_url is None else self._base_url}{path}"

    def allows(self, job_id: str, index: int, signature: str) -> bool:
        """Whether the signature is that of the file's address."""
        return hmac.compare_digest(self._signature(job_id, index).encode(), signature.encode())

    def _signature(self, job_id: str, index: int) -> str:
        return hmac.new(self._secret, f"{job_id}/{index}".encode(), hashlib.sha256).hexdigest()
