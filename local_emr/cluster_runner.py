"""What brings a cluster to life: one thread per cluster, one more per running step."""

from __future__ import annotations

import logging
import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from local_emr import lifecycle
from local_emr.environment import node_environment
from local_emr.instance_types import UnknownInstanceTypeError
from local_emr.job import Job
from local_emr.job_logs import JobLogs
from local_emr.model import Failure, Reason, StepState
from local_emr.node import NodeLostError, StartError
from local_emr.provisioning import ProvisioningError
from local_emr.spark_submit import InvalidStepError
from local_emr.step_command import local_command, script_command
from local_emr.storage import StorageError
from local_emr.workers import WorkerFailedError, Workers
from local_emr.yarn.cluster import YarnCluster, YarnError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from local_emr.clusters import Clusters
    from local_emr.environment import Endpoints
    from local_emr.model import BootstrapAction, CancelOption, Cluster, Instance, Step
    from local_emr.node import Node
    from local_emr.provisioning import Provisioner
    from local_emr.settings import LocalEmrSettings
    from local_emr.spark_submit import LocalSpark
    from local_emr.storage import Storage
    from local_emr.yarn.daemons import YarnPrograms

_log = logging.getLogger(__name__)


def now() -> datetime:
    """The time, to the millisecond as EMR tells it."""
    time = datetime.now(UTC)
    return time.replace(microsecond=time.microsecond // 1000 * 1000)


class Surroundings:
    """What every cluster of a server shares."""

    def __init__(
        self,
        settings: LocalEmrSettings,
        endpoints: Endpoints,
        storage: Storage,
        spark: LocalSpark | None,
        provisioner: Provisioner,
        yarn: YarnPrograms | None,
    ) -> None:
        self.settings = settings
        self.endpoints = endpoints
        self.storage = storage
        self.spark = spark
        self.provisioner = provisioner
        self.yarn = yarn


class ClusterRunner:
    """Takes one cluster from STARTING to its end."""

    def __init__(self, cluster_id: str, clusters: Clusters, around: Surroundings) -> None:
        """Start nothing yet."""
        self._id = cluster_id
        self._clusters = clusters
        self._around = around
        self._settings = around.settings
        self._folder = around.settings.work_dir / "clusters" / cluster_id
        self._jobs: dict[str, Job] = {}
        self._cancelled: dict[str, CancelOption] = {}
        self._threads: list[threading.Thread] = []
        self._idle_deadline: datetime | None = None
        self._yarn: YarnCluster | None = None
        self._workers: Workers | None = None
        self._following = threading.Lock()
        self._thread = threading.Thread(target=self._run, name=f"cluster-{cluster_id}", daemon=True)

    def start(self) -> None:
        """Begin, in a thread of its own."""
        self._thread.start()

    def join(self) -> None:
        """Wait until the cluster is over."""
        self._thread.join()

    def _run(self) -> None:
        node: Node | None = None
        try:
            cluster = self._wait_for(lambda c: c.state.is_ending, self._settings.provision_seconds)
            if not cluster.state.is_ending:
                self._yarn = self._new_yarn(cluster)
                node = self._around.provisioner.provision(cluster, self._node_lost)
                self._update(lifecycle.bootstrapping)
                self._work(node, self._bootstrap_all)
                self._serve(node)
        except ProvisioningError as error:
            self._end_with(error.reason)
        except UnknownInstanceTypeError as error:
            self._end_with(Reason("VALIDATION_ERROR", str(error)))
        except Exception:  # noqa: BLE001 - a cluster must end, whatever is wrong here
            _log.exception("cluster %s: the local EMR itself failed", self._id)
            self._end_with(lifecycle.INTERNAL_ERROR)
        finally:
            self._finish(node)

    def _serve(self, node: Node) -> None:
        """Start steps and pass on cancellations until the cluster is to end."""
        while not (cluster := self._clusters.get(self._id)).state.is_ending:
            self._start_steps(node)
            self._pass_on_cancellations()
            self._follow_workers(node, cluster)
            self._wait_for(self._has_work, self._seconds_until_idle(cluster))
            self._end_if_idle()

    def _has_work(self, cluster: Cluster) -> bool:
        return (
            cluster.state.is_ending
            or lifecycle.next_step_started(cluster, now())[1] is not None
            or bool(self._new_cancellations(cluster))
            or self._workers_differ(cluster)
            # Another policy, or none any more, is another time to look again.
            or lifecycle.idle_deadline(cluster, self._settings.idle_time_scale) != self._idle_deadline
        )

    def _start_steps(self, node: Node) -> None:
        while (step := self._start_next_step()) is not None:
            logs = self._logs(f"steps/{step.step_id}")
            job = Job(step.step_id, node, logs, self._around.storage, self._settings.log_seconds, step.name)
            self._jobs[step.step_id] = job
            self._work(node, self._run_step, step, job, logs)

    def _start_next_step(self) -> Step | None:
        started: list[Step] = []

        def start(cluster: Cluster) -> Cluster:
            after, step = lifecycle.next_step_started(cluster, now())
            started.extend([step] if step else [])
            return after

        self._update(start)
        return started[0] if started else None

    def _new_cancellations(self, cluster: Cluster) -> list[tuple[str, CancelOption]]:
        return [
            (step.step_id, step.cancel_option)
            for step in cluster.steps
            if step.state is StepState.CANCEL_PENDING
            and step.cancel_option is not None
            and self._cancelled.get(step.step_id) is not step.cancel_option
        ]

    def _pass_on_cancellations(self) -> None:
        for step_id, option in self._new_cancellations(self._clusters.get(self._id)):
            self._cancelled[step_id] = option
            self._jobs[step_id].cancel(option)

    def _seconds_until_idle(self, cluster: Cluster) -> float | None:
        self._idle_deadline = lifecycle.idle_deadline(cluster, self._settings.idle_time_scale)
        return None if self._idle_deadline is None else max(0.0, (self._idle_deadline - now()).total_seconds())

    def _end_if_idle(self) -> None:
        def end(cluster: Cluster) -> Cluster:
            deadline = lifecycle.idle_deadline(cluster, self._settings.idle_time_scale)
            idle = deadline is not None and now() >= deadline
            return lifecycle.terminating(cluster, lifecycle.IDLE, now()) if idle else cluster

        self._update(end)

    def _work(self, node: Node, target: Callable[..., None], *args: object) -> None:
        """Run `target` in a thread of its own; what it cannot answer for ends the cluster."""

        def work() -> None:
            try:
                target(node, *args)
            except NodeLostError:
                self._node_lost()
            except Exception:  # noqa: BLE001 - as in _run
                _log.exception("cluster %s: the local EMR itself failed", self._id)
                self._end_with(lifecycle.INTERNAL_ERROR)

        thread = threading.Thread(target=work, name=f"{target.__name__}-{self._id}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _bootstrap_all(self, node: Node) -> None:
        failed = self._bootstrap_node(node, self._clusters.get(self._id).primary)
        if failed is not None:
            self._update(lambda cluster: lifecycle.bootstrap_failed(cluster, *failed, now()))
            return
        if self._yarn is not None and not self._start_yarn(node, self._yarn):
            return
        self._update(lambda cluster: lifecycle.ready(cluster, now()))

    def _bootstrap_node(self, node: Node, instance: Instance) -> tuple[int, str] | None:
        """Run the bootstrap actions on a node; the number of the one that failed and what is wrong with it, or none."""
        for number, action in enumerate(self._clusters.get(self._id).bootstrap_actions, start=1):
            complaint = self._bootstrap(node, instance, number, action)
            if complaint is not None:
                return number, complaint
        return None

    def _bootstrap(self, node: Node, instance: Instance, number: int, action: BootstrapAction) -> str | None:
        """Run one bootstrap action; what is wrong with it, or none."""
        place = f"node/{instance.ec2_instance_id}/bootstrap-actions/{number}"
        logs = self._logs(place)
        files = self._folder / place / "files"
        command = script_command(action.path, action.args, node.root, files)
        job = Job(f"bootstrap-{number}", node, logs, self._around.storage, self._settings.log_seconds)
        try:
            code = job.run(command, self._environment(node), files, sweep=False)
        except (StorageError, StartError) as error:
            _log.warning("cluster %s: bootstrap action %s: %s", self._id, number, error)
            return "download failed" if isinstance(error, StorageError) else f"could not be started: {error}"
        return "returned a non-zero return code" if code else None

    def _new_yarn(self, cluster: Cluster) -> YarnCluster | None:
        """The cluster's YARN, where the server has one."""
        around = self._around
        if around.yarn is None:
            return None
        return YarnCluster(cluster, self._settings, around.yarn, around.endpoints.s3, around.storage)

    def _start_yarn(self, node: Node, yarn: YarnCluster) -> bool:
        """Start the ResourceManager and the cluster's other nodes; whether that went well."""
        workers = Workers(self._id, self._update, self._around.provisioner, yarn, self._bootstrap_node, now)
        try:
            with self._following:
                self._workers = workers
                yarn.start(node, self._environment_of)
                workers.follow(self._clusters.get(self._id))
        except WorkerFailedError as error:
            instance, number, what = error.instance, error.bootstrap_action, str(error)
            self._update(lambda cluster: lifecycle.worker_bootstrap_failed(cluster, instance, number, what, now()))
            return False
        except YarnError as error:
            _log.warning("cluster %s: %s", self._id, error)
            self._end_with(Reason("INTERNAL_ERROR", f"YARN did not start: {error}"))
            return False
        self._work(node, self._store_yarn_logs, yarn)
        return True

    def _store_yarn_logs(self, _node: Node, yarn: YarnCluster) -> None:
        while not self._wait_for(lambda c: c.state.is_ending, self._settings.log_seconds).state.is_ending:
            yarn.store_logs()

    def _workers_differ(self, cluster: Cluster) -> bool:
        return self._workers is not None and not self._following.locked() and self._workers.differ(cluster)

    def _follow_workers(self, node: Node, cluster: Cluster) -> None:
        """Start and stop nodes as the cluster was resized, or in place of those that were lost, beside the steps."""
        if self._workers is not None and self._workers_differ(cluster) and self._following.acquire(blocking=False):
            self._work(node, self._follow_now, self._workers)

    def _follow_now(self, _node: Node, workers: Workers) -> None:
        try:
            workers.follow(self._clusters.get(self._id))
        except (WorkerFailedError, YarnError) as error:
            _log.warning("cluster %s: a node could not be added: %s", self._id, error)
        finally:
            self._following.release()
            self._clusters.notify()

    def _run_step(self, node: Node, step: Step, job: Job, logs: JobLogs) -> None:
        files = self._folder / "steps" / step.step_id / "files"
        env = self._step_environment(node) | {"EMR_STEP_ID": step.step_id}
        try:
            command = local_command(step, self._around.spark, node.root, files)
            code = job.run(command, env, files / "work", sweep=True)
            failure = _failure(code, logs)
        except (InvalidStepError, StorageError, StartError) as error:
            logs.note(f"The step could not be run: {error}")
            logs.publish_last()
            failure = Failure("Illegal Argument", str(error), logs.uri("controller"))
        if failure is None:
            self._update(lambda cluster: lifecycle.step_succeeded(cluster, step.step_id, now()))
        else:
            self._update(lambda cluster: lifecycle.step_failed(cluster, step.step_id, failure, now()))

    def _finish(self, node: Node | None) -> None:
        """End every process, then wait for the last logs: only then is the cluster over."""
        if self._workers is not None:
            self._workers.stop(self._settings.grace_seconds)
        if node is not None:
            node.stop(self._settings.grace_seconds)
        for thread in self._threads:
            thread.join()
        if self._yarn is not None:
            self._yarn.store_logs()
        if node is not None:
            self._around.provisioner.release(self._clusters.get(self._id), node)
        time.sleep(self._settings.terminate_seconds)
        self._update(lambda cluster: lifecycle.terminated(cluster, now()))

    def _node_lost(self) -> None:
        self._update(lambda cluster: lifecycle.node_lost(cluster, now()))

    def _end_with(self, reason: Reason) -> None:
        self._update(lambda cluster: lifecycle.terminating(cluster, reason, now()))

    def _update(self, change: Callable[[Cluster], Cluster]) -> Cluster:
        return self._clusters.update(self._id, change)

    def _wait_for(self, is_true: Callable[[Cluster], bool], timeout: float | None) -> Cluster:
        return self._clusters.wait_for(self._id, is_true, timeout)

    def _environment(self, node: Node) -> dict[str, str]:
        return self._environment_of(node.root)

    def _environment_of(self, root: Path) -> dict[str, str]:
        return node_environment(self._settings, self._around.endpoints, root, self._id)

    def _step_environment(self, node: Node) -> dict[str, str]:
        env, spark = self._environment(node), self._around.spark
        if self._yarn is None or spark is None:
            return env
        # On EMR no process is told its region but by the cluster's configurations.
        without_region = {
            name: value for name, value in env.items() if name not in ("AWS_REGION", "AWS_DEFAULT_REGION")
        }
        return without_region | self._yarn.step_environment(spark.class_path)

    def _logs(self, place: str) -> JobLogs:
        log_uri = self._clusters.get(self._id).log_uri
        target = None if log_uri is None else f"{log_uri}/{self._id}/{place}"
        return JobLogs(self._folder / place, target, self._around.storage)


def _failure(code: int, logs: JobLogs) -> Failure | None:
    """EMR's account of a step that ended with this exit code; none for 0."""
    if code == 0:
        return None
    how = f"signal {-code}" if code < 0 else f"exit code {code}"
    cause, log = logs.cause()
    message = cause or f"The step's process ended with {how} and wrote nothing to stderr."
    return Failure("Unknown Error.", message, logs.uri(log))
