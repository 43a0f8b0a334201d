"""One figure as an SVG element of a page, with its text as text."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from typing import Any

from linnet.errors import missing_extra
from linnet.report.style import STYLE

_SIZE = (4.8, 3.6)
_OURS: dict[Any, Any] = {
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.formatter.useoffset": False,
    "svg.fonttype": "none",
    "font.family": ["DejaVu Sans"],
    "text.parse_math": False,
    "legend.frameon": False,
    "legend.fontsize": 8,
}


def check() -> None:
    """Make sure that figures can be drawn, before anything long is begun.

    Raises:
        UserError: matplotlib is not installed.
    """
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise missing_extra("matplotlib", "report", "a report") from None


def drawn(draw: Callable[[Any], None], name: str, size: tuple[float, float] = _SIZE) -> str:
    """A figure as an SVG element that takes the width it is given, until its text is as large as the page's.

    Args:
        draw: is handed the empty figure.
        name: sets the ids within this figure apart from those of others in the page.
    """
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context({**STYLE, **_OURS, "svg.hashsalt": f"linnet {name}"}):
        figure = Figure(figsize=size, dpi=150, layout="constrained")
        draw(figure)
        text = io.StringIO()
        figure.savefig(text, format="svg", transparent=True, metadata={"Date": None})
    svg = text.getvalue()
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg[svg.index("<svg") :], flags=re.DOTALL)
    named = set(re.findall(r"#([^\")]+)", svg))
    svg = re.sub(r' id="([^"]*)"', lambda found: found[0] if found[1] in named else "", svg)  # the page has its own
    head, rest = svg.split(">", 1)
    head = re.sub(r' (width|height)="[^"]*"', "", head)
    return f'{head} style="max-width:{115 * size[0]:.0f}px">{rest}'
