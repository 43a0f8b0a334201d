"""What the figures of a report mean, in the words of the page."""

from __future__ import annotations

MEANINGS = (
    (
        "accuracy",
        "Right names divided by all queries whose true lineage reaches the rank. A name is right only if the whole "
        "path down to it is; no name is not right.",
    ),
    (
        "F1, precision and recall, weighted",
        "Of each true taxon, averaged with its number of queries as weight. Recall averaged so equals accuracy.",
    ),
    (
        "F1, macro",
        "Each true or predicted taxon counts once, however many queries it has.",
    ),
    (
        "ECE",
        "Expected calibration error: ten bins of confidence of equal width, in each the difference of mean confidence "
        "and share right, averaged with the number of names as weight (Naeini et al. 2015). 'Known taxa' leaves out "
        "queries of unknown taxa, as published figures do, though no name is right there; 'all' keeps them; 'debiased' "
        "takes off what chance adds in bins of few queries (after Kumar et al. 2019).",
    ),
    (
        "in the reference, known, unknown",
        "A taxon is known if a lineage of the reference table has it. No model can name another, so the share in the "
        "reference is the ceiling of accuracy.",
    ),
    (
        "wrong name, no name, named (unknown taxa)",
        "Misclassification, under-classification and over-classification (Edgar 2018): shares of the queries of known "
        "taxa, and, the last, of unknown taxa.",
    ),
    (
        "top k",
        "The true clade is among the k most probable ones of its rank. Top 1 may differ from accuracy: a lineage is "
        "read from the root down, and a record that the model refuses to name has probabilities all the same.",
    ),
    (
        "AUC",
        "Each taxon's probability as a score for its own queries against all others (one against the rest), as areas "
        "under ROC curves, averaged with queries as weight. Of known taxa, and only where at most 100 occur.",
    ),
    (
        "AUROC of confidence",
        "The chance that a right name has a higher confidence than a wrong one; 50 is no better than a coin (Hanley & "
        "McNeil 1982).",
    ),
    (
        "AURC",
        "Area under the risk-coverage curve: the wrong share of the names given, averaged over all cuts (Geifman & "
        "El-Yaniv 2017). Less is better.",
    ),
    (
        "placeholder",
        "A name that stands where one is missing: it has a word such as unclassified, uncultured, unidentified, "
        "metagenome, incertae sedis, bacterium or 'sp.', or nothing but a rank's prefix.",
    ),
)
"""Terms of the page and what they mean."""
