"""What the reader of a matrix should be told loudly, as sentences: in the step's output, `pca.json` and `run.json`."""

from spark_jobs.pca.pca_model import PcaModel, varying_components


def warnings_of(model: PcaModel, kept: int, variance: float | None) -> list[str]:
    """The warnings about the first `kept` of a model's components; `variance` is the share asked for, if any."""
    varying = min(varying_components(model), kept)
    if not varying:
        alike = f"all {model.n:,} images that the components were fitted on have the same features"
        return [f"Nothing varies: {alike}, so the matrix is 0 but for rounding. Are the pictures copies of one?"]
    found = []
    if varying < kept:
        found.append(
            f"Only the first {varying:,} of {kept:,} components hold any variance; the others are 0 but for rounding. "
            "So many different images have one component fewer than they are: ask for fewer components, or add pictures"
        )
    reached = float(model.explained_variance_ratio[:kept].sum())
    if variance is not None and reached < variance - 1e-9:
        found.append(f"{variance:.2%} of the variance is not reached: all {kept:,} components explain {reached:.2%}")
    return found
