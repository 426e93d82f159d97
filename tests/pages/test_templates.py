"""Values in templates are text; only what is marked as Markdown is read as such."""

import pytest
from markupsafe import Markup

from spectral_book.pages.templates import literal, markdown, plain


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("a*b_c", "a&#42;b&#95;c"),
        ("{doc}`x` & <b>", "&#123;doc&#125;&#96;x&#96; &#38; &#60;b&#62;"),
        ("the paper's", "the paper’s"),
        (7, "7"),
        (Markup("<b>*"), "<b>*"),
    ],
)
def test_a_value_is_shown_as_it_is(value, written):
    assert literal(value) == written


def test_markdown_stays_on_one_line_and_loses_its_marks_where_none_can_be():
    assert literal(markdown("a *b*\n\n- $c$")) == "a *b* - $c$"
    assert plain("a *b* `c` $\\lambda$") == "a b c lambda"


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("<script>x</script>", "< script>x< /script>"),
        ("`<img onerror=x>`", "`< img onerror=x>`"),
        (r"\$<b>\$ <!-- x --> <?x?>", r"\$< b>\$ < !-- x --> < ?x?>"),
        ("$a < b$, $1<2$, a <- b, **x** <", "$a < b$, $1<2$, a <- b, **x** <"),
    ],
)
def test_markdown_holds_no_html(text, written):
    assert markdown(text) == written
