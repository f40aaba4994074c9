"""The form of a run: each setting as an Airflow Param with its title, help and bounds."""

from collections.abc import Mapping
from typing import Any

from airflow.sdk import Param

from verger.prices import InstanceType, load_prices
from verger.run.deployment import Deployment
from verger.run.eu_guard import EU_REGIONS
from verger.run.images_prefix import form_pattern
from verger.run.settings import (
    AUTO_K,
    BUDGET_BOUNDS,
    CHUNK_BOUNDS,
    CLUSTER_HOUR_BOUNDS,
    COMPUTES,
    EBS_GB_BOUNDS,
    END_STALLED_MINUTE_BOUNDS,
    ENGINES,
    EXECUTOR_MINUTE_BOUNDS,
    HELD_MINUTE_BOUNDS,
    HERE_MINUTE_BOUNDS,
    IDLE_MINUTE_BOUNDS,
    K_BOUNDS,
    NODE_BOUNDS,
    STALLED_MINUTE_BOUNDS,
    WANTED_MINUTE_BOUNDS,
    Settings,
)
from verger.run.source_credentials import SOURCE_PATTERN, check_no_credentials


def _param(name: str, **schema: Any) -> Param:  # noqa: ANN401 -- JSON schema keywords are of any type
    """A Param whose default is the setting's own."""
    own = getattr(Settings, name, None)
    schema.setdefault("default", own)
    if own == "":
        # Airflow's form asks for every text that may not be null, and starts nothing while one is empty.
        schema["type"] = ["null", schema["type"]]
    return Param(**schema)


def _whole_number(name: str, bounds: tuple[int, int], **schema: Any) -> Param:  # noqa: ANN401 -- as above
    return _param(name, type="integer", minimum=bounds[0], maximum=bounds[1], **schema)


def run_params(deployment: Deployment) -> dict[str, Param]:
    """The params of `fruits_features`, with defaults that work for this deployment."""
    check_no_credentials(deployment.source, "VERGER_SOURCE")
    return _data_params(deployment) | _model_params() | _matrix_params() | _place_params() | _cluster_params()


def unchecked(params: Mapping[str, Param]) -> dict[str, Param]:
    """The same defaults without any check, for the tasks that end a run.

    Airflow holds the run's settings against the form before each task. One that an update of Verger has come to refuse
    would keep `terminate_cluster` from being called at all.
    """
    return {name: Param(param.value) for name, param in params.items()}


def _data_params(deployment: Deployment) -> dict[str, Param]:
    section = "Pictures"
    return {
        "bucket": _param(
            "bucket",
            default=deployment.bucket or None,
            type="string",
            title="Bucket",
            description="Holds the pictures, the features and the results. Its real location must be in the EU.",
            section=section,
        ),
        "region": _param(
            "region",
            default=deployment.region,
            type="string",
            enum=list(EU_REGIONS),
            title="Region",
            description="Where the bucket is and the cluster runs: EU only.",
            section=section,
        ),
        "images_prefix": _param(
            "images_prefix",
            default=deployment.images_prefix,
            type="string",
            pattern=form_pattern(),
            title="Folder of the pictures",
            description="Pictures lie in it as label/file: the last folder of a picture is its label.",
            section=section,
        ),
        "source": _param(
            "source",
            default=deployment.source,
            type="string",
            pattern=SOURCE_PATTERN,
            title="Copy pictures from",
            description="New and changed pictures are copied from here to the bucket first: a folder or a zip file on "
            "Airflow's machine, s3://bucket/folder/ of a bucket in the EU, or the https address of a zip file "
            "(connection://ID/path, with an Airflow connection, for one that needs a password or a token). "
            "Empty: the bucket's pictures are taken as they are.",
            section=section,
        ),
        "delete_missing": _param(
            "delete_missing",
            type="boolean",
            title="Delete what the source does not have",
            description="Deletes from the bucket what is not in the source above, but never what the source has and "
            "only could not be copied. Without a source it does nothing.",
            section=section,
        ),
        "delete_more_than_half": _param(
            "delete_more_than_half",
            type="boolean",
            title="Delete even more than half",
            description="Else a run that would delete more than half of the bucket's pictures deletes none and fails: "
            "the source may be the wrong one, or not whole.",
            section=section,
        ),
        "max_reject_rate": _param(
            "max_reject_rate",
            type="number",
            minimum=0,
            maximum=1,
            title="Share of rejects allowed",
            description="The run fails when a larger share of the pictures (0 to 1) cannot be used. "
            "Each of them has a row in rejects.csv that says why.",
            section=section,
        ),
        "take_damaged": _param(
            "take_damaged",
            type="boolean",
            title="Take damaged pictures",
            description="JPEGs that are damaged inside or cut off count as far as they can be decoded, as viewers show "
            "them. Else they are rejects. Those of earlier runs are tried again together with the next switch.",
            section=section,
        ),
        "retry_rejects": _param(
            "retry_rejects",
            type="boolean",
            title="Try earlier rejects again",
            description="Else a picture that could not be used is tried again only when it changes.",
            section=section,
        ),
        "force": _param(
            "force",
            type="boolean",
            title="Run though nothing changed",
            description="Else a run that finds pictures, model and matrix settings unchanged ends at once, for free.",
            section=section,
        ),
    }


