"""Pieces of one self-contained HTML page. Whatever is text is escaped; only `Markup` is taken as it is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape


class Markup(str):
    """HTML already."""


def text(value: object) -> Markup:
    """A value as HTML."""
    return value if isinstance(value, Markup) else Markup(escape(str(value)))


def paragraph(words: str, kind: str = "") -> Markup:
    """A paragraph, of a kind that the style knows."""
    return Markup(f'<p class="{kind}">{text(words)}</p>' if kind else f"<p>{text(words)}</p>")


def table(head: Sequence[str], rows: Iterable[Sequence[object]], caption: str, words: bool = False) -> Markup:
    """A table, its first column row heads; on narrow screens it scrolls by itself.

    Args:
        words: the cells are words rather than numbers.
    """
    heads = "".join(f'<th scope="col">{text(cell)}</th>' for cell in head)
    body = "".join(
        f'<tr><th scope="row">{text(first)}</th>{"".join(f"<td>{text(cell)}</td>" for cell in rest)}</tr>'
        for first, *rest in rows
    )
    return Markup(
        f'<div class="wide{" words" if words else ""}"><table><caption>{text(caption)}</caption>'
        f"<thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def figures(*drawings: tuple[str, str]) -> Markup:
    """Drawings (SVG, caption) side by side, or below one another where there is no room."""
    inside = "".join(f"<figure>{svg}<figcaption>{text(caption)}</figcaption></figure>" for svg, caption in drawings)
    return Markup(f'<div class="figures">{inside}</div>')


def definitions(terms: Iterable[tuple[str, str]]) -> Markup:
    """What words mean, folded away."""
    items = "".join(f"<dt>{text(term)}</dt><dd>{text(meaning)}</dd>" for term, meaning in terms)
    return Markup(f"<details><summary>What these mean</summary><dl>{items}</dl></details>")


def folded(summary: str, *parts: Markup, opened: bool = False) -> Markup:
    """Parts that are seen when asked for, or until they are folded away."""
    return Markup(f"<details{' open' * opened}><summary>{text(summary)}</summary>{''.join(parts)}</details>")


def section(id: str, title: str, *parts: Markup) -> Markup:
    return Markup(f'<section id="{text(id)}"><h2>{text(title)}</h2>{"".join(parts)}</section>')


def page(title: str, parts: Iterable[Markup]) -> str:
    """The whole page, which loads nothing from anywhere."""
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{text(title)}</title><style>{_CSS}</style></head>\n<body><main>{''.join(parts)}</main></body></html>\n"
    )


_CSS = """
:root{color-scheme:light}
body{margin:0;background:#fff;color:#1b1b1b;font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main{max-width:1080px;margin:0 auto;padding:1rem}
h1{font-size:1.6rem;margin:.5rem 0}h2{font-size:1.2rem;margin:2rem 0 .5rem;border-bottom:1px solid #ddd}
p{max-width:46rem}
.warning{background:#fff4e5;border-left:4px solid #D55E00;padding:.75rem 1rem;max-width:none}
.reading{background:#f3f7fb;border-left:4px solid #0072B2;padding:.75rem 1rem;max-width:none}
nav{font-size:.9rem}nav a{margin-right:1rem;color:#0059a0}
.wide{overflow-x:auto;margin:.75rem 0}
table{border-collapse:collapse;font-size:.85rem;font-variant-numeric:tabular-nums}
caption{text-align:left;color:#444;padding:.25rem 0;max-width:46rem}
th,td{padding:.25rem .6rem;text-align:right;border-bottom:1px solid #e5e5e5;white-space:nowrap}
th:first-child{text-align:left}thead th{border-bottom:2px solid #999;vertical-align:bottom;white-space:normal}
.figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,400px),1fr));gap:1rem;align-items:start}
figure{margin:.5rem 0;max-width:64rem;min-width:0}
figure svg{width:100%;height:auto;display:block}
figcaption{font-size:.85rem;color:#444}
.figures figure:not(:only-child){max-width:34rem}
details{margin:.5rem 0}summary{cursor:pointer;color:#0059a0}
dl{font-size:.9rem;max-width:46rem}dt{font-weight:600}dd{margin:0 0 .4rem 1rem}
.words td,.words th{text-align:left;white-space:normal}
"""
