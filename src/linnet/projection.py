"""Vectors of many dimensions laid out in a plane."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from linnet.errors import UserError, missing_extra

Method = Literal["tsne", "umap"]
FEWEST = 10
"""Vectors below which a layout says nothing."""
MOST = 2000
"""Vectors laid out, at most."""


def check(method: Method) -> None:
    """Make sure that the method's library is installed, before anything long is begun.

    Raises:
        UserError: it is not.
    """
    try:
        if method == "tsne":
            import sklearn.manifold  # noqa: F401
        else:
            import umap  # noqa: F401
    except ImportError:
        if method == "tsne":
            raise missing_extra("scikit-learn", "report", "t-SNE") from None
        raise UserError(
            "UMAP needs the package 'umap-learn', which is not installed",
            remedy="Install it with: pip install umap-learn; or leave out --projection, for t-SNE.",
        ) from None


def drawn(n: int, seed: int) -> NDArray[np.int64]:
    """int64: which of n vectors are laid out, ascending."""
    return np.sort(np.random.default_rng(seed).permutation(n)[:MOST])


def project(vectors_NW: NDArray[np.floating], method: Method = "tsne", seed: int = 0) -> NDArray[np.float64] | None:
    """float64 (N, 2): like vectors near one another; None for fewer than FEWEST, or vectors that are all the same.

    t-SNE (van der Maaten & Hinton 2008) with perplexity 30, or a third of N where that is less, begun from the first
    two principal components; UMAP (McInnes, Healy & Melville 2018) with its defaults.
    """
    if len(vectors_NW) < FEWEST or np.allclose(vectors_NW, vectors_NW[0]):
        return None
    if method == "umap":
        import umap

        return np.asarray(umap.UMAP(random_state=seed).fit_transform(vectors_NW), np.float64)
    from sklearn.manifold import TSNE

    perplexity = min(30.0, (len(vectors_NW) - 1) / 3)
    tsne = TSNE(perplexity=perplexity, init="pca", random_state=seed, n_jobs=1)
    return np.asarray(tsne.fit_transform(vectors_NW), np.float64)
