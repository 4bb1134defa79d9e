"""How Sphinx builds the documentation; see docs/contributing.md."""

import os
import shutil
import sys
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent
# The checkout's Python files, with the compiled module that is installed.
sys.path.insert(0, str(ROOT))
sys.path.insert(0, str(HERE / "pictures"))

import phase_figures
from sphinx.directives.patches import Figure

import mlx_convt

project = "mlx_convt"
author = "mlx_convt contributors"
copyright = author
version = release = mlx_convt.__version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
]
exclude_patterns = ["_generated", "pictures"]
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
highlight_language = "text"  # formulas, trees and commands
nb_execution_mode = "off"  # the notebook has its results
if os.environ.get("MLX_CONVT_DOCS_EXECUTE"):
    nb_execution_mode = "force"
    os.environ["PYTHONPATH"] = str(ROOT)  # for the kernel
nb_execution_raise_on_error = True
nb_execution_timeout = 300

html_theme = "sphinx_book_theme"
html_title = f"mlx_convt {release}"
html_static_path = ["_static"]
html_css_files = ["mlx_convt.css"]
html_show_copyright = False
html_theme_options = {
    "navbar_persistent": [],  # the sidebar has the search already
    "show_navbar_depth": 1,
    "show_toc_level": 2,
    # Wide tables and pictures get its room.
    "secondary_sidebar_items": {
        "**": ["page-toc.html"],
        "differences": [],
        "examples": [],
        "gpu": [],
        "performance": [],
    },
    "home_page_in_toc": False,
    "use_download_button": False,
    "use_fullscreen_button": False,
    "pygments_light_style": "default",
    "pygments_dark_style": "github-dark",
}
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the docstrings name the types
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_rtype = False

nitpicky = True
# MLX's documentation is not at hand in a build without network.
nitpick_ignore_regex = [
    ("py:class", r"array|optional|Stream|Device|(mlx|numpy|torch)\..*")
]


def bring_sources(app):
    """Put what is written elsewhere, or drawn, where Sphinx looks for it."""
    phase_figures.draw_all(HERE / "_generated")
    notebook = ROOT / "examples" / "quickstart.ipynb"
    shutil.copyfile(notebook, HERE / "quickstart.ipynb")


class Drawing(Figure):
    """A figure from _generated, in the variant of the reader's theme."""

    def run(self):
        name, nodes = self.arguments[0], []
        for theme in phase_figures.THEMES:
            self.arguments = [f"_generated/{name}-{theme}.svg"]
            shown = [f"only-{theme}"]
            self.options |= {"class": shown, "figclass": shown}
            nodes += super().run()
        return nodes


def setup(app):
    app.add_directive("drawing", Drawing)
    app.connect("builder-inited", bring_sources)
