"""Shards made by the workers of an Apache Beam runner."""

# --runner: what Beam calls it, and the options without which it does not run on one machine.
RUNNERS = {
    "direct": ("DirectRunner", {}),
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
    """
    beam = import_beam()
    from apache_beam.options.pipeline_options import PipelineOptions

    with beam.Pipeline(options=PipelineOptions(beam_flags(runner, options))) as pipeline:
        _ = (
            pipeline
            | "Parts" >> beam.Create(numbered_parts)
            | "Spread" >> beam.Reshuffle()
            | "Shards" >> beam.Map(maker)
        )


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
