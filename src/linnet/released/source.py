"""Where released files come from: this machine, or the Hugging Face hub; with their digests checked."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from linnet.errors import UsageError, UserError, missing_extra
from linnet.inputs import sha256
from linnet.tokens import Pieces

PUBLISHED = {
    "deeptaxa-full-length-v2.pt": "bc5907a881fffe40cccaf66cf9072fb71fc37802fcceb296263076a2a0990307",
    "deeptaxa-v3v4-v2.pt": "91a9243cee2fc420f8a78c609ac98e75dd875b2a8a0a06d6a2455624664d898f",
    "deeptaxa-v4-v2.pt": "bd48d9744f2d7b5c7fd930a3109c1223d3409ccdb953f8a8d11da1d2f62934b0",
}
"""SHA-256 of DeepTaxa's default models, as its model card of July 2026 lists them."""

TOKENIZERS = {"zhihan1996/DNABERT-2-117M": "7bce263b15377fc15361f52cfab88f8b586abda0"}
"""The revision taken of a tokenizer that files name without one: of DNABERT-2, the one other projects pin."""

_HUB = re.compile(r"hf://(?P<repository>[\w.-]+/[\w.-]+)(?:/(?P<file>[\w./-]+))?(?:@(?P<revision>[\w./-]+))?")


@dataclass
class Found:
    """A file on this machine, its digest, and what a user should know of it."""

    path: Path
    sha256: str
    notes: list[str] = field(default_factory=list)


def find(file: str) -> Found:
    """A released file, by path or as hf://OWNER/REPOSITORY/FILE[@REVISION], checked against what is known of it.

    Raises:
        UserError: there is no such file; the hub does not answer; its digest is not the one in SHA256SUMS.
    """
    if not file.startswith("hf://"):
        path = Path(file)
        if not path.is_file():
            raise UserError("no such file", where=file, remedy="Check the path.")
        beside = path.with_name("SHA256SUMS")
        return _checked(path, path.name, beside if beside.is_file() else None)
    match = _HUB.fullmatch(file)
    if match is None or match["file"] is None:
        raise UsageError(f"'{file}'", expected="hf://OWNER/REPOSITORY/FILE, with @REVISION or without")
    path = _download(match["repository"], match["file"], match["revision"])
    sums: Path | None = None
    with suppress(UserError):  # not every repository has them
        sums = _download(match["repository"], "SHA256SUMS", match["revision"])
    return _checked(path, Path(match["file"]).name, sums)


def encoder(given: str) -> Path:
    """A folder or file of an encoder, by path or as hf://OWNER/REPOSITORY[@REVISION], fetched as safetensors.

    Raises:
        UserError: the hub does not answer, or has no such files.
    """
    if not given.startswith("hf://"):
        return Path(given)
    match = _HUB.fullmatch(given)
    if match is None or match["file"]:
        raise UsageError(f"--encoder {given}", expected="a folder, a file, or hf://OWNER/REPOSITORY[@REVISION]")
    repository, revision = match["repository"], match["revision"]
    weights = _download(repository, "model.safetensors", revision)
    with suppress(UserError):  # it says how many heads; those of the published sizes are known without
        _download(repository, "config.json", revision)
    return weights.parent


def folder(given: str, files: Sequence[str]) -> Path:
    """A model's folder, by path or as hf://OWNER/REPOSITORY[@REVISION].

    Args:
        files: patterns of those that are fetched.

    Raises:
        UserError: the hub does not answer.
    """
    if not given.startswith("hf://"):
        return Path(given)
    match = _HUB.fullmatch(given)
    if match is None or match["file"]:
        raise UsageError(f"'{given}'", expected="a folder, or hf://OWNER/REPOSITORY[@REVISION]")
    with _fetching(given):
        from huggingface_hub import snapshot_download

        return Path(snapshot_download(match["repository"], revision=match["revision"], allow_patterns=list(files)))


def tokenizer(given: str | None, name: str, revision: str | None, beside: Path) -> Pieces:
    """The vocabulary a user gave, or the one that a released file names.

    Args:
        given: a file, a folder, or hf://OWNER/REPOSITORY@REVISION; None for the one named.
        name, revision: as the released file has them.
        beside: the folder in which a name that is a relative path is looked for.

    Raises:
        UserError: it cannot be found, or is no tokenizer.
    """
    if given and not given.startswith("hf://"):
        return Pieces.from_file(Path(given))
    if given:
        match = _HUB.fullmatch(given)
        if match is None or match["file"]:
            raise UsageError(f"--tokenizer {given}", expected="hf://OWNER/REPOSITORY@REVISION")
        name, revision = match["repository"], match["revision"]
    elif (beside / name).resolve().is_relative_to(beside.resolve()) and (beside / name / "tokenizer.json").is_file():
        return Pieces.from_file(beside / name)
    revision = revision or TOKENIZERS.get(name)
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", name) or not revision:
        raise UserError(
            f"the model's tokenizer, '{name}', cannot be found",
            remedy="Give its tokenizer.json with --tokenizer, or hf://OWNER/REPOSITORY@REVISION.",
        )
    return Pieces.from_file(_download(name, "tokenizer.json", revision))


def _checked(path: Path, name: str, sums: Path | None) -> Found:
    digest = sha256(path)
    listed = _listed(sums).get(name) if sums else None
    if listed and listed != digest:
        raise UserError(
            f"is not the file that {sums} lists (SHA-256 {digest[:16]}..., not {listed[:16]}...)",
            where=name,
            remedy="Download it again.",
        )
    if listed:
        return Found(path, digest, [f"{name}: SHA-256 as SHA256SUMS has it"])
    if name not in PUBLISHED:
        return Found(path, digest, [f"{name}: SHA-256 {digest}, no published digest to compare it with"])
    same = "as" if digest == PUBLISHED[name] else "NOT as"
    return Found(path, digest, [f"{name}: SHA-256 {same} on DeepTaxa's model card of July 2026"])


def _listed(sums: Path) -> dict[str, str]:
    rows = (line.split(None, 1) for line in sums.read_text(errors="replace").splitlines())
    return {row[1].lstrip("*").strip(): row[0].lower() for row in rows if len(row) == 2}


def _download(repository: str, file: str, revision: str | None) -> Path:
    with _fetching(f"hf://{repository}/{file}"):
        from huggingface_hub import hf_hub_download

        return Path(hf_hub_download(repository, file, revision=revision))


@contextmanager
def _fetching(what: str) -> Iterator[None]:
    """Where the hub is asked."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise missing_extra("huggingface_hub", "train", "fetching from the hub") from error
    except Exception as error:  # the library's errors come from three packages
        raise UserError(
            f"cannot be fetched ({type(error).__name__}: {str(error).partition(chr(10))[0]})",
            where=what,
            remedy="Check the name and the connection, or download it elsewhere and give its path.",
        ) from error
