"""On which devices a program trains: one, all of this machine, several machines, or TPUs."""

import contextlib
import functools
import json
import os
import pathlib
import re
import signal
import socket
import threading
import time
import zlib

_TF_CONFIG_EXAMPLE = (
    '{"cluster": {"worker": ["host1:2222", "host2:2222"]}, "task": {"type": "worker", "index": 0}}'
)
_PORT = 2222  # of every worker, where each has an address of its own
_NAMESPACE = pathlib.Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


@functools.cache
def make_strategy(name):
    """Makes a `tf.distribute.Strategy`; a process makes each once and gets the same again.

    Args:
        name: str of `STRATEGIES`. "one" is the first GPU or the processor; "mirrored" all GPUs of
            this machine, or else its logical processors; "multi-worker" those of all processes
            that were started with the same command and are told of each other by TF_CONFIG, by
            SLURM's `srun` or by a Kubernetes Indexed Job; it waits for all of them, and must be
            made before TensorFlow computes anything. "tpu" is this machine's TPU, or the one that
            TPU_NAME names; it was never run on one.

    Returns:
        `tf.distribute.Strategy`.

    Raises:
        ValueError: If there is no such strategy, or if the workers or the TPU are not to be found.
        ImportError: If under Kubernetes the package `kubernetes` is missing.
    """
    if name not in STRATEGIES:
        from tinybert_tf.suggestions import did_you_mean

        hint = did_you_mean(name, STRATEGIES)
        raise ValueError(f'Unknown strategy "{name}".{hint} Strategies: {", ".join(STRATEGIES)}.')
    return STRATEGIES[name]()


def is_chief(strategy):
    """Whether this process writes for all: False on the other workers of a multi-worker job."""
    return strategy.extended.should_checkpoint


def wait_for_all(strategy):
    """Returns when every worker of a multi-worker job has called it; elsewhere at once."""
    _sum_over_workers(strategy, 0)


def check_same_everywhere(strategy, value, what):
    """Raises ValueError unless all workers of a multi-worker job call it with the same value.

    Args:
        strategy: `tf.distribute.Strategy`.
        value: an object whose `repr` tells it from others.
        what: str, what it is.
    """
    mine = zlib.crc32(repr(value).encode())
    if _sum_over_workers(strategy, mine) != mine * strategy.num_replicas_in_sync:
        raise ValueError(
            f"The workers of the job have different {what}; here: {value}. Start all of them with "
            "the same command."
        )


def lost_worker_message(error):
    """What to tell if an error means that another worker of the job is gone.

    Args:
        error: an exception that TensorFlow raised in this process.

    Returns:
        str, or `None` for any other error.
    """
    import tensorflow as tf

    kinds = (tf.errors.UnavailableError, tf.errors.DeadlineExceededError, tf.errors.AbortedError)
    found = re.search(r"(?:Collective ops is aborted by: )+(.+)", str(error))
    if not found or not isinstance(error, kinds):
        return None
    reason = found[1].split(". ")[0].rstrip(":.")
    return (
        f"A worker of the job was lost ({reason}). Start all workers again with the same command: "
        "the run goes on from its last saved state."
    )


def _sum_over_workers(strategy, number):
    """The sum of an int over all replicas, which elsewhere have the same."""
    import tensorflow as tf

    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return number * strategy.num_replicas_in_sync

    def add():
        context = tf.distribute.get_replica_context()
        return context.all_reduce(tf.distribute.ReduceOp.SUM, tf.constant(number, tf.int64))

    return int(strategy.experimental_local_results(strategy.run(add))[0])


def _one():
    import tensorflow as tf

    return tf.distribute.get_strategy()


def _mirrored():
    import tensorflow as tf

    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    return tf.distribute.MirroredStrategy([device.name for device in devices])


def _multi_worker():
    import tensorflow as tf

    workers, job, index = _find_cluster()
    gpus = tf.config.list_physical_devices("GPU")
    resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
        tf.train.ClusterSpec(workers),
        task_type=job,
        task_id=index,
        num_accelerators={"GPU": len(gpus)},
        rpc_layer="grpc",
    )
    # Left to itself TensorFlow sends rings of messages on GPUs too.
    communication = tf.distribute.experimental.CommunicationOptions(
        implementation="NCCL" if gpus else "RING"
    )
    try:
        with _ended_by_signals():
            return tf.distribute.MultiWorkerMirroredStrategy(resolver, communication)
    except tf.errors.OpError as error:
        raise ConnectionError(
            f"{job} {index}, at {workers[job][index]}, could not join the other workers: "
            f"{error.message.splitlines()[0]}. Its port must be free, and all workers up."
        ) from error


