"""CAMI's binning format (bioboxes 0.9.1), which AMBER reads: a taxid for each contig that has a name.

    @Version:0.9.1
    @SampleID:

    @@SEQUENCEID	TAXID
    k141_7	1239

Contigs without a name are left out, as the format demands. The sample has no name here: before AMBER compares the
file with a gold standard, give it the gold standard's.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TextIO

from linnet.errors import UserError
from linnet.prediction import Prediction


def write(predictions: Iterable[Prediction], file: TextIO) -> None:
    """The taxid of the deepest taxon kept.

    Raises:
        UserError: it has none.
    """
    file.write("@Version:0.9.1\n@SampleID:\n\n@@SEQUENCEID\tTAXID\n")
    for prediction in predictions:
        if not prediction.kept:
            continue
        taxon = prediction.kept[-1]
        if not taxon.taxid:
            raise UserError(
                f"'{taxon.name}' ({taxon.rank}) has no taxid",
                where=f"record '{prediction.record_id}'",
                expected="taxids, which the format 'biobox' consists of",
                remedy="Give the taxdump that the labels come from with --taxonomy, or choose another --format.",
            )
        file.write(f"{prediction.record_id}\t{taxon.taxid}\n")
