"""A correction in a paragraph, made of its numbers: it tells, and does not judge."""

from __future__ import annotations

from linnet.changes import Kind
from linnet.contig_examination import BEFORE, ContigExamination
from linnet.contig_scores import PairedDifference
from linnet.report.reading import share
from linnet.taxonomy import RANKS

_WORDS = {
    Kind.KEPT: "are kept",
    Kind.EXTENDED: "are extended",
    Kind.CUT: "are cut",
    Kind.MOVED: "are moved to another taxon",
    Kind.NEW: "get their first label",
    Kind.NONE: "have none, before and after",
}


def reading(found: ContigExamination) -> str:
    """The paragraph at the top of the page, of the first table."""
    counts, first = found.counts, [*found.tables][1]
    contigs = counts["contigs"]
    had, have = (share(counts[f"contigs with a label {when}"] / contigs) for when in ("before", "after"))
    of = [f"{share(found.kinds[kind].contigs / contigs)} % {words}" for kind, words in _WORDS.items()
          if found.kinds[kind].contigs]  # fmt: skip
    sentences = [
        f"{contigs:,} contigs of {counts['bases'] / 1e6:,.1f} Mbp: {had} % had a label, {have} % have one in {first}.",
        f"{_listed(of)}.",
    ]
    if not found.evaluations:
        rank = next((r for r in reversed(RANKS) if r in found.transitions), "")
        if rank:
            before, after = found.tables[BEFORE][rank], found.tables[first][rank]
            sentences.append(f"At {rank}, {before:,} contigs had a name and {after:,} have one now.")
        sentences.append("No truth was given: nothing here says whether a name is right.")
        return " ".join(sentences)
    was, now = found.evaluations[BEFORE], found.evaluations[first]
    for rank in ("genus", "species"):
        if rank not in now.ranks:
            continue
        a, b = was.ranks[rank].contigs, now.ranks[rank].contigs
        by = _difference(found.differences[first].ranks[rank].get("f1"))
        sentences.append(
            f"At {rank}, F1 goes from {share(a.f1)} to {share(b.f1)} %{by}, precision from {share(a.precision)} to "
            f"{share(b.precision)} %."
        )
        if became := now.ranks[rank].change:
            wrong, right = (became.transitions[was_so] for was_so in ("wrong", "right"))
            if total := sum(wrong.values()):
                told = (
                    f"{share(wrong['right'] / total)} % are put right and {share(wrong['none'] / total)} % taken away"
                )
                sentences.append(f"Of {total:,} wrong names {told}.")
            if total := sum(right.values()):
                told = (
                    f"{share(right['wrong'] / total)} % are made wrong and {share(right['none'] / total)} % taken away"
                )
                sentences.append(f"Of {total:,} right ones {told}.")
    deepest = next((r for r in ("species", "genus") if r in now.ranks), "")
    if deepest and now.ranks[deepest].absent:
        had, have = (share(e.ranks[deepest].wrong_on_absent) for e in (was, now))
        sentences.append(
            f"Of {now.ranks[deepest].absent:,} contigs of a {deepest} that the reference lacks, {had} % had the name "
            f"of another {deepest} and {have} % have one now."
        )
    moved = found.judged.get(Kind.MOVED)
    if moved and moved.contigs:
        sentences.append(
            f"Of {moved.contigs:,} labels moved, {moved.right_before:,} were right before and {moved.right_after:,} "
            "are right now, down to their last name."
        )
    return " ".join(sentences)


def _difference(found: PairedDifference | None) -> str:
    if found is None or found.interval is None:
        return ""
    low, high = found.interval
    return f" (difference {signed(found.difference)}, 95 % interval {signed(low)} to {signed(high)})"


def signed(value: float) -> str:
    """A difference of shares in points, with its sign."""
    return f"{100 * value:+.1f}"


def _listed(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
