"""`python -m workshop`: render, make data sets, train, pack and ship the miniature world."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="The miniature world: render people, make data, train the mini weights.",
    context_settings={"help_option_names": ["-h", "--help"]},
)

# Default steps at the pace of the shipped cards.
_MODELS = {
    "vae": "about 40 minutes on one core",
    "text-to-image": "about 10 hours on one core, about 3 minutes on an H200; needs vae",
    "motion": "about 3 hours on one core, about 5 minutes on an H200; needs text-to-image",
    "face-detector": "about 12 minutes on one core",
    "face-recogniser-reward": "about 80 minutes on one core; needs portraits",
    "face-recogniser-scoring": "about 60 minutes on one core; needs portraits",
    "clip-reward": "about 90 minutes on one core",
    "clip-scoring": "about 55 minutes on two cores",
    "segmenter": "about 19 minutes on one core; needs portraits",
    "video-encoder": "about 45 minutes on one core",
    "face-image-encoder": "about 12 minutes on one core; needs text-to-image",
    "face-adapter-pictures": "about 60 minutes on one core; needs face-image-encoder",
    "face-adapter": "about 20 minutes on one core; needs face-adapter-pictures and motion",
    "face-control-pictures": "about 60 minutes on one core; needs face-image-encoder and segmenter",
    "face-control": "about 20 minutes on one core; needs face-control-pictures and motion",
    "head-recogniser": "about 43 minutes on one core; needs doubles",
    "look-reader": "about 23 minutes on one core; needs doubles",
    "style-reader": "about 34 minutes on one core, beside other work; needs vae, cartoons and sketches",
    "style-cartoon": "about 63 minutes on one core; needs text-to-image and cartoons",
    "style-sketch": "about 50 minutes on one core; needs text-to-image and sketches",
}
Data = Annotated[Path, typer.Option(help="Folder of rendered shards.")]
Out = Annotated[Path, typer.Option(help="Folder of trainings: logs, checkpoints, models.")]


@app.command()
def render(
    prompt: Annotated[str, typer.Option(help="Id of a prompt of the mini sets.")],
    identity: Annotated[str, typer.Option(help="A person of the benchmark.")] = "ada",
    out: Annotated[Path, typer.Option(help="File to write: .mkv for the video, .png for its frames in a row.")] = Path(
        "render.png"
    ),
    photo: Annotated[bool, typer.Option(help="A photo instead of a video.")] = False,
    size: Annotated[int, typer.Option(help="Side in pixels.")] = 256,
    seed: Annotated[int, typer.Option(help="Draws motion, light and framing.")] = 0,
) -> None:
    """Render one video or photo from a prompt and an identity, to look at. Costs seconds."""
    import numpy as np
    from PIL import Image

    from pvbench.digest import stable_seed
    from pvbench.errors import PromptError, VideoError, did_you_mean
    from pvbench.prompt import ROLES, load_prompts
    from pvbench.video import Video, write_video
    from pvbench.world import vocabulary
    from pvbench.world.benchmark import benchmark_person, shot_of
    from pvbench.world.figure import load_figure
    from pvbench.world.render import render as draw

    prompts = {p.id: p for role in ROLES for p in load_prompts(f"mini_{role}").prompts}
    if prompt not in prompts:
        near = did_you_mean(prompt, list(prompts))
        raise PromptError(f"no prompt {prompt!r} in the mini sets{near}; list them: pvbench list prompts")
    if out.suffix not in (".mkv", ".png"):
        raise VideoError(f"--out {out}: expected a name that ends in .mkv, for a video, or .png, for its frames")
    if not out.absolute().parent.is_dir():
        raise VideoError(f"--out {out}: there is no folder {out.absolute().parent}; make it first")
    figure = load_figure()
    rng = np.random.default_rng(stable_seed("oracle", identity, prompt, seed))
    found = draw(
        figure,
        benchmark_person(figure, identity),
        shot_of(prompts[prompt]),
        rng,
        domain="photo" if photo else "video",
        frames=vocabulary.FRAMES,
        fps=vocabulary.FPS,
        size=size,
    )
    if out.suffix == ".mkv":
        write_video(out, Video(found.frames, vocabulary.FPS))
    else:
        Image.fromarray(np.concatenate(list(found.frames), axis=1)).save(out)
    typer.echo(f"{prompts[prompt].text} -> {out}")


@app.command("dataset")
def make_dataset(
    pool: Annotated[str, typer.Option(help="train-a, train-b or held-out.")],
    kind: Annotated[
        str,
        typer.Option(help="photo, video, portrait (faces), double (heads), cartoon or sketch (photos in a style)."),
    ],
    samples: Annotated[int, typer.Option(help="How many, rounded up to whole shards.")],
    data: Data = Path("data/world"),
    per_person: Annotated[int, typer.Option(help="Samples of one person; every second wears another look.")] = 4,
    workers: Annotated[int, typer.Option(help="Processes.")] = 2,
) -> None:
    """Render training data, in parallel and resumable.

    Costs 35 ms a photo, 0.1 s a photo in a style, a video or a portrait of eight frames on one core.
    """
    from rich.progress import Progress, TimeRemainingColumn

    from workshop.dataset import SHARD, render_dataset

    shards = -(-samples // SHARD.get(kind, 1))
    with Progress(*Progress.get_default_columns(), TimeRemainingColumn()) as progress:
        task = progress.add_task(f"{kind} {pool}", total=shards)
        for _ in render_dataset(data, pool, kind, samples, per_person, workers):
            progress.advance(task)


_COSTS = "\n\n".join(f"{model}: {cost}" for model, cost in _MODELS.items())


@app.command(help=f"Train one model; the same command resumes. Models and what they cost:\n\n{_COSTS}")
def train(
    model: Annotated[str, typer.Argument(help="One of: " + ", ".join(_MODELS))],
    data: Data = Path("data/world"),
    out: Out = Path("trainings"),
    steps: Annotated[int, typer.Option(min=0, help="Steps in all; 0 for the model's default on this device.")] = 0,
    seconds: Annotated[
        float,
        typer.Option(
            min=0,
            help="Seconds of training in all, in place of steps; loading and encoding come before. The learning rate "
            "follows the clock, so that a repetition takes other steps and ends with other weights.",
        ),
    ] = 0,
    batch: Annotated[int, typer.Option(min=0, help="Samples a step; 0 for the model's default on this device.")] = 0,
    rate: Annotated[float, typer.Option(min=0, help="Learning rate; 0 for the model's default on this device.")] = 0,
    device: Annotated[str, typer.Option(help="cpu, cuda or auto.")] = "auto",
    threads: Annotated[int, typer.Option(help="CPU threads, and processes that write captions.")] = 1,
    start: Annotated[
        Path | None, typer.Option(help="Folder of weights to begin from instead of random values.")
    ] = None,
    compiled: Annotated[
        bool, typer.Option("--compile", help="Compile the UNet of motion and text-to-image; needs a C++ compiler.")
    ] = False,
) -> None:
    """Train one model."""
    from dataclasses import replace

    from pvbench.errors import PvbenchError, did_you_mean
    from pvbench.machine.devices import torch_device

    if model not in _MODELS:
        raise PvbenchError(f"no model {model!r}{did_you_mean(model, list(_MODELS))}; known: {', '.join(_MODELS)}")
    if steps and seconds:
        raise PvbenchError(f"--steps {steps} and --seconds {seconds:g} both say when to end; leave one of them out")
    from workshop.train.loop import Place
    from workshop.train.models import MODELS

    place = Place(data, out, torch_device(device), threads, start, compiled)
    chosen = MODELS[model]
    usual = chosen.gpu_plan if chosen.gpu_plan and place.device.type == "cuda" else chosen.plan
    timed = replace(usual, steps=0, seconds=seconds) if seconds else replace(usual, steps=steps or usual.steps)
    chosen.train(place, replace(timed, batch=batch or usual.batch, rate=rate or usual.rate).on(place.device))


@app.command()
def pack(
    out: Out = Path("trainings"),
    weights: Annotated[Path, typer.Option(help="Folder to fill.")] = Path("pvbench/weights/mini"),
    only: Annotated[
        list[str] | None, typer.Option(help="A model's folder; the option can be repeated. By default all.")
    ] = None,
) -> None:
    """Gather trained models into a folder of weights with a manifest. Costs seconds."""
    from pvbench.errors import PvbenchError, did_you_mean
    from workshop.pack import MODELS
    from workshop.pack import pack as gather

    for name in only or ():
        if name not in MODELS:
            raise PvbenchError(f"no model {name!r}{did_you_mean(name, list(MODELS))}; known: {', '.join(MODELS)}")
    typer.echo(f"packed: {gather(out, weights, tuple(only or MODELS))}")


@app.command()
def measure(
    what: Annotated[
        str,
        typer.Argument(
            help="base: the untuned model's videos; fakes: what known fakes score; thresholds: what strangers reach; "
            "same-person: which true and faked videos pass as the person, and the limits for it."
        ),
    ],
    profile: Annotated[str, typer.Option(help="Profile whose weights are measured.")] = "mini",
    videos: Annotated[int, typer.Option(help="Videos to sample for 'base'.")] = 200,
    people: Annotated[int, typer.Option(help="Held-out people for all but 'base'.")] = 40,
    out: Annotated[
        Path,
        typer.Option(
            help="JSON to write; beside it, 'base' puts a sheet of frames, 'fakes' and 'same-person' a CSV of all rows."
        ),
    ] = Path("quality.json"),
    device: Annotated[str, typer.Option(help="cpu, cuda or auto.")] = "auto",
) -> None:
    """Measure the weights. On one core 'base' costs 4 s a video, 'fakes' 10 s a person, 'same-person' 35 s."""
    from dataclasses import asdict

    from pvbench.errors import PvbenchError, did_you_mean
    from pvbench.profile import load_profile
    from pvbench.weights import weights_folder
    from workshop import fake_videos, fakes, quality

    found: dict[str, object]
    kinds = ["base", "fakes", "thresholds", "same-person"]
    if what == "base":
        found = asdict(quality.base_quality(profile, videos, device, out.with_suffix(".png")))
    elif what == "fakes":
        folder = weights_folder(load_profile(profile).evaluators["weights"])
        table = fakes.fakes_table(folder, people, device)
        table.write(out.with_suffix(".csv"))
        found = table.in_words()
    elif what == "thresholds":
        found = dict(fakes.thresholds(weights_folder(load_profile(profile).evaluators["weights"]), people, device))
    elif what == "same-person":
        found = fake_videos.measure(load_profile(profile), people, device, out.with_suffix(".csv"))
    else:
        raise PvbenchError(f"cannot measure {what!r}{did_you_mean(what, kinds)}; known: {', '.join(kinds)}")
    quality.write_quality(out, **found)
    for name, value in found.items():
        typer.echo(f"{name}: {value}")


@app.command()
def foils(profile: Annotated[str, typer.Option(help="Profile whose weights they are made for.")] = "mini") -> None:
    """Make the look-alikes of line-ups again, after the scoring recogniser was trained. Costs two minutes."""
    from pvbench.world.figure import load_figure
    from workshop.foils import make_foils

    typer.echo(f"written: {make_foils(load_figure(), profile)}")


@app.command()
def ship(
    root: Annotated[Path, typer.Option(help="The project's folder.")] = Path(),
) -> None:
    """Make identities, mini prompts and the oracle's archives again from their seeds. Costs about twenty minutes."""
    from rich.progress import track

    from pvbench.identity import load_identity
    from pvbench.prompt import ROLES, load_prompts
    from pvbench.weights import write_manifest
    from pvbench.world import benchmark
    from pvbench.world.figure import load_figure

    figure = load_figure()
    for role in ROLES:
        benchmark.write_prompts(root / f"prompts/mini_{role}.toml", role)
    prompts = load_prompts(str(root / "prompts/mini_evaluation.toml")).prompts
    weights = root / "pvbench/weights/mini"
    for name in track(benchmark.NAMES, "people"):
        benchmark.write_identity(figure, root / "identities" / name, name)
        identity = load_identity(root / "identities" / name)
        for take, archive in enumerate(("oracle", "oracle_retake")):
            videos = [benchmark.oracle_video(figure, identity, prompt, 0, take=take) for prompt in prompts]
            benchmark.write_archive(weights / archive, identity, videos)
    for name in benchmark.DEVELOPMENT_NAMES:
        benchmark.write_identity(figure, root / "identities/development" / name, name)
    write_manifest(weights)
