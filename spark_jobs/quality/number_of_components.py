"""The smallest number of components that is as good as any, and why."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

#: So far below the best accuracy a number of components may be: one point of a hundred.
WITHIN = 0.01
#: Kept when nothing can be judged.
USUAL = 10


@dataclass(frozen=True)
class AutoK:
    """Bounds within which the number of components is chosen; both included."""

    least: int
    most: int

    def within(self, components: int) -> "AutoK":
        """The same where a model has only so many components: all of them, where more are asked for at least."""
        return AutoK(min(self.least, components), min(self.most, components))


@dataclass(frozen=True)
class ChosenK:
    """A number of components, and in words why it is this one."""

    k: int
    reason: str


def choose_auto(bounds: AutoK, judged: Mapping[str, Any]) -> ChosenK:
    """The smallest number within the bounds whose accuracy is within a point of the best; else the best within them.

    Test judged by Training decides, where there is such a split: leave-one-out would count on near-duplicates. Where no
    label of Test is in Training, nothing of it can be right, and all numbers would be equally good.

    Args:
        bounds: what was asked for, within what the model has; both were judged.
        judged: `quality.json`'s content.
    """
    least, most = bounds.least, bounds.most
    if not judged["by_k"]:
        k = min(max(USUAL, least), most)
        components = "1 component" if k == 1 else f"{k} components"
        return ChosenK(k, f"{components}: there are not two labels with images to be told apart, so none is better")
    by_split = _tells(judged["split"])
    decides = judged["split"] if by_split else judged
    by_k = {row["k"]: row["accuracy"]["value"] for row in decides["by_k"]}
    best_k, best = max([*by_k.items(), (decides["features"]["k"], decides["features"]["accuracy"]["value"])], key=_best)
    within = {k: value for k, value in by_k.items() if least <= k <= most}
    good = [k for k, value in within.items() if value >= best - WITHIN - 1e-12]
    how = "Test judged by Training" if by_split else "leave one out"
    told = f"the best accuracy of the nearest image's label ({how}) is {best:.1%}, with {best_k:,} dimensions"
    if good:
        k = min(good)
        reached = "1 component reaches" if k == 1 else f"{k} components reach"
        return ChosenK(k, f"{reached} {within[k]:.1%}: the fewest within one point of the best; {told}")
    k = max(within.items(), key=_best)[0]
    return ChosenK(
        k,
        f"no number of components from {least} to {most} comes within one point of the best; {k} reach "
        f"{within[k]:.1%}, the most of them; {told}: a larger bound would keep more",
    )


def _tells(split: Mapping[str, Any] | None) -> bool:
    """Whether there is a split, and Test could be judged by it."""
    return split is not None and any(row["accuracy"]["value"] for row in (*split["by_k"], split["features"]))


def _best(entry: tuple[int, float]) -> tuple[float, int]:
    """The largest accuracy; of equal ones the smallest number."""
    k, accuracy = entry
    return accuracy, -k


def keeps(judged: Mapping[str, Any], k: int) -> str:
    """One plain sentence: how many right neighbours so many components keep, and how many all features do."""
    of_k = {row["k"]: row["accuracy"]["value"] for row in judged["by_k"]}.get(k)
    if of_k is None:
        return "No accuracy can be given: there are not two labels with images to be told apart."
    of_all = judged["features"]["accuracy"]["value"]
    plural = "component keeps" if k == 1 else "components keep"
    return f"{k:,} {plural} {_of_100(of_k)} of 100 right neighbours; all 1,280 features keep {_of_100(of_all)}."


def _of_100(share: float) -> str:
    """As a person says it; what is not all of them is never told as all, nor what is not none as none."""
    rounded = round(share * 100)
    if rounded not in {0, 100} or share in {0.0, 1.0}:
        return str(rounded)
    return f"{min(max(share * 100, 0.1), 99.9):.1f}"