def _model_params() -> dict[str, Param]:
    section = "Model"
    return {
        "weights": _param(
            "weights",
            type="string",
            title="Weights file",
            description="An .h5 file of MobileNetV2 (alpha 1.0, 224 px, no top) on Airflow's machine, or its s3:// "
            "address (infra/template.yaml lets Airflow read what is below models/). Empty: the bucket's default model.",
            section=section,
        ),
        "engine": _param(
            "engine",
            type="string",
            enum=list(ENGINES),
            values_display={"litert": "LiteRT (fast)", "keras": "Keras (reference)"},
            title="Inference engine",
            description="Both give the same features to within 1e-4.",
            section=section,
        ),
        "chunk_images": _whole_number(
            "chunk_images",
            CHUNK_BOUNDS,
            title="Pictures per commit",
            description="A step that is killed and retried redoes at most this many.",
            section=section,
        ),
    }


def _matrix_params() -> dict[str, Param]:
    section = "Matrix"
    return {
        "k": _param(
            "k",
            # Without a type the form shows the field of the default, a number's; programs may give the word as well.
            anyOf=[{"type": "integer"}, {"type": "string", "pattern": rf"^([0-9]+|{AUTO_K})(?![\s\S])"}],
            minimum=K_BOUNDS[0],
            maximum=K_BOUNDS[1],
            title="Components",
            description="Columns of the matrix. At most as many as there are pictures, and 1,280. "
            f"Programs may give {AUTO_K} for the next switch.",
            section=section,
        ),
        "auto_k": _param(
            "auto_k",
            type="boolean",
            title="Find the number of components",
            description="The fewest with which the nearest picture has the right label as often as with any number, to "
            "within one point of a hundred, whatever is said above.",
            section=section,
        ),
        "least_k": _whole_number(
            "least_k",
            K_BOUNDS,
            title="Components at least",
            description="Where they are found by the switch above.",
            section=section,
        ),
        "most_k": _whole_number(
            "most_k",
            K_BOUNDS,
            title="Components at most",
            description="Where they are found by the switch above.",
            section=section,
        ),
        "variance": _param(
            "variance",
            type=["null", "number"],
            exclusiveMinimum=0,
            maximum=1,
            title="Share of variance",
            description="If given, the fewest components that reach it are kept, whatever is said above.",
            section=section,
        ),
        "standardize": _param(
            "standardize",
            type="boolean",
            title="Standardize the features",
            description="Divides each feature by its standard deviation before the components are computed.",
            section=section,
        ),
        "test_folder": _param(
            "test_folder",
            type="string",
            title="Folder of the test pictures",
            description="The pictures below it are judged by all others, which shows how good the matrix is for new "
            "ones. Empty: a folder Test beside a folder Training, where there are such.",
            section=section,
        ),
    }


def _place_params() -> dict[str, Param]:
    section = "Place"
    return {
        "compute": _param(
            "compute",
            type="string",
            enum=list(COMPUTES),
            values_display={
                "auto": "where the matrix is expected sooner",
                "cluster": "on an EMR cluster",
                "here": "on Airflow's machine",
            },
            title="Compute",
            description="Few pictures are done on Airflow's machine before a cluster has started. The log of "
            "choose_place compares both.",
            section=section,
        ),
        "here_minutes": _whole_number(
            "here_minutes",
            HERE_MINUTE_BOUNDS,
            title="Minutes at most on Airflow's machine",
            description="A run that is expected to take longer goes to a cluster, as does the rest of one that does.",
            section=section,
        ),
    }


def _cluster_params() -> dict[str, Param]:
    return _machine_params() | _size_params() | _limit_params()


