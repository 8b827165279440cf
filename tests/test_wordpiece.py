"""The tokenizer against what Hugging Face's `tokenizers` makes of the same texts with the same file."""

from pathlib import Path

import pytest

from coatcheck.providers.local.wordpiece import WordPiece

from .local_models import EMBEDDINGS

EXPECTED = [
    ("", [101, 102]),
    ("Hello, World!", [101, 7592, 1010, 2088, 999, 102]),
    ("Ça va? naïve façade", [101, 6187, 12436, 1029, 15743, 8508, 102]),
    ("a [SEP] b [MASK]", [101, 1037, 102, 1038, 103, 102]),
    ("日本語のテキスト", [101, 1864, 1876, 1950, 1671, 30239, 30227, 30233, 30240, 102]),
    ("👍🏽 emoji", [101, 100, 7861, 29147, 2072, 102]),
    ("a\xadb\u200bc\x00d", [101, 5925, 2094, 102]),
    ("unaffable", [101, 14477, 20961, 3468, 102]),
    ("İstanbul", [101, 9960, 102]),
    ("don't $5.00 a_b ^", [101, 2123, 1005, 1056, 1002, 1019, 1012, 4002, 1037, 1035, 1038, 1034, 102]),
    ("tab\tnew\nline\u3000id", [101, 21628, 2047, 2240, 8909, 102]),
    (
        "electroencephalography 2026-11-21",
        [101, 16175, 10127, 21890, 21197, 26228, 16798, 2575, 1011, 2340, 1011, 2538, 102],
    ),
    ("हिन्दी", [101, 1339, 29877, 29863, 29861, 29878, 102]),
    ("x" * 101, [101, 100, 102]),
]


@pytest.fixture(scope="module")
def tokenizer(models_dir: Path) -> WordPiece:
    return WordPiece.load(models_dir / EMBEDDINGS / "tokenizer.json")


@pytest.mark.parametrize(("text", "ids"), EXPECTED)
def test_it_gives_the_ids_that_the_original_gives(tokenizer: WordPiece, text: str, ids: list[int]) -> None:
    assert tokenizer.encode(text, limit=512) == ids
    # Words are remembered: the second time gives the same.
    assert tokenizer.encode(text, limit=512) == ids


def test_the_marks_at_both_ends_stay_when_a_text_is_cut(tokenizer: WordPiece) -> None:
    ids = tokenizer.encode("one two three four", limit=4)
    assert ids == [101, *tokenizer.encode("one two", limit=512)[1:-1], 102]


def test_another_kind_of_tokenizer_is_refused() -> None:
    with pytest.raises(ValueError, match="type BPE, not WordPiece"):
        WordPiece({"model": {"type": "BPE"}})
