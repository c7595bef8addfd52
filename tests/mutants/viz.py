"""Bugs to plant in attnlib.viz."""

from planting import Mutant

MUTANTS = [
    Mutant(
        "queries as columns",
        "viz",
        "ax.imshow(weights.numpy()",
        "ax.imshow(weights.T.numpy()",
        "test_viz.test_a_map_shows_the_weights_on_a_fixed_scale",
    ),
    Mutant(
        "a scale for each map",
        "viz",
        "vmin=0.0, vmax=1.0, ",
        "",
        "test_viz.test_a_map_shows_the_weights_on_a_fixed_scale",
    ),
    Mutant(
        "an image without its description",
        "viz",
        '{"alt": self.alt, ',
        "{",
        "test_viz.test_a_shown_figure_is_an_image_with_its_description",
    ),
]
