"""Formulas as MathML, which browsers draw by themselves, without a network.

An extension of Sphinx: `html_math_renderer = "mathml"`.
"""

from docutils import nodes
from latex2mathml import converter


def inline(translator, node):
    """Writes a formula in a line."""
    translator.body.append(converter.convert(node.astext()))
    raise nodes.SkipNode


def block(translator, node):
    """Writes a formula of its own."""
    text = converter.convert(node.astext().strip(), display="block")
    translator.body.append(f'<div class="math">{text}</div>')
    raise nodes.SkipNode


def setup(app):
    app.add_html_math_renderer("mathml", (inline, None), (block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
