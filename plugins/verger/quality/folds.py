"""Cuts images into folds for cross-validation."""

import numpy as np
import numpy.typing as npt

Codes = npt.NDArray[np.int32]
Int64s = npt.NDArray[np.int64]

FOLDS = 5


def cut_into_folds(codes: Codes, groups: Int64s, folds: int = FOLDS) -> Codes:
    """The fold of each image: groups stay together, and each label is spread over the folds as evenly as they let it.

    Args:
        codes: [n], the labels' numbers.
        groups: [n], equal where images must not be apart: near-duplicates would be judged by themselves.
        folds: how many.
    """
    members, places = np.unique(groups, return_inverse=True)
    random = np.random.default_rng(len(codes))
    order = random.permutation(len(members))
    sizes = np.bincount(places)
    # The largest groups first, so that the small ones even the folds out; equal ones at random.
    order = order[np.argsort(-sizes[order], kind="stable")]
    in_fold = np.zeros((folds, int(codes.max(initial=0)) + 1), np.int64)
    fold_of_group = np.zeros(len(members), np.int32)
    sorted_places = np.argsort(places, kind="stable")
    bounds = np.concatenate([[0], np.cumsum(sizes)])
    for group in order:
        labels = codes[sorted_places[bounds[group] : bounds[group + 1]]]
        mine = np.bincount(labels, minlength=in_fold.shape[1])
        fold = int(np.lexsort((in_fold.sum(axis=1), in_fold @ mine))[0])
        fold_of_group[group] = fold
        in_fold[fold] += mine
    found: Codes = fold_of_group[places]
    return found


def cut_chains(codes: Codes, groups: Int64s, parts: int = FOLDS) -> tuple[Int64s, int]:
    """Groups of which none holds more than half of a label's images, and how many were cut for it.

    Near-duplicates form chains: of drawn pictures, or of the frames of a film, whole labels. Left together, such a
    label would lie in one fold, and nothing would be learnt of it when it is judged. Each label of such a group is cut
    into as many runs of consecutive images as there are folds: the runs' ends alone are near-duplicates of others.

    Args:
        codes: [n], the labels' numbers, of images in the order of their paths.
        groups: [n], numbers from 0.
        parts: into how many runs.
    """
    sizes = np.bincount(codes)
    found = groups.copy()
    cut = 0
    for group in np.flatnonzero(np.bincount(groups) > 1):
        members = np.flatnonzero(groups == group)
        counts = np.bincount(codes[members], minlength=len(sizes))
        if not (2 * counts > sizes)[counts > 1].any():
            continue
        cut += 1
        for label in np.flatnonzero(counts):
            for run in np.array_split(members[codes[members] == label], parts):
                found[run] = found.max() + 1
    return found, cut


def draw_evenly(codes: Codes, most: int) -> Int64s:
    """The numbers of at most so many images, ascending: of each label its share, two at least. Always the same."""
    if len(codes) <= most:
        return np.arange(len(codes))
    order = np.random.default_rng(len(codes)).permutation(len(codes))
    order = order[np.argsort(codes[order], kind="stable")]
    counts = np.bincount(codes)
    first = np.repeat(np.cumsum(counts) - counts, counts)
    shares = np.maximum(2, counts * most // len(codes))
    return np.sort(order[np.arange(len(order)) - first < shares[codes[order]]])
