import json
import os
import signal
import socket
import sys
import types
from unittest import mock

import pytest
import tensorflow as tf

from tinybert_tf.programs import strategies

TWO = {"worker": ["a:1", "b:2"]}


@pytest.fixture(name="environment")
def make_environment(monkeypatch):
    """Sets variables where no scheduler has set any."""
    for name in list(os.environ):
        if name.startswith(("SLURM_", "KUBERNETES_", "JOB_COMPLETION_INDEX", "TF_CONFIG", "TPU_")):
            monkeypatch.delenv(name)

    def set_variables(**variables):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return set_variables


@pytest.fixture(name="made")
def catch_what_is_made(monkeypatch):
    """The arguments with which TensorFlow would make a multi-worker strategy and connect it."""
    made = mock.Mock(name="MultiWorkerMirroredStrategy")
    monkeypatch.setattr(tf.distribute, "MultiWorkerMirroredStrategy", made)
    return made


def multi_worker(made):
    """Job, index, cluster, options and number of GPUs of a new multi-worker strategy."""
    strategies.STRATEGIES["multi-worker"]()
    resolver, options = made.call_args.args
    return types.SimpleNamespace(
        task=(resolver.task_type, resolver.task_id),
        cluster=resolver.cluster_spec().as_dict(),
        communication=options.implementation.value,
        gpus=resolver.num_accelerators()["GPU"],
    )


def test_unknown_names_are_answered_with_the_nearest():
    with pytest.raises(ValueError) as error:
        strategies.make_strategy("miror")
    message = 'Unknown strategy "miror". Did you mean "mirrored"? Strategies: one, mirrored, multi'
    assert str(error.value).startswith(message)


def test_one_device():
    assert strategies.make_strategy("one") is tf.distribute.get_strategy()


def test_mirrored_has_every_processor_and_is_made_once():
    strategy = strategies.make_strategy("mirrored")
    assert strategy.num_replicas_in_sync == len(tf.config.list_logical_devices("CPU"))
    assert strategies.make_strategy("mirrored") is strategy


@pytest.mark.parametrize("name", ["one", "mirrored"])
def test_a_process_alone_is_the_chief_and_waits_for_nobody(name):
    strategy = strategies.make_strategy(name)
    assert strategies.is_chief(strategy)
    strategies.wait_for_all(strategy)
    strategies.check_same_everywhere(strategy, {"seed": 1}, "settings")


@pytest.mark.parametrize("index", [1, "1"])
def test_tf_config(environment, made, index):
    environment(TF_CONFIG=json.dumps({"cluster": TWO, "task": {"type": "worker", "index": index}}))
    found = multi_worker(made)
    assert (found.task, found.cluster) == (("worker", 1), TWO)
    assert (found.communication, found.gpus) == ("RING", 0)


def test_gpus_talk_through_nccl(environment, made):
    environment(TF_CONFIG=json.dumps({"cluster": TWO, "task": {"type": "worker", "index": 0}}))
    with mock.patch.object(tf.config, "list_physical_devices", return_value=["GPU"] * 4):
        found = multi_worker(made)
    assert (found.communication, found.gpus) == ("NCCL", 4)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("worker 1 of 2", "TF_CONFIG is 'worker 1 of 2' (JSONDecodeError: "),
        ("{}", "TF_CONFIG is '{}' (KeyError: 'cluster')"),
        ("[]", "TF_CONFIG is '[]' (TypeError: "),
        ({"cluster": TWO}, "(KeyError: 'task')"),
        ({"cluster": TWO, "task": {"type": "chief", "index": 0}}, "(KeyError: 'chief')"),
        (
            {"cluster": TWO, "task": {"type": "worker", "index": 2}},
            'task 2 of job "worker", expected a task from 0 to 1 of "chief" or "worker"',
        ),
        (
            {"cluster": {**TWO, "ps": ["c:3"]}, "task": {"type": "ps", "index": 0}},
            'task 0 of job "ps", expected a task from 0 to 0 of "chief" or "worker"',
        ),
    ],
)
def test_a_wrong_tf_config_is_told(environment, made, value, message):
    environment(TF_CONFIG=value if isinstance(value, str) else json.dumps(value))
    with pytest.raises(ValueError) as error:
        strategies.make_strategy("multi-worker")
    assert message in str(error.value)
    assert '{"cluster": {"worker": ["host1:2222", "host2:2222"]}, "task": ' in str(error.value)


