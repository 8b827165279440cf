"""docs/universal.md: its commands do what it says, and it knows every feature."""

import re
import shlex
from pathlib import Path
from typing import Any

from coatcheck.schemas.features.table import FEATURES

from .clients import ECHO, client
from .test_readme import NOBODY, Curl, commands

DOCUMENT = (Path(__file__).parent.parent / "docs/universal.md").read_text()

#: Who stands in for a local model, where `echo` can.
STAND_IN = "echo/echo"
#: The local provider has it by itself, from inside a package.
NATIVE = "translation/language_detection/local"


def test_every_request_of_the_document_is_answered_as_it_says(folder: Path, run: Any) -> None:
    (folder / "ticket.mp3").write_bytes(b"Your coat is ready.")
    ended: dict[str, str] = {}

    async def main() -> None:
        async with client(folder, providers={**ECHO, "local": {"kind": "local"}}) as c:
            names = {"ID": "", "FILE": ""}
            for command in commands(DOCUMENT):
                asked = re.sub(r"\blocal/[\w.-]+", STAND_IN, command.replace("https://example.com", NOBODY))
                for name, value in names.items():
                    asked = re.sub(rf"\b{name}\b", value, asked)
                curl = Curl.parse(shlex.split(asked.replace("\\\n", " ")), folder)
                answer = await c.ask(curl.method, curl.path, curl.sent, curl.headers)
                assert answer.status == (202 if curl.method == "POST" and "async" in curl.path else 200), answer.text
                if answer.status == 202:
                    names["ID"] = answer.json["public_id"]
                    path = f"/v3/universal-ai/async/{names['ID']}"
                    job = (await c.ask("GET", path, headers={"Prefer": "wait=30"})).json
                    assert job["status"] == "success", job
                    ended[job["feature"] + "/" + job["subfeature"]] = job["provider"]
                elif curl.path == "/v3/upload":
                    names["FILE"] = answer.json["file_id"]
                elif curl.path == "/v3/universal-ai":
                    assert NATIVE in command
                    assert answer.json["output"]["items"][0]["language"] == "fr"

    run(main())
    assert ended == {"text/embeddings": "echo", "audio/speech_to_text_async": "echo"}


def test_the_table_of_features_is_that_of_the_code() -> None:
    section = DOCUMENT.split("\n## Features\n")[1].split("\n## ")[0]
    rows = [line.split(" | ") for line in section.splitlines() if line.startswith("| `")]
    told = {}
    for names, takes, answers in rows:
        for name in re.findall(r"`([\w/]+)`", names):
            fields = re.findall(r"`(\w+)`(\*?)", takes)
            told[name] = ([field for field, _ in fields], {field for field, star in fields if star}, answers)
    assert set(told) == set(FEATURES)
    for name, feature in FEATURES.items():
        fields, required, answers = told[name]
        assert fields == list(feature.input_schema.load_fields), name
        assert required == set(feature.input_schema.required), name
        first = [field.split("`")[1].removesuffix("[]") for field in answers.split(": ")[0].split(", ")]
        assert set(first) <= set(feature.output_schema.load_fields), name
        assert set(feature.output_schema.required) <= set(first), name
