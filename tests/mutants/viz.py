"""Bugs to plant in attnlib.viz."""

from planting import Mutant

ARROWS = (
    "test_viz_figures.test_arrows_lead_from_the_source_to_the_target_and_are_as_wide_as_the_weight"
)
BYTES = "test_explorer.test_weights_travel_as_bytes_close_to_what_they_are"
SAFE = "test_explorer.test_no_name_becomes_markup"

MUTANTS = [
    Mutant(
        "queries as columns",
        "viz._figures",
        "ax.imshow(weights.numpy()",
        "ax.imshow(weights.T.numpy()",
        "test_viz.test_a_map_shows_the_weights_on_a_fixed_scale",
    ),
    Mutant(
        "a scale for each map",
        "viz._figures",
        "vmin=0.0, vmax=1.0, ",
        "",
        "test_viz.test_a_map_shows_the_weights_on_a_fixed_scale",
    ),
    Mutant(
        "an image without its description",
        "viz.style",
        '{"alt": self.alt, ',
        "{",
        "test_viz.test_a_shown_figure_is_an_image_with_its_description",
    ),
    Mutant(
        "arrows against the flow",
        "viz.graphs",
        "FancyArrowPatch(start, end, ",
        "FancyArrowPatch(end, start, ",
        ARROWS,
    ),
    Mutant(
        "a layout that follows the direction of edges",
        "viz.graphs",
        "linked[source, target] = linked[target, source] = 1",
        "linked[source, target] = 1",
        "test_viz_figures.test_a_layout_is_always_the_same_and_fills_its_square",
    ),
    Mutant(
        "source and target words swapped",
        "viz.maps",
        "ax.plot([0, 1], [j, i]",
        "ax.plot([0, 1], [i, j]",
        "test_viz_figures.test_an_alignment_is_a_line_a_pair_that_has_weight",
    ),
    Mutant(
        "bars beside their steps",
        "viz.time",
        "below.bar(moments, ",
        "below.bar(range(T), ",
        "test_viz_figures.test_the_weights_of_one_query_are_bars_under_the_series",
    ),
    Mutant(
        "edge before head in the bytes",
        "viz.explorer",
        "one.weights.movedim(0, -1)",
        "one.weights",
        "test_explorer.test_weights_on_edges_travel_head_after_head",
    ),
    Mutant(
        "bytes cut off instead of rounded",
        "viz.explorer",
        "(weights * (255 / scale)).round()",
        "(weights * (254 / scale)).floor()",
        BYTES,
    ),
    Mutant(
        "a name that is markup",
        "viz._views",
        'aria-label="{escape(name)}"',
        'aria-label="{name}"',
        SAFE,
    ),
    Mutant("a title that is markup", "viz.explorer", ">{escape(text)}</p>", ">{text}</p>", SAFE),
    Mutant(
        "labels leave the picture",
        "viz._views",
        "return min(max(x, _half(name)), WIDTH - _half(name))",
        "return x",
        "test_explorer.test_names_under_a_series_neither_touch_nor_leave_the_picture",
    ),
    Mutant(
        "a table of the first layer only",
        "viz.explorer",
        "for weights in dense:",
        "for weights in dense[:1]:",
        "test_explorer.test_the_table_says_what_each_query_attends_to_most_in_every_layer",
    ),
]
