"""Shards made by the workers of an Apache Beam runner."""

import re

# --runner: what Beam calls it, and the options that it needs on one machine, to use all of it.
RUNNERS = {
    "direct": (
        "DirectRunner",
        {"direct_num_workers": "0", "direct_running_mode": "multi_processing"},
    ),
    "portable": ("PortableRunner", {"job_endpoint": "embed", "environment_type": "LOOPBACK"}),
    "prism": ("PrismRunner", {}),
    "flink": ("FlinkRunner", {}),
    "spark": ("SparkRunner", {}),
    "dataflow": ("DataflowRunner", {}),
}


def make_shards_with_beam(maker, numbered_parts, runner, options=()):
    """Makes shards with Beam; waits until all are made.

    Args:
        maker: `ShardMaker`. The workers must see its folder and the files of the parts under the
            same names, and have this package installed.
        numbered_parts: list of tuples of index and part.
        runner: str, a key of `RUNNERS`, or a name that Beam knows.
        options: sequence of str, Beam's options as "name=value" or "name", without dashes.

    Raises:
        ImportError: If Beam is not installed.
        ValueError: If a worker failed; says what `ShardMaker.__call__` said there.

    Note:
        Tested with the direct and the portable runner. Runners that may make a shard twice at the
        same time, as Dataflow and Spark with speculation, are untested; each process writes under a
        name of its own, and the last to be done counts.
    """
    beam = import_beam()
    from apache_beam.options.pipeline_options import PipelineOptions

    try:
        with beam.Pipeline(options=PipelineOptions(beam_flags(runner, options))) as pipeline:
            _ = (
                pipeline
                | "Parts" >> beam.Create(numbered_parts)
                | "Spread" >> beam.Reshuffle()
                | "Shards" >> beam.Map(maker)
            )
    except Exception as error:
        message = worker_message(str(error))
        if message is None:
            raise
        raise ValueError(message) from error


def worker_message(text):
    """What a worker's error said, a str, in what Beam makes of it; `None` if no worker failed."""
    found = re.search(r"^(?:[\w.]+: )?(.+) \[while running 'Shards", text, re.MULTILINE)
    return found and found[1]


def beam_flags(runner, options=()):
    """The flags that Beam gets, a list of str; arguments as of `make_shards_with_beam`."""
    name, defaults = RUNNERS.get(runner, (runner, {}))
    given = {option.split("=")[0] for option in options}
    added = [f"{key}={value}" for key, value in defaults.items() if key not in given]
    return [f"--{option}" for option in (f"runner={name}", *added, *options)]


def import_beam():
    """Apache Beam; raises an ImportError that tells how to install it."""
    try:
        import apache_beam
    except ImportError as error:
        raise ImportError(
            '--runner needs Apache Beam: pip install "tinybert-tf[beam]". Without --runner the '
            "corpus is made by processes of this machine."
        ) from error
    return apache_beam
