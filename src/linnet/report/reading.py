"""An examination in a paragraph, made of its numbers: it tells, and does not judge."""

from __future__ import annotations

from linnet.examine import Examination
from linnet.run_figures import Figures, Spread
from linnet.strata import FEW


def share(value: float | None, digits: int = 1) -> str:
    """A share as per cent, '-' where it is not defined."""
    return "-" if value is None else f"{100 * value:.{digits}f}"


def spread(value: Spread | None) -> str:
    """A mean share as per cent, with its deviation over runs where there are several."""
    if value is None:
        return "-"
    return share(value.mean) if value.sd is None else f"{share(value.mean)} ± {share(value.sd, 2)}"


def reading(found: Examination) -> str:
    """The paragraph at the top of the page, of the first model and of the mean over runs."""
    first = next(iter(found.figures))
    of_first = found.figures[first]
    deepest = [rank for rank in ("genus", "species") if rank in of_first] or list(of_first)[-1:]
    sentences = [f"{found.counts['queries']:,} queries were asked of {_asked(found)}."]
    for rank in deepest:
        sentences += _of_rank(rank, of_first[rank], found)
    return " ".join([*sentences, *_of_mistakes(deepest[-1], found)])


def _asked(found: Examination) -> str:
    runs, apart = len(found.averaged), [name for name in found.figures if name not in found.averaged]
    told = f"{runs} runs, over which means are taken" if runs > 1 else "one model"
    if not apart:
        return told
    return f"{told}, and of {', '.join(apart)}, which {'is' if len(apart) == 1 else 'are'} left out of the means"


def _of_rank(rank: str, figures: Figures, found: Examination) -> list[str]:
    means = found.spread[rank]
    mean, sd = means["accuracy"].mean, means["accuracy"].sd
    deviation = "" if sd is None else f" (standard deviation over runs {share(sd, 2)})"
    sentences = [
        f"At {rank}, {share(mean)} % of {figures.n:,} queries are named right with every name taken{deviation}."
    ]
    if figures.n_unknown:
        of_others = f"; of the others {share(known.mean)} % are right" if (known := means.get("acc_known")) else ""
        sentences.append(
            f"{share(figures.n_unknown / figures.n)} % of them are of a {rank} that the reference lacks, which nobody "
            f"can name from it{of_others}."
        )
    if error := means.get("ece_debiased"):
        sentences.append(f"Confidence and the share right differ by {share(error.mean)} points on average.")
    if (kept := means.get("cut_coverage")) and (right := means.get("cut_precision")):
        over = means.get("cut_oc")
        unknown = f", and {share(over.mean)} % of those of an unknown {rank} get one all the same" if over else ""
        sentences.append(
            f"After the cut at confidence {found.settings.confidence:g}, {share(kept.mean)} % keep a name for the "
            f"{rank}, {share(right.mean)} % of these names are right{unknown}."
        )
    return sentences


def _of_mistakes(rank: str, found: Examination) -> list[str]:
    sentences = []
    kin = found.kinship.get(rank)
    if kin and kin.wrong:
        sister = share(kin.sister / kin.wrong)
        sentences.append(f"Of {kin.wrong:,} wrong names at {rank}, {sister} % have the right parent.")
    told = [s for s in (found.identity or {}).get(rank, ()) if s.n >= FEW]
    if len(told) > 1:
        sentences.append(
            f"Among queries whose nearest reference has {told[0].label} identity {share(told[0].accuracy)} % are right "
            f"at {rank}, among those with {told[-1].label} {share(told[-1].accuracy)} %."
        )
    figures = next(iter(found.figures.values()))[rank]
    if figures.n_placeholders:
        named = figures.accuracy_named
        without = "" if named is None else f"; without them {share(named)} % are right"
        sentences.append(
            f"{share(figures.n_placeholders / figures.n)} % of the true names at {rank} are placeholders{without}."
        )
    return sentences
