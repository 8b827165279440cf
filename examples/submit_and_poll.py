"""Submits a chat to a running server and waits for its answer, with nothing but the standard library.

python examples/submit_and_poll.py http://127.0.0.1:8080 echo/wait-1 "What is the capital of France?"
"""

import json
import sys
import time
from urllib.parse import urljoin
from urllib.request import Request, urlopen


def main(server: str, model: str, question: str) -> None:
    body = {"model": model, "messages": [{"role": "user", "content": question}]}
    with urlopen(Request(f"{server}/v1/async/chat/completions", json.dumps(body).encode())) as response:
        ticket = urljoin(response.url, response.headers["Location"])
    while True:
        with urlopen(ticket) as response:
            job = json.load(response)
            if response.status == 200:
                break
            time.sleep(float(response.headers["Retry-After"]))
    if job["status"] == "failed":
        sys.exit(job["error"]["error"]["message"])
    print(job["result"]["choices"][0]["message"]["content"])


if __name__ == "__main__":
    main(*sys.argv[1:4])