@contextlib.contextmanager
def _ended_by_signals():
    """Lets Ctrl-C end the wait for the other workers, and SIGTERM the process after it.

    TensorFlow waits where Python handles no signals, and takes SIGTERM for itself.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may handle signals
        return
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler or signal.SIG_DFL)


def _tpu():
    import tensorflow as tf

    name = os.environ.get("TPU_NAME", "local")
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver.connect(name)
    except (ValueError, RuntimeError, OSError, tf.errors.OpError) as error:
        raise ValueError(
            f'--strategy tpu found no TPU "{name}" ({str(error).splitlines()[0]}). Run it on a '
            "machine with a TPU, or set TPU_NAME."
        ) from error
    return tf.distribute.TPUStrategy(resolver)


STRATEGIES = {"one": _one, "mirrored": _mirrored, "multi-worker": _multi_worker, "tpu": _tpu}


# A cluster: dict from job to the addresses of its tasks, the job of this process and its index.


def _find_cluster():
    find = next((find for variable, find in _CLUSTERS.items() if variable in os.environ), None)
    if find is None:
        raise ValueError(
            "--strategy multi-worker does not know its workers. Set TF_CONFIG for each of them, "
            f"as in {_TF_CONFIG_EXAMPLE}, or start them with SLURM's srun or in a Kubernetes "
            "Indexed Job."
        )
    return find()


def _cluster_of_tf_config():
    text = os.environ["TF_CONFIG"]
    try:
        values = json.loads(text)
        workers, job = values["cluster"], values["task"]["type"]
        index, count = int(values["task"]["index"]), len(workers[job])
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"TF_CONFIG is {text!r} ({type(error).__name__}: {error}), expected JSON like "
            f"{_TF_CONFIG_EXAMPLE}."
        ) from error
    if job not in ("chief", "worker") or not 0 <= index < count:
        raise ValueError(
            f'TF_CONFIG makes this process task {index} of job "{job}", expected a task from 0 to '
            f'{count - 1} of "chief" or "worker". An example: {_TF_CONFIG_EXAMPLE}.'
        )
    return workers, job, index


def _cluster_of_slurm():
    """Every task of the step is a worker with the GPUs that it sees (`srun --gpus-per-task`)."""
    import tensorflow as tf

    count = int(os.environ["SLURM_STEP_NUM_TASKS"])
    resolver = tf.distribute.cluster_resolver.SlurmClusterResolver(
        # Jobs that share a node must not share a port.
        port_base=20000 + int(os.environ["SLURM_JOB_ID"]) % 10000,
        # TensorFlow's own reckoning of GPUs fails where there are none or SLURM hands them out.
        gpus_per_node=count,
        gpus_per_task=1,
        auto_set_gpu=False,
    )
    workers = resolver.cluster_spec().as_dict()
    return workers, *resolver.get_task_info()


def _cluster_of_kubernetes():
    """The pods of this pod's Indexed Job.

    `KubernetesClusterResolver` would take the addresses of the nodes, and whichever pods run yet.
    """
    try:
        from kubernetes import client, config
    except ImportError as error:
        raise ImportError(
            "Finding the workers of a Kubernetes job needs the package `kubernetes`: "
            "pip install tinybert-tf[kubernetes], or set TF_CONFIG in the job's manifest, as in "
            f"{_TF_CONFIG_EXAMPLE}."
        ) from error

    config.load_incluster_config()
    namespace, job = _NAMESPACE.read_text(), socket.gethostname().rpartition("-")[0]
    count = client.BatchV1Api().read_namespaced_job(job, namespace).spec.completions
    while len(pods := _running_pods(client.CoreV1Api(), namespace, job)) < count:
        time.sleep(1)
    workers = [f"{pods[index]}:{_PORT}" for index in range(count)]
    return {"worker": workers}, "worker", int(os.environ["JOB_COMPLETION_INDEX"])


def _running_pods(api, namespace, job):
    """Dict from each pod's index in an Indexed Job to its address."""
    found = api.list_namespaced_pod(
        namespace, label_selector=f"job-name={job}", field_selector="status.phase=Running"
    )
    index = "batch.kubernetes.io/job-completion-index"
    return {int(pod.metadata.annotations[index]): pod.status.pod_ip for pod in found.items}


# variable that tells of the workers: where to find them
_CLUSTERS = {
    "TF_CONFIG": _cluster_of_tf_config,
    "SLURM_STEP_NUM_TASKS": _cluster_of_slurm,
    "JOB_COMPLETION_INDEX": _cluster_of_kubernetes,
}