def _machine_params() -> dict[str, Param]:
    section = "Cluster: machines"
    kinds = load_prices().types
    return {
        "release_label": _param(
            "release_label",
            type="string",
            pattern=r"^emr-(spark-)?[0-9]+\.[0-9]+\.[0-9]+(?![\s\S])",
            title="EMR release",
            description="The release that Verger was tried with; another one may have another Python or Spark.",
            section=section,
        ),
        "instance_type": _param(
            "instance_type",
            type="string",
            enum=list(kinds),
            values_display={name: _describe_type(kind) for name, kind in kinds.items()},
            title="Instance type of the nodes",
            description="It also decides the architecture. Spot nodes may be of similar types with as much memory. "
            "Burstable types (t3 and the like) are left out: they slow down under a run's steady load.",
            section=section,
        ),
        "ebs_gb": _whole_number(
            "ebs_gb",
            EBS_GB_BOUNDS,
            title="Storage of each node, in GB",
            description="For Spark's own files. Pictures are not stored on the nodes.",
            section=section,
        ),
        "subnet_id": _param(
            "subnet_id",
            type="string",
            title="Subnet",
            description="Or several with commas between them. Empty: the installation's own. A private one needs no "
            "internet when the nodes' packages come from S3.",
            section=section,
        ),
        "like_cluster_id": _param(
            "like_cluster_id",
            type="string",
            title="Same machines as the cluster",
            description="The id of an earlier cluster, j-..., whose machines are taken whatever the sizes below.",
            section=section,
        ),
    }


def _describe_type(kind: InstanceType) -> str:
    processor = "Graviton" if kind.architecture == "arm64" else "x86"
    return f"{kind.name}: {kind.vcpus} vCPU, {kind.memory_gib} GiB, {processor}"


def _size_params() -> dict[str, Param]:
    section = "Cluster: size"
    return {
        "wanted_minutes": _whole_number(
            "wanted_minutes",
            WANTED_MINUTE_BOUNDS,
            title="Minutes wanted",
            description="As many nodes as do the pictures in about this time, within the bounds below.",
            section=section,
        ),
        "core_nodes": _whole_number(
            "core_nodes", NODE_BOUNDS, title="Core nodes at least", description="On-Demand.", section=section
        ),
        "max_nodes": _whole_number(
            "max_nodes", NODE_BOUNDS, title="Nodes at most", description="Core and task nodes.", section=section
        ),
        "spot_share": _param(
            "spot_share",
            type="number",
            minimum=0,
            maximum=1,
            title="Share of Spot",
            description="Of the computing nodes. AWS may take Spot nodes back; their work is then done elsewhere.",
            section=section,
        ),
    }


def _limit_params() -> dict[str, Param]:
    section = "Cluster: limits"
    return {
        "budget_usd": _param(
            "budget_usd",
            type="number",
            minimum=BUDGET_BOUNDS[0],
            maximum=BUDGET_BOUNDS[1],
            title="Budget in US dollars",
            description="The run stops before the cluster exists when it could cost more.",
            section=section,
        ),
        "max_cluster_hours": _whole_number(
            "max_cluster_hours",
            CLUSTER_HOUR_BOUNDS,
            title="Hours at most",
            description="An older cluster is ended whatever it does, and one that has used up the budget as well.",
            section=section,
        ),
        "idle_minutes": _whole_number(
            "idle_minutes",
            IDLE_MINUTE_BOUNDS,
            title="Minutes idle before EMR ends the cluster",
            description="A net below the run's own termination of the cluster.",
            section=section,
        ),
        "executor_wait_minutes": _whole_number(
            "executor_wait_minutes",
            EXECUTOR_MINUTE_BOUNDS,
            title="Minutes until a step must have an executor",
            description="Else it fails and says what YARN has: EMR counts a cluster that waits for memory as busy.",
            section=section,
        ),
        "stalled_minutes": _whole_number(
            "stalled_minutes",
            STALLED_MINUTE_BOUNDS,
            title="Minutes without progress until the log says so",
            description="Since the last picture, task or file of a running step. Said again after as long again.",
            section=section,
        ),
        "end_stalled_minutes": _whole_number(
            "end_stalled_minutes",
            END_STALLED_MINUTE_BOUNDS,
            title="Minutes without progress until the cluster is ended",
            description="Longer than the minutes above; the run then fails. 0: never, only the hours at most count.",
            section=section,
        ),
        "keep_for_demo_minutes": _whole_number(
            "keep_for_demo_minutes",
            HELD_MINUTE_BOUNDS,
            title="Minutes to hold the finished cluster",
            description="For a demonstration: the log of hold_cluster says how to look at it. Then it is ended.",
            section=section,
        ),
    }