def test_no_workers_are_told_what_to_set(environment):
    environment()
    with pytest.raises(ValueError, match="does not know its workers. Set TF_CONFIG .*host1:2222"):
        strategies.make_strategy("multi-worker")


def test_slurm(environment, made):
    environment(
        SLURM_JOB_ID="1020042",
        SLURM_PROCID="2",
        SLURM_STEP_NUM_TASKS="3",
        SLURM_STEP_NODELIST="n[01-02]",
        SLURM_STEP_TASKS_PER_NODE="2,1",
    )
    found = multi_worker(made)
    assert found.cluster == {"worker": ["n01:20042", "n01:20043", "n02:20042"]}
    assert (found.task, found.gpus) == (("worker", 2), 0)
    assert "CUDA_VISIBLE_DEVICES" not in os.environ


class Pods:
    """Kubernetes' API with a job of three pods, of which one more runs each time it is asked."""

    def __init__(self):
        self.seen = 0

    def read_namespaced_job(self, name, namespace):
        assert (name, namespace) == ("distil", "research")
        return types.SimpleNamespace(spec=types.SimpleNamespace(completions=3))

    def list_namespaced_pod(self, namespace, label_selector, field_selector):
        expected = ("research", "job-name=distil", "status.phase=Running")
        assert (namespace, label_selector, field_selector) == expected
        self.seen += 1
        return types.SimpleNamespace(items=[self.pod(index) for index in (2, 0, 1)[: self.seen]])

    def pod(self, index):
        annotations = {"batch.kubernetes.io/job-completion-index": str(index)}
        return types.SimpleNamespace(
            metadata=types.SimpleNamespace(annotations=annotations),
            status=types.SimpleNamespace(pod_ip=f"10.0.0.{index}"),
        )


def test_kubernetes_waits_for_every_pod_of_the_job(environment, made, monkeypatch, tmp_path):
    pods, config = Pods(), mock.Mock()
    client = types.SimpleNamespace(BatchV1Api=lambda: pods, CoreV1Api=lambda: pods)
    package = types.SimpleNamespace(client=client, config=config)
    monkeypatch.setitem(sys.modules, "kubernetes", package)
    monkeypatch.setattr(strategies.time, "sleep", lambda seconds: None)
    monkeypatch.setattr(socket, "gethostname", lambda: "distil-1")
    monkeypatch.setattr(strategies, "_NAMESPACE", tmp_path / "namespace")
    (tmp_path / "namespace").write_text("research")
    environment(JOB_COMPLETION_INDEX="1")
    found = multi_worker(made)
    assert found.cluster == {"worker": ["10.0.0.0:2222", "10.0.0.1:2222", "10.0.0.2:2222"]}
    assert found.task == ("worker", 1)
    assert pods.seen == 3
    config.load_incluster_config.assert_called_once_with()


def test_kubernetes_without_its_package(environment, monkeypatch):
    monkeypatch.setitem(sys.modules, "kubernetes", None)
    environment(JOB_COMPLETION_INDEX="1")
    with pytest.raises(ImportError, match=r"pip install tinybert-tf\[kubernetes\], or set TF_CONF"):
        strategies.make_strategy("multi-worker")


def test_a_worker_that_cannot_join_is_told(environment, made):
    environment(TF_CONFIG=json.dumps({"cluster": TWO, "task": {"type": "worker", "index": 1}}))
    made.side_effect = tf.errors.UnknownError(None, None, "Could not start gRPC server")
    with pytest.raises(ConnectionError) as error:
        strategies.make_strategy("multi-worker")
    assert str(error.value) == (
        "worker 1, at b:2, could not join the other workers: Could not start gRPC server. Its port "
        "must be free, and all workers up."
    )


def test_control_c_ends_the_wait_for_the_others_and_is_as_before_after_it(environment, made):
    environment(TF_CONFIG=json.dumps({"cluster": TWO, "task": {"type": "worker", "index": 0}}))
    signals, handlers = (signal.SIGINT, signal.SIGTERM), []
    before = [signal.getsignal(number) for number in signals]

    def wait(*_):
        handlers.append(signal.getsignal(signal.SIGINT))
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # TensorFlow takes it too

    made.side_effect = wait
    strategies.STRATEGIES["multi-worker"]()
    assert handlers == [signal.SIG_DFL]
    assert [signal.getsignal(number) for number in signals] == before


