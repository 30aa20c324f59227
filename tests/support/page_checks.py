"""What tests of single pages ask of any page."""

import json
import re
import time
from typing import Any

from streamlit.testing.v1 import AppTest

from tests.support.serving import ROOT


def seen(markdown: str) -> str:
    """What one reads of a text that a page shows as it is, letter by letter."""
    return re.sub(r"\\([\\`*_{}\[\]()#+\-.!|<>~:$&])", r"\1", markdown.replace(":small[]", ""))


def said(test: AppTest) -> str:
    """Every text on a page."""
    return seen("\n".join(str(each.value) for each in [*test.title, *test.subheader, *test.markdown, *test.caption]))


def handed_to(test: AppTest, component: str) -> list[dict[str, Any]]:
    """What each component of a kind on a page was given to show."""
    drawn = [each.proto for each in test.get("bidi_component")]  # type: ignore[attr-defined]
    return [json.loads(each.json) for each in drawn if each.component_name == f"matgen.{component}"]


def whole(test: AppTest, *errors: str) -> AppTest:
    """A page ran to its end, and showed errors with these words in them alone, each in one line."""
    assert not test.exception, [each.message for each in test.exception]
    assert len(test.error) == len(errors), [seen(each.value) for each in test.error]
    for shown, expected in zip(test.error, errors, strict=True):
        assert expected in seen(shown.value)
        assert "\n" not in shown.value
    return test


def all_steps(test: AppTest) -> AppTest:
    """Run Journeys until every step is there."""
    for _ in range(200):
        test.run()
        if not any("decoding" in each.value or "waiting" in each.value for each in test.markdown):
            return test
        time.sleep(0.1)
    raise AssertionError("the steps did not arrive")


def page(name: str, **address: str) -> AppTest:
    """A page alone, not yet run, at an address."""
    test = AppTest.from_file(str(ROOT / "pages" / f"{name}.py"), default_timeout=120)
    for key, value in address.items():
        test.query_params[key] = value
    return test


# Fields of Streamlit's messages that are shown as they are, or not at all: nothing in them becomes Markdown.
_AS_IT_IS = {
    *(
        "id",
        "form_id",
        "query_param_key",
        "url",
        "alt",
        "user_key",
        "element_id",
        "icon",
        "title_hash",
        "component_name",
    ),
    *("value", "default", "set_value", "placeholder", "options", "raw_value", "raw_values", "formatted_options"),
    *("code_text", "json", "js_content", "css_content", "html_content", "mixed", "columns", "spec", "config", "theme"),
}


def drawn_as_markdown(test: AppTest) -> list[str]:
    """Every text that the browser would read as Markdown, wherever on a page: labels and helps, too; code left out."""
    found: list[str] = []
    for node in [*test.main, *test.sidebar, *test.toast]:
        if (proto := getattr(node, "proto", None)) is not None and node.type not in ("code", "text", "component"):
            found += _texts(proto)
    return [re.sub(r"(?<![\\`])(`+)(?!`).*?(?<!`)\1(?!`)", "", text) for text in found]


def _texts(message: Any) -> list[str]:
    found = []
    for field, value in message.ListFields():
        if field.name in _AS_IT_IS and not (
            field.name == "options" and message.DESCRIPTOR.name in ("ButtonGroup", "Radio")
        ):
            continue
        for each in value if field.is_repeated else [value]:
            if isinstance(each, str):
                found.append(each)
            elif hasattr(each, "ListFields"):
                found += _texts(each)
    return found
