"""Receives webhooks of both dialects, and takes none that is not genuine. A server on the same machine needs
`[webhooks] allow_private_networks = true` to send it any, and `x-bf-async-webhook: http://127.0.0.1:9000` of a submit.

python examples/receiver.py http://127.0.0.1:8080 "$(coatcheck webhooks secret)" 9000
"""

import base64
import hashlib
import hmac
import sys
import time
from collections.abc import Mapping
from urllib.request import urlopen

import orjson
from aiohttp import web
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key


def main(server: str, secret: str, port: int) -> None:
    with urlopen(f"{server}/v3/webhooks/public-key") as answer:
        public_key = load_pem_public_key(answer.read())
    seen: set[bytes] = set()

    def check_v1(headers: Mapping[str, str], body: bytes) -> None:
        signed = b"%b.%b.%b" % (headers["webhook-id"].encode(), headers["webhook-timestamp"].encode(), body)
        digest = hmac.digest(base64.b64decode(secret.removeprefix("whsec_")), signed, "sha256")
        expected = f"v1,{base64.b64encode(digest).decode()}"
        if not any(hmac.compare_digest(expected, given) for given in headers["webhook-signature"].split(" ")):
            raise ValueError("another secret, or another body")
        if abs(time.time() - int(headers["webhook-timestamp"])) > 300:
            raise ValueError("too old: somebody may have kept it")

    def check_v3(headers: Mapping[str, str], body: bytes) -> None:
        canonical = orjson.dumps(orjson.loads(body), option=orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2)
        digest = hashlib.sha256(canonical).hexdigest().encode()
        public_key.verify(bytes.fromhex(headers["X-Edenai-Signature"]), digest, PKCS1v15(), SHA256())

    async def receive(request: web.Request) -> web.Response:
        body = await request.read()
        try:
            (check_v3 if "X-Edenai-Webhook" in request.headers else check_v1)(request.headers, body)
        except (KeyError, ValueError, TypeError, InvalidSignature) as error:
            raise web.HTTPUnauthorized from error
        # It may come twice. Of v3 it is the body that is signed, so it is the body that tells a repeat.
        if body not in seen:
            seen.add(body)
            print(body.decode(), flush=True)
        return web.Response(status=204)

    app = web.Application(client_max_size=8 << 20)
    app.router.add_post("/{path:.*}", receive)
    web.run_app(app, host="127.0.0.1", port=port)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