@pytest.mark.parametrize(
    "error",
    [
        tf.errors.NotFoundError(None, None, "TPUs not found in the cluster."),
        ValueError("TPUs not found in the cluster."),
        OSError("TPUs not found in the cluster."),
    ],
)
def test_without_a_tpu(environment, error):
    environment(TPU_NAME="mine")
    resolver = tf.distribute.cluster_resolver.TPUClusterResolver
    with (
        mock.patch.object(resolver, "connect", side_effect=error) as connect,
        pytest.raises(ValueError, match='found no TPU "mine" .TPUs not found in the cluster'),
    ):
        strategies.make_strategy("tpu")
    connect.assert_called_once_with("mine")


def test_a_tpu_that_is_found():
    resolver = tf.distribute.cluster_resolver.TPUClusterResolver
    with (
        mock.patch.object(resolver, "connect") as connect,
        mock.patch.object(tf.distribute, "TPUStrategy") as made,
    ):
        assert strategies.STRATEGIES["tpu"]() is made.return_value
    made.assert_called_once_with(connect.return_value)


# As TensorFlow 2.20 raised them in a process of two whose other one was lost.
ABORTED = """Graph execution error:

Detected at node CollectiveReduceV2 defined at (most recent call last):
  File "distiller.py", line 154, in _fit_epochs

Collective ops is aborted by: {}
The error could be from a previous operation. Restart your program to reset.
\t [[{{{{node CollectiveReduceV2}}}}]] [Op:__inference_multi_step_on_iterator_10125]"""
CRASHED = (
    "Error reported from /job:worker/task:1: The following tasks are unhealthy (stopped sending "
    "heartbeats):\n/job:worker/replica:0/task:1\nThe tasks have crashed. Check the task logs."
)


@pytest.mark.parametrize(
    ("kind", "reason", "told"),
    [
        (
            tf.errors.UnavailableError,
            "failed to connect to all addresses; last error: UNKNOWN: ipv4:127.0.0.1:56101: Failed "
            "to connect to remote host: Connection refused\nAdditional GRPC error information from "
            "remote target /job:worker/replica:0/task:0 while calling /tensorflow.WorkerService",
            "failed to connect to all addresses; last error: UNKNOWN: ipv4:127.0.0.1:56101: Failed "
            "to connect to remote host: Connection refused",
        ),
        (
            tf.errors.UnavailableError,
            "Collective ops is aborted by: recvmsg:Connection reset by peer\nAdditional GRPC error",
            "recvmsg:Connection reset by peer",
        ),
        (
            tf.errors.UnavailableError,
            CRASHED,
            "Error reported from /job:worker/task:1: The following tasks are unhealthy (stopped "
            "sending heartbeats)",
        ),
        (
            tf.errors.UnavailableError,
            "Failed to send RPC to coordination service. Either the leader task was preempted.",
            "Failed to send RPC to coordination service",
        ),
        (
            tf.errors.DeadlineExceededError,
            "Deadline Exceeded\n\nRPC: /tensorflow.CoordinationService/Heartbeat",
            "Deadline Exceeded",
        ),
        (
            tf.errors.AbortedError,
            "Error reported from /job:worker/task:1: /job:worker/replica:0/task:1 unexpectedly "
            "tried to connect with a different incarnation. It has likely restarted.",
            "Error reported from /job:worker/task:1: /job:worker/replica:0/task:1 unexpectedly "
            "tried to connect with a different incarnation",
        ),
    ],
)
def test_a_lost_worker_is_told(kind, reason, told):
    message = strategies.lost_worker_message(kind(None, None, ABORTED.format(reason)))
    assert message == (
        f"A worker of the job was lost ({told}). Start all workers again with the same command: "
        "the run goes on from its last saved state."
    )


@pytest.mark.parametrize(
    "error",
    [
        ValueError(ABORTED.format("Connection refused")),
        tf.errors.InvalidArgumentError(None, None, ABORTED.format("indices[0] = 9 is not in [0,")),
        tf.errors.UnavailableError(None, None, "gs://bucket: Connection refused"),
    ],
)
def test_other_errors_lose_no_worker(error):
    assert strategies.lost_worker_message(error) is None
