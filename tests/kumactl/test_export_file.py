"""The file of ``kumactl export``: what was composed is read, and what is not whole is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kuma_core.documents import DocumentError
from kuma_core.errors import KumaError
from kuma_core.kumactl import export_file, source
from kuma_core.kumactl.export_file import Content, compose, passphrase, read

ARCHIVE = {"type": "SecretsArchive", "format": 1, "sha256": "00", "data": "AAAA\nBBBB\n"}
DOCUMENTS: list[dict[str, Any]] = [
    {"type": "Mesh", "name": "default"},
    {"type": "Greeting", "words": ["---", "--- \n---\n", "\n---", "...", "# x"]},
    {"type": "Greeting", "words": "...\n"},
]

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
lines = st.lists(st.sampled_from(["---", "--- ", "...", "# the end of the export", "a: b", ""]), max_size=5)
values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), texts, lines.map("\n".join)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(texts, inner, max_size=3)),
    max_leaves=8,
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "backup.yaml"


def content(text: str) -> Content:
    """What is read of a text."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(source, "read", lambda place, limit: (text, "the file"))
        return read("somewhere")


def test_what_was_composed_is_read(file: Path) -> None:
    file.write_text(compose(DOCUMENTS, ARCHIVE, "It is\nabout this."))
    found = read(str(file))
    assert [value for value, _ in found.documents] == DOCUMENTS
    assert found.archive == ARCHIVE
    assert found.documents[1][1] == f"document 2 of {file}"
    assert file.read_text().splitlines()[:3] == ["# kumactl export, format 1", "# It is", "# about this."]


@given(st.lists(st.dictionaries(texts, values, min_size=1, max_size=3), max_size=4))
def test_any_documents_come_back(documents: list[dict[str, Any]]) -> None:
    """Also those that hold what separates documents, and the last line of the file."""
    found = content(compose([{"type": "First"}, *documents], None, "x"))
    assert [value for value, _ in found.documents] == [{"type": "First"}, *documents]


@given(st.data())
def test_a_file_that_was_cut_off_is_told(data: st.DataObject) -> None:
    whole = compose(DOCUMENTS, ARCHIVE, "about")
    first = whole.index("\n") + 1
    length = data.draw(st.integers(first, len(whole) - 2))
    with pytest.raises(KumaError, match="the file was cut off: its last line is not"):
        content(whole[:length])


def test_a_newer_format_is_told() -> None:
    text = compose(DOCUMENTS, None, "").replace("format 1", "format 2")
    with pytest.raises(
        KumaError, match="has the format 2 of a newer kumactl, and this one knows 1; upgrade it"
    ):
        content(text)


def test_a_file_that_somebody_wrote_needs_no_frame() -> None:
    found = content("type: Mesh\nname: a\n---\ntype: Mesh\nname: b\n")
    assert [value["name"] for value, _ in found.documents] == ["a", "b"]
    assert [value for value, _ in content('{"type": "Mesh", "name": "a"}').documents] == [
        {"type": "Mesh", "name": "a"}
    ]


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n---\n", compose([], None, "x")])
def test_nothing_to_import(text: str) -> None:
    with pytest.raises(KumaError, match="nothing to import: the file holds no document"):
        content(text)


def test_secrets_twice() -> None:
    with pytest.raises(KumaError, match="holds secrets twice"):
        content(compose([ARCHIVE], ARCHIVE, ""))


@pytest.mark.parametrize("data", ["AAAA\nBBBB\n", "AAAA\n" * 500_000, "AAAA", "A b\n", "", "- \n", 3])
def test_the_secrets_come_back_whatever_the_server_calls_data(data: Any) -> None:
    archive = {**ARCHIVE, "data": data}
    assert content(compose([], archive, "")).archive == archive


def test_an_error_names_the_line_of_the_whole_file() -> None:
    with pytest.raises(DocumentError, match="the file, line 6, column 1"):
        content("# one\n---\ntype: Mesh\n---\na: 1\na: 2\n")


def test_every_document_has_the_whole_bound_of_values(monkeypatch: pytest.MonkeyPatch) -> None:
    """An export of many resources can always be imported."""
    monkeypatch.setattr("kuma_core.documents.MAX_NODES", 20)
    assert len(content(compose(DOCUMENTS * 50, None, "")).documents) == 150


def test_what_is_too_large(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export_file, "MAX_BYTES", 100)
    file.write_text("#" * 101)
    with pytest.raises(KumaError, match="larger than 100 bytes"):
        read(str(file))


# -- the passphrase


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_a_passphrase_ends_before_its_newline(
    file: Path, end: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_bytes(f" correct horse\tä {end}".encode())
    file.chmod(0o600)
    assert passphrase(str(file)) == " correct horse\tä "
    assert capsys.readouterr().err == ""


def test_a_passphrase_that_others_may_read_is_warned_of(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text("correct horse")
    file.chmod(0o640)
    assert passphrase(str(file)) == "correct horse"
    assert capsys.readouterr().err == (
        f'Warning: others than you may read the passphrase in "{file}"; run: chmod 600 {file}\n'
    )


@pytest.mark.parametrize(
    ("data", "problem"),
    [(b"hush\xff", "it is not UTF-8 text"), (b"hush" * 1025, "it has more than 4096 bytes")],
)
def test_a_file_that_holds_no_passphrase(file: Path, data: bytes, problem: str) -> None:
    file.write_bytes(data)
    file.chmod(0o600)
    with pytest.raises(KumaError, match=problem) as caught:
        passphrase(str(file))
    assert "hush" not in str(caught.value)
    with pytest.raises(KumaError, match="No such file"):
        passphrase(str(file) + "x")
