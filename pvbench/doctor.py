"""What `pvbench doctor` looks at: everything that a run needs, each with what to do where it is wrong."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import platform
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any, Literal

from rich import box
from rich.markup import escape
from rich.table import Table

import pvbench
from pvbench.backbone import BACKBONES, backbone_loader, load_backbone, with_checkpoint
from pvbench.errors import MethodError, PvbenchError, SettingError
from pvbench.evaluator import EVALUATORS, EvaluatorLoader, FeaturePlan, evaluator_loaders
from pvbench.identity import load_identities
from pvbench.machine.devices import default_workers, memory_of, resolve_device
from pvbench.machine.packages import check_run_extra
from pvbench.method import METHODS
from pvbench.metrics import METRICS, installed, load_metrics
from pvbench.profile import Profile, load_profile
from pvbench.prompt import check_disjoint, load_prompts
from pvbench.registry import Registry
from pvbench.reward import REWARDS, ROLES, Role, reward_loader, roles_asked
from pvbench.runner.memory import row_gib
from pvbench.runner.weights import with_own_weights
from pvbench.style import Style, style_lines
from pvbench.variant import missing, parse_variant, settings_of

Verdict = Literal["good", "note", "bad"]

_GIBI = 2**30
_LITTLE_DISK = 2 * _GIBI
_LITTLE_MEMORY = 4 * _GIBI


@dataclass(frozen=True)
class Finding:
    """One thing looked at, and what came of it."""

    what: str
    verdict: Verdict
    detail: str


def examine(profile_name: str, device: str, weights: Sequence[str] = ()) -> list[Finding]:
    """The findings, in the order in which a run would meet them; a profile that does not load ends the list.

    Args:
        weights: files and folders of the user's in the places of published ones, each `NAME=PATH`, as a run takes
            them.
    """
    findings = [Finding("pvbench", "good", f"{pvbench.__version__} on Python {platform.python_version()}")]
    findings += _libraries()
    findings += _machine()
    profile: Profile | None = None

    def read_profile() -> str:
        nonlocal profile
        profile = with_own_weights(load_profile(profile_name), weights)
        load_metrics(profile.evaluators.get("metrics", {}))
        return f"{profile.name}: {profile.summary}" if profile.summary else profile.name

    findings.append(_tried("profile", read_profile))
    if profile is None:
        return findings
    findings.append(_tried("extra run", _run_extra))
    if findings[-1].verdict != "bad":
        findings.append(_tried("device", lambda: _device(device)))
    if findings[-1].verdict != "bad":
        findings += _networks(profile, resolve_device(device))
        findings += _styles(profile)
    findings.append(_tried("identities", lambda: f"{len(load_identities())} people"))
    findings.append(_tried("prompts", lambda: _prompts(profile)))
    findings += _methods(profile)
    findings += _plug_ins()
    findings += _licences(profile)
    return findings


def findings_table(findings: list[Finding]) -> Table:
    """The findings, coloured by verdict."""
    colours = {"good": "green", "note": "yellow", "bad": "red"}
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("")
    table.add_column("what")
    table.add_column("", overflow="fold")
    for finding in findings:
        table.add_row(f"[{colours[finding.verdict]}]{finding.verdict}[/]", escape(finding.what), escape(finding.detail))
    return table


def _tried(what: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(what, "good", look())
    except PvbenchError as error:
        return Finding(what, "bad", str(error))


def _libraries() -> Iterator[Finding]:
    from packaging.requirements import Requirement

    good = []
    for line in requires("pvbench") or []:
        requirement = Requirement(line)
        extra = "extra" in str(requirement.marker or "")
        if requirement.marker is not None and not extra and not requirement.marker.evaluate():
            continue
        try:
            found = version(requirement.name)
        except PackageNotFoundError:
            if not extra:
                yield Finding(
                    requirement.name, "bad", f"not installed; pip install '{requirement.name}{requirement.specifier}'"
                )
            continue
        if requirement.specifier.contains(found, prereleases=True):
            good.append(f"{requirement.name} {found}")
        else:
            verdict: Verdict = "note" if extra else "bad"
            yield Finding(
                requirement.name, verdict, f"{found} is installed; pvbench was tested with {requirement.specifier}"
            )
    yield Finding("libraries", "good", ", ".join(good))


def _machine() -> Iterator[Finding]:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    enough = memory >= _LITTLE_MEMORY
    yield Finding(
        "machine",
        "good" if enough else "note",
        f"{len(os.sched_getaffinity(0))} cores, {memory / _GIBI:.1f} GiB of memory"
        + ("" if enough else "; that is little: run with --workers 1"),
    )
    free = shutil.disk_usage(Path.cwd()).free
    enough = free >= _LITTLE_DISK
    yield Finding(
        "disk",
        "good" if enough else "note",
        f"{free / _GIBI:.1f} GiB free here" + ("" if enough else "; that is little for a run: free some"),
    )


def _run_extra() -> str:
    check_run_extra("running and measuring")
    return "installed"


def _device(device: str) -> str:
    resolved = resolve_device(device)
    return f"{resolved}, {default_workers(resolved)} workers by default"


def _networks(profile: Profile, device: str) -> Iterator[Finding]:
    """Loads everything once: the only way to know that every weight file is whole and fits its code."""

    def backbone() -> str:
        if where := backbone_loader(profile).located(profile):
            return f"{profile.backbone['kind']}: {where}"
        with _quiet():
            load_backbone(profile, device)
        return f"{profile.backbone['kind']} loads"

    def reward(role: Role) -> str:
        loader = reward_loader(profile, role)
        # All files that are missing are named before the first of them ends the loading.
        where = loader.located(profile)
        loader.load(profile, device)
        return f"{profile.rewards[role]} loads" + (f" from {where}" if where else "")

    known = _tried("backbone", lambda: backbone_loader(profile).summary)
    if known.verdict == "bad":
        yield known
    else:
        yield from _memory(profile, device)
        brought = bool(backbone_loader(profile).licence(profile))
        yield _noted(_tried("backbone", backbone), brought, "pvbench run needs it, pvbench measure does not")
        for role, methods in _users(profile).items():
            if role in profile.rewards:
                found = _tried(f"{role} reward", lambda role=role: reward(role))  # type: ignore[misc]
                yield _noted(found, brought, f"needed by {', '.join(methods)}, not by pvbench measure")
    yield from _evaluators(profile, device)


def _styles(profile: Profile) -> Iterator[Finding]:
    """The files of each style, looked for; only rows in it need them."""
    for name in profile.styles:

        def look(name: str = name) -> str:
            lines, places = style_lines(profile, name), []
            if lines.get("lora"):
                places.append(str(backbone_loader(profile).style_lora(profile, name, lines["lora"])[0]))
            if lines.get("checkpoint"):
                swapped = with_checkpoint(profile, Style(name, checkpoint=lines["checkpoint"]))
                places.append(backbone_loader(swapped).located(swapped) or lines["checkpoint"])
            return ", ".join(places)

        yield _noted(_tried(f"style {name}", look), True, f"only rows with style={name} need it")


def _memory(profile: Profile, device: str) -> Iterator[Finding]:
    """Which rows fit the GPU that is there; nothing where the backbone does not say what it takes."""
    needs: dict[float, list[str]] = {}
    with contextlib.suppress(PvbenchError):
        for name in METHODS.names():
            # A command without its file says nothing of itself.
            with contextlib.suppress(MethodError, SettingError):
                variant = parse_variant(name)
                if not missing(variant, profile):
                    need = row_gib(METHODS.get(name), settings_of(variant, profile), profile)
                    needs.setdefault(need, []).append(name)
    needs.pop(0.0, None)
    if not needs:
        return
    said = "; ".join(f"{', '.join(rows)} about {need:.0f} GiB" for need, rows in sorted(needs.items()))
    if not device.startswith("cuda"):
        yield Finding("GPU memory", "note", f"by estimate, {said}; no GPU is used here")
        return
    have = memory_of(device) / _GIBI
    short = [row for need, rows in needs.items() for row in rows if need > have]
    fit = f"all fit {device}" if not short else f"{', '.join(short)} do not fit {device}"
    yield Finding("GPU memory", "note" if short else "good", f"by estimate, {said}; {fit}, which has {have:.0f} GiB")


def _users(profile: Profile) -> dict[Role, list[str]]:
    """By role of a reward, the methods that ask for it and can run under the profile."""
    found: dict[Role, list[str]] = {}
    for name in METHODS.names():
        with contextlib.suppress(PvbenchError):
            variant = parse_variant(name)
            if not missing(variant, profile):
                for role in roles_asked(METHODS.get(name).asks(settings_of(variant, profile))):
                    found.setdefault(role, []).append(name)
    return {role: found[role] for role in ROLES if role in found}


def _noted(found: Finding, brought: bool, why: str) -> Finding:
    """What the user brings, and videos from elsewhere are measured without, is missed in a note."""
    if found.verdict != "bad" or not brought:
        return found
    return replace(found, verdict="note", detail=f"{why}: {found.detail}")


def _evaluators(profile: Profile, device: str) -> Iterator[Finding]:
    """Each evaluator's weights, looked for and checked, nothing fetched, and what it takes of the memory there is.

    Those whose files say nothing of themselves are loaded.
    """
    try:
        loaders, needed = evaluator_loaders(profile), FeaturePlan(profile).parts
    except PvbenchError as error:
        yield Finding("evaluators", "bad", str(error))
        return
    have, own_files = memory_of(device) / _GIBI, profile.evaluators.get("files", {})
    for part, loader in loaders.items():

        def look(loader: type[EvaluatorLoader] = loader) -> str:
            where = loader.located(profile)
            if not where:
                loader.load(profile, device)
            return where or f"{own_files.get(loader.part, loader.name)} loads"

        named = profile.evaluators.get(part, loader.name)
        own = part in own_files
        found = _tried(f"{part}: {'a file of your own' if own else named}", look)
        if found.verdict == "bad" and loader.fetchable(profile):
            found = replace(found, detail=f"pvbench measure fetches it when it needs it: {found.detail}")
        if found.verdict == "bad" and part not in needed and not own:
            found = replace(found, verdict="note", detail=f"{_needed_by(loader)}: {found.detail}")
        if loader.memory_gib:
            need = f"takes about {loader.memory_gib:g} GiB of memory, {have:.1f} are there"
            found = replace(found, detail=f"{found.detail}; {need}")
        yield found
        if have < loader.memory_gib:
            yield Finding(
                f"{part} on {device}",
                "note",
                f"{have:.1f} GiB of memory; about {loader.memory_gib:g} are "
                "needed: " + ("measure elsewhere" if device == "cpu" else "measure with --device cpu"),
            )
    if loaders.get("face") is not None and loaders["face"].name == "insightface" and not _has_insightface():
        yield Finding(
            "insightface",
            "bad",
            'not installed; pip install "pvbench[face]", then pip install --no-deps insightface==2.1',
        )


def _needed_by(loader: type[EvaluatorLoader]) -> str:
    made = {feature for group in loader.groups for feature in group.features}
    names = [metric.name for metric in installed() if made & set(metric.needs)]
    return f"only {' and '.join(names)} needs it" if names else "no metric needs it"


def _has_insightface() -> bool:
    return all(importlib.util.find_spec(name) is not None for name in ("insightface", "onnxruntime"))


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without what diffusers and transformers say of models that load as they should."""
    from diffusers.utils import logging as of_diffusers
    from transformers.utils import logging as of_transformers

    before = of_diffusers.get_verbosity(), of_transformers.get_verbosity()
    bars = of_transformers.is_progress_bar_enabled()
    of_diffusers.set_verbosity_error()
    of_transformers.set_verbosity_error()
    of_transformers.disable_progress_bar()
    try:
        yield
    finally:
        of_diffusers.set_verbosity(before[0])
        of_transformers.set_verbosity(before[1])
        if bars:
            of_transformers.enable_progress_bar()


