"""Texts that a browser would obey if a page gave them to it as Markdown."""

TEXTS = (
    "![x](http://evil.example/p.png)",
    "see www.evil.example now",
    "WWW.evil.example",
    "https://evil.example/a?b=c",
    "HTTPS://EVIL.example",
    "a@evil.example",
    "mailto:a@evil.example",
    "<img src=http://evil.example/x>",
    "<http://evil.example>",
    "<!-- c -->",
    "$x^2$ and $$y$$",
    ":material/home: :smile: :+1: :streamlit:",
    ":red[x] :small[y] :blue-badge[z] :color[x]{foreground=red}",
    "a -> b <- c <-> d -- e >= f <= g ~= h",
    "# head",
    "1. one",
    "- dash",
    "> quote",
    "| a | b |",
    "`code` ``two`` ```mermaid",
    "**b** *i* __u__ ~~s~~ ~t~",
    "[l][r] [^1] [x]: http://evil.example",
    "&amp; &lt; &#33;",
    "line\nbreak\u2028x",
    "\u202egnp\u200b\x00\x07",
    r"a\b \* http\://evil.example www\.evil.example",
    "Li-*-S-*",
    "{x} %d ::: --> ==>",
    "mp-149:original",
    "x" * 3_000,
)
CARD = r"""# A card

![i](http://evil.example/1.png) ![j][r] [k][r] [l](http://evil.example/2) <http://evil.example/3>
<https://doi.org/10.1038/sdata.2018.65> [doi](https://doi.org/10.1039/D0CP03508D) www.evil.example a@evil.example
http\://evil.example/4 &#104;ttp://evil.example/5 http&#58;//evil.example/6 <img src="http://evil.example/7.png">
$\href{http://evil.example/8}{x}$ [q](https://doi.org.evil.example/10.1) [t]( http://evil.example/9) [u](//evil.example)
[v](elsewhere) \![w](http://evil.example/10.png) ![[n](http://evil.example/11)](http://evil.example/12.png)
!\[y](http://evil.example/13.png) <style>@import url(http://evil.example/14.css)</style>

[r]: http://evil.example/15.png

```mermaid
graph TD; A@{ img: "http://evil.example/16.png" }
```

| table | link |
|:--|--:|
| cell | [table](https://doi.org/10.1/a) |

:color[x]{background="url(http://evil.example/17.png)"}
"""
CARD_LINKS = {
    "https://doi.org/10.1038/sdata.2018.65",
    "https://doi.org/10.1039/D0CP03508D",
    "https://doi.org/10.1/a",
}
