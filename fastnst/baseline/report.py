"""Report of a comparison of network and optimiser: tables in Markdown, plots, contact sheets.

Everything is made from the content of `compare.json`. Knows nothing of networks or losses.
"""

import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from torch import Tensor

from fastnst.images.sheet import contact_sheet

FEW = 10  # largest number of photos whose own curves are drawn
SHEET_SIDES = 64, 384  # pixels of a picture on the sheet, at least and at most
BLUE, RED, GREEN, GREY = "#1f4e79", "#c0392b", "#2e7d32", "#8a8a8a"
AT_ONCE = "any painting at once"


def draw_curve(entry: Mapping[str, Any]) -> bytes:
    """A PNG plot of the optimiser's loss by iteration, with the network's loss as a line.

    Args:
        entry: One of `sizes` in `compare.json`.
    """
    from matplotlib.figure import Figure  # takes a second, and is an extra
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    mean, curve, reached = entry["mean"], entry["curve"], entry["equivalent_iterations"]
    places = range(1, len(curve) + 1)
    figure = Figure(figsize=(7.2, 4.6), dpi=150, layout="constrained")
    axes = figure.subplots()
    if 1 < entry["num_photos"] <= FEW:
        for photo in entry["photos"]:
            axes.plot(places, photo["curve"], color=BLUE, alpha=0.3, linewidth=0.8)
    axes.plot(places, curve, color=BLUE, linewidth=2, label="L-BFGS from noise")
    network, untouched = mean["network"]["total"], mean["photo"]["total"]
    axes.axhline(network, color=RED, linewidth=2, label=f"network, one pass: {network:.4g}")
    axes.axhline(untouched, color=GREY, linewidth=1.2, linestyle="--", label=f"the photo itself: {untouched:.4g}")
    if "at_once" in mean:
        total = mean["at_once"]["total"]
        axes.axhline(total, color=GREEN, linewidth=1.2, linestyle=":", label=f"{AT_ONCE}: {total:.4g}")
    if reached is not None:
        axes.plot([reached], [network], "o", color=RED, markersize=7, zorder=3)
        axes.annotate(f"{reached} iterations", (reached, network), xytext=(6, 8), textcoords="offset points")
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_xlim(0, len(curve))
    axes.set_xlabel("iterations of L-BFGS")
    axes.set_ylabel("objective (lower is better)")
    axes.grid(alpha=0.25, linewidth=0.5)
    axes.spines[["top", "right"]].set_visible(False)
    photos = "1 photo" if entry["num_photos"] == 1 else f"mean of {entry['num_photos']} photos"
    figure.suptitle(f"One pass is worth {worth(entry)} iterations ({photos}, {entry['size']} px)", fontsize=12)
    figure.legend(loc="outside lower center", ncols=2, frameon=False)
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return file.getvalue()


def draw_sheet(entry: Mapping[str, Any], rows: Sequence[Sequence[Tensor]]) -> Tensor:
    """A contact sheet `(1, 3, H, W)` in [0, 1].

    Args:
        entry: One of `sizes` in `compare.json`.
        rows: For its first photos: photo, network, any painting at once (if the entry has it), optimiser at the
            network's loss, optimiser at its end.
    """
    photos = entry["photos"][: len(rows)]
    at_once = [AT_ONCE] if "at_once" in entry["mean"] else []
    end = f"L-BFGS, {len(entry['curve'])} iterations"
    return contact_sheet(
        rows,
        columns=("photo", "network, one pass", *at_once, "L-BFGS, as good on this photo", end),
        labels=[f"{photo['name']}: as good after {worth(photo)} iterations" for photo in photos],
        side=min(max(SHEET_SIDES[0], entry["size"]), SHEET_SIDES[1]),
    )


def worth(entry: Mapping[str, Any], key: str = "equivalent_iterations") -> str:
    """The iterations that reach as low a loss as a pass, on average or on one photo, in words."""
    reached = entry[key]
    return f"> {len(entry['curve'])}" if reached is None else str(reached)


def to_markdown(result: Mapping[str, Any]) -> str:
    """The tables in Markdown, for a record.

    Args:
        result: The content of `compare.json`.
    """
    return "\n".join(_lines(result)) + "\n"


def _lines(result: Mapping[str, Any]) -> Iterator[str]:
    objective = result["objective"]
    yield f"# {result['style']}: one pass of the network against the optimiser"
    yield ""
    yield (
        f"`{result['style_file']['name']}`, trained on crops of {objective['crop_size']} px, and L-BFGS (history "
        f"{result['history']}) from noise (seed {result['seed']}) minimise the same objective: {_formula(objective)}. "
        f"Style image `{result['style_image']['name']}`, {_size(objective['style_size'])}."
    )
    if result["sizes"]:
        yield from ("", "## Objective", "")
        yield from _losses(result)
    if result["times"]:
        yield from ("", "## Time", "")
        yield from _times(result)
    yield ""
    versions = ", ".join(f"{name} {number}" for name, number in result["versions"].items())
    yield f"{result['hardware']}; {versions}. Photos: {', '.join(photo['name'] for photo in result['photos'])}."