def _prompts(profile: Profile) -> str:
    evaluation, simulated = load_prompts(profile.prompts.evaluation), load_prompts(profile.prompts.simulated)
    check_disjoint(evaluation, simulated)
    return f"{len(evaluation.prompts)} to score, {len(simulated.prompts)} to tune on, none in both"


def _methods(profile: Profile) -> Iterator[Finding]:
    for name in METHODS.names():

        def look(name: str = name) -> str:
            cls = METHODS.get(name)
            lacking = missing(parse_variant(name), profile)
            if lacking:
                return f"not for the profile {profile.name}, which does not offer {', '.join(lacking)}"
            settings_of(parse_variant(name), profile)
            cls.data_digest(profile)
            return cls.summary

        yield _tried(f"method {name}", look)


def _plug_ins() -> Iterator[Finding]:
    """Installed parts of other kinds than methods that cannot be used."""
    registries: tuple[Registry[Any], ...] = (BACKBONES, EVALUATORS, METRICS, REWARDS)
    for registry in registries:
        for name in registry.names():
            try:
                registry.get(name)
            except PvbenchError as error:
                yield Finding(f"{registry.kind} {name}", "bad", str(error))


def _licences(profile: Profile) -> Iterator[Finding]:
    with contextlib.suppress(PvbenchError):
        if terms := backbone_loader(profile).licence(profile):
            yield Finding("licence of backbone", "note", terms)
        for part, loader in evaluator_loaders(profile).items():
            if terms := loader.licence(profile):
                yield Finding(f"licence of {part}", "note", terms)
