"""BERT's WordPiece tokenizer, as a `tokenizer.json` describes it.

Text is cleaned, lower-cased and stripped of accents, split into words, punctuation marks and single ideographs, and
each word into the longest pieces that the vocabulary has.
"""

import re
import string
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

_MAX_REMEMBERED_WORDS = 50_000
_STRETCH = re.compile(r"[^ \t\n\r]+")

_IDEOGRAPHS = (
    *((0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F)),
    *((0x2B740, 0x2B81F), (0x2B820, 0x2CEAF), (0xF900, 0xFAFF), (0x2F800, 0x2FA1F)),
)


class WordPiece:
    def __init__(self, description: dict[str, Any]) -> None:
        model = description["model"]
        if model.get("type", "WordPiece") != "WordPiece":
            raise ValueError(f"this is a tokenizer of type {model['type']}, not WordPiece")
        self._vocabulary: dict[str, int] = model["vocab"]
        self._unknown = self._vocabulary[model["unk_token"]]
        self._prefix: str = model["continuing_subword_prefix"]
        self._longest: int = model["max_input_chars_per_word"]
        self._first = self._vocabulary["[CLS]"]
        self._last = self._vocabulary["[SEP]"]
        special = {token["content"]: token["id"] for token in description["added_tokens"] if token["special"]}
        self._special: dict[str, int] = special
        self._special_pattern = re.compile("(" + "|".join(map(re.escape, special)) + ")")
        self._remembered: dict[str, tuple[int, ...]] = {}

    @classmethod
    def load(cls, path: Path) -> "WordPiece":
        return cls(orjson.loads(path.read_bytes()))

    def encode(self, text: str, *, limit: int) -> list[int]:
        """The ids of at most `limit` tokens, the two that mark the ends among them."""
        ids = [self._first]
        for identifier in self._ids(text):
            if len(ids) == limit - 1:
                break
            ids.append(identifier)
        return [*ids, self._last]

    def _ids(self, text: str) -> Iterator[int]:
        for part in self._special_pattern.split(text):
            if part in self._special:
                yield self._special[part]
                continue
            # Bit by bit: of a long text only the beginning is of use.
            for stretch in _STRETCH.finditer(part):
                for word in _words(stretch[0]):
                    yield from self._pieces(word)

    def _pieces(self, word: str) -> tuple[int, ...]:
        if (known := self._remembered.get(word)) is not None:
            return known
        ids = self._split(word)
        if len(self._remembered) < _MAX_REMEMBERED_WORDS:
            self._remembered[word] = ids
        return ids

    def _split(self, word: str) -> tuple[int, ...]:
        if len(word) > self._longest:
            return (self._unknown,)
        ids: list[int] = []
        start = 0
        while start < len(word):
            for end in range(len(word), start, -1):
                piece = word[start:end] if start == 0 else self._prefix + word[start:end]
                if (identifier := self._vocabulary.get(piece)) is not None:
                    break
            else:
                return (self._unknown,)
            ids.append(identifier)
            start = end
        return tuple(ids)


def _words(text: str) -> Iterator[str]:
    # Stripping accents before lower-casing or after is not the same for a few letters: this is the original's order.
    cleaned = "".join(map(_clean, text))
    bare = "".join(char for char in unicodedata.normalize("NFD", cleaned) if unicodedata.category(char) != "Mn")
    word = ""
    for char in "".join(map(str.lower, bare)):
        if char.isspace() or _is_punctuation(char):
            if word:
                yield word
                word = ""
            if not char.isspace():
                yield char
        else:
            word += char
    if word:
        yield word


def _clean(char: str) -> str:
    if char in "\t\n\r":
        return " "
    # Characters that are not assigned stay, whatever a later Unicode makes of them.
    if char == "\ufffd" or unicodedata.category(char) in ("Cc", "Cf", "Co", "Cs"):
        return ""
    if any(first <= ord(char) <= last for first, last in _IDEOGRAPHS):
        return f" {char} "
    return " " if char.isspace() else char


def _is_punctuation(char: str) -> bool:
    """ASCII's symbols count, whatever Unicode says of them."""
    return char in string.punctuation or unicodedata.category(char).startswith("P")