def _formula(objective: Mapping[str, Any]) -> str:
    parts = [
        f"content {objective['content_weight']:g} ({', '.join(objective['content_layers'])})",
        f"style {objective['style_weight']:g} ({', '.join(objective['style_layers'])})",
    ]
    if objective["tv_weight"]:
        parts.append(f"total variation {objective['tv_weight']:g}")
    return f"{' + '.join(parts)}, {objective['normalization']} losses on {objective['loss_network']}"


def _losses(result: Mapping[str, Any]) -> Iterator[str]:
    names = {
        "photo": "the photo itself",
        "network": "network, one pass",
        "at_once": AT_ONCE,
        "optimizer": f"L-BFGS, {result['iterations']} iterations",
    }
    yield "| px | photos | picture | objective | content | style | as good after | without the border |"
    yield "|---:|---:|---|---:|---:|---:|---:|---:|"
    for entry in result["sizes"]:
        for who, name in ((who, name) for who, name in names.items() if who in entry["mean"]):
            numbers = " | ".join(f"{entry['mean'][who][part]:.4g}" for part in ("total", "content", "style"))
            keys = {
                "network": ("equivalent_iterations", "equivalent_iterations_inside"),
                "at_once": ("equivalent_iterations_at_once", None),
            }.get(who, (None, None))
            reached = " | ".join(f"**{worth(entry, key)}** iterations" if key else "" for key in keys)
            yield f"| {entry['size']} | {entry['num_photos']} | {name} | {numbers} | {reached} |"
    yield ""
    insets = ", ".join(
        f"{entry['inset']} px at {entry['size']} px (network {entry['network_inside']:.4g}, "
        f"L-BFGS at its end {entry['curve_inside'][-1]:.4g})"
        for entry in result["sizes"]
    )
    yield (
        "Without the border: the same pictures, by the objective of what lies further inside. There all of a picture "
        f"was to be seen, and L-BFGS had no border to give up for the style. Left out on each side: {insets}."
    )
    yield ""
    taken = ", ".join(f"{entry['evaluations_per_iteration']:.3g} at {entry['size']} px" for entry in result["sizes"])
    yield f"Means over photos; content and style without their weights. Evaluations per iteration of L-BFGS: {taken}."
    yield ""
    for size in (entry["size"] for entry in result["sizes"]):
        yield f"![Objective against iterations, {size} px](curve_{size}.png)"
        yield f"![Photo, network, optimiser, {size} px](sheet_{size}.png)"


def _times(result: Mapping[str, Any]) -> Iterator[str]:
    counts = list(result["times"][0]["iterations"])
    compared = {entry["size"]: entry for entry in result["sizes"]}
    seconds = " | ".join(f"{count} iterations (s)" for count in counts)
    ratios = " | ".join(f"{count} / pass" for count in counts)
    once = f"one pass (s) | {AT_ONCE} (s) | one iteration (s)"
    yield f"| px | {once} | {seconds} | one / pass (range) | {ratios} | as good / pass |"
    yield "|---:|" + "---:|" * (2 * len(counts) + 5)
    for entry in result["times"]:
        ratio = entry["ratio"]
        cells = [
            *(
                f"{entry[what]['median']:.3g}" if what in entry else ""
                for what in ("pass_seconds", "at_once_seconds", "iteration_seconds")
            ),
            *(f"{entry['iterations'][count]['seconds']:.3g}" for count in counts),
            f"{ratio['median']:.3g} ({ratio['lowest']:.3g} to {ratio['highest']:.3g})",
            *(f"{entry['iterations'][count]['ratio']:,.0f}" for count in counts),
            _worth_in_passes(compared[entry["size"]], ratio["median"]) if entry["size"] in compared else "",
        ]
        yield f"| {entry['size']} | {' | '.join(cells)} |"
    yield ""
    rounds = ", ".join(dict.fromkeys(str(entry["rounds"]) for entry in result["times"]))
    yield (
        f"Medians of n = {rounds} rounds, in each one iteration and then one pass, after a round that does not count; "
        "seconds of many iterations are those of one, times their number. As good: the iterations that a pass is "
        "worth at this size. Photos smaller than a size were enlarged: "
        "times do not depend on what is to be seen. Seconds are for scale, the ratios are the claim."
    )


def _worth_in_passes(compared: Mapping[str, Any], ratio: float) -> str:
    """The time of the iterations to as low a loss, in passes of the network, in words."""
    reached = compared["equivalent_iterations"]
    count = len(compared["curve"]) if reached is None else reached
    return f"{'> ' if reached is None else ''}{count * ratio:,.0f}"


def _size(asked: int | str | None) -> str:
    """The size of a style image, in words; see `style_side`."""
    return "short side 512 px" if asked == "auto" else f"long side {asked or 384} px"
