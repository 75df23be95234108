"""How much validity itself is rewarded: what share of the valid and of the other answers is kept."""

from typing import TYPE_CHECKING, Any

from iterdeploy.audit.logit import CONFIDENCE
from iterdeploy.audit.observe import Observations

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def validity(seen: Observations, kept: "NDArray[np.bool_]") -> dict[str, Any]:
    """First decisions on the deployed answers, by generation and in all, and how often a pool revised an earlier one.

    `kept`: (G, R). The interval is Clopper and Pearson's, for independent decisions.
    """
    import numpy as np

    made = seen.deployed & (seen.generation < len(kept))
    first = kept[np.minimum(seen.generation, len(kept) - 1), np.arange(len(seen.ids))]
    rows = []
    for generation, now in enumerate(kept):
        new = made & (seen.generation == generation)
        old = made & (seen.generation < generation)
        before = kept[generation - 1] if generation else now
        rows.append(
            {
                "generation": generation,
                "valid": _share(first[new & seen.valid]),
                "not_valid": _share(first[new & ~seen.valid]),
                "taken_out": int((old & before & ~now).sum()),
                "brought_back": int((old & ~before & now).sum()),
            }
        )
    return {
        "by_generation": rows,
        "valid": _share(first[made & seen.valid]),
        "not_valid": _share(first[made & ~seen.valid]),
    }


def _share(kept: "NDArray[np.bool_]") -> dict[str, Any] | None:
    from statsmodels.stats.proportion import proportion_confint

    if not len(kept):
        return None
    low, high = proportion_confint(int(kept.sum()), len(kept), alpha=1 - CONFIDENCE, method="beta")
    return {"answers": len(kept), "kept": int(kept.sum()), "share": float(kept.mean()), "low": low, "high": high}
