"""Style and script of the explorer. No ids and no global names: it may stand on a page many times.

The script unfolds the picture, which Python wrote with all names escaped, reads the numbers from
`data-explorer` and the names from the elements, and writes text as text: no name becomes markup.
"""

LIGHT = """--ink:#1f2a30; --faint:#4c5a62; --paper:var(--pst-color-background,#fff);
  --line:#8a949a; --accent:#0072b2; --bar:#a9d0ea; --pick:#b34700; color-scheme:light;"""
DARK = """--ink:#dde3e4; --faint:#a9b5b9; --paper:var(--pst-color-background,#12191c);
  --line:#6c7a80; --accent:#6cbcf0; --bar:#1f5478; --pick:#f0b070; color-scheme:dark;"""

# The system's choice first, then that of the book's or of JupyterLab's own switch.
STYLE = (
    f"""
.attn-explorer {{ {LIGHT} }}
@media (prefers-color-scheme:dark) {{ .attn-explorer {{ {DARK} }} }}
:is(html[data-theme=light],body[data-jp-theme-light=true]) .attn-explorer {{ {LIGHT} }}
:is(html[data-theme=dark],body[data-jp-theme-light=false]) .attn-explorer {{ {DARK} }}
"""
    """
.attn-explorer { background:var(--paper); color:var(--ink); max-width:44rem; margin:.5rem 0;
  padding:.25rem; }
html[data-theme] .text_html:has(> .attn-explorer) { background:none !important;
  padding:0 !important; }
.attn-explorer p { margin:.4rem 0; }
.attn-explorer .title { font-weight:600; }
.attn-explorer .choices { display:flex; flex-wrap:wrap; gap:.3rem 1.2rem; margin:.4rem 0; }
.attn-explorer select { font:inherit; color:inherit; background:var(--paper); min-height:1.8rem;
  border:1px solid var(--line); border-radius:4px; max-width:16rem; }
.attn-explorer svg { display:block; width:100%; height:auto; overflow:visible; }
.attn-explorer svg text { fill:var(--ink); font:13px system-ui,sans-serif; }
.attn-explorer svg .small { font-size:10px; fill:var(--faint); }
.attn-explorer .halo { paint-order:stroke; stroke:var(--paper); stroke-width:3px; }
.attn-explorer .query { cursor:pointer; outline:none; }
.attn-explorer .box { fill:var(--paper); stroke:none; }
.attn-explorer circle.box { stroke:var(--line); }
.attn-explorer rect.box { fill-opacity:0; }
.attn-explorer .shade, .attn-explorer .bar { fill:var(--bar); pointer-events:none; }
.attn-explorer .series { fill:none; stroke:var(--line); stroke-width:1.5; }
.attn-explorer .links path { fill:none; stroke:var(--accent); }
.attn-explorer .links .head { fill:var(--accent); stroke:none; }
.attn-explorer [aria-checked=true] .box { stroke:var(--pick); stroke-width:2; }
.attn-explorer .query:focus-visible .box { stroke:var(--pick); stroke-width:4; }
.attn-explorer .said { min-height:2.6em; }
.attn-explorer .hint { color:var(--faint); font-size:.85em; }
.attn-explorer summary { cursor:pointer; display:list-item; list-style:disclosure-closed inside; }
.attn-explorer [open] > summary { list-style-type:disclosure-open; }
.attn-explorer .scroll { overflow-x:auto; }
.attn-explorer table { border-collapse:collapse; font-size:.85em; color:inherit; margin:.3rem 0; }
.attn-explorer :is(th,td) { padding:.15rem .6rem; text-align:left; white-space:nowrap;
  border-bottom:1px solid var(--line); background:none; color:inherit; font-weight:inherit; }
.attn-explorer thead th { font-weight:600; }
.attn-explorer :is(select,summary,.scroll):focus-visible { outline:2px solid var(--pick);
  outline-offset:2px; }
"""
)

SCRIPT = """
(() => {
  const root = document.currentScript.closest(".attn-explorer");
  const data = JSON.parse(root.dataset.explorer);
  const stage = root.querySelector(".stage");
  stage.innerHTML = stage.dataset.picture;
  const all = selector => [...root.querySelectorAll(selector)];
  const [svg, links, said, layers, heads, details] = ["svg", ".links", ".said", ".layer",
    ".head-choice", "details"].map(selector => root.querySelector(selector));
  const queries = all("[role=radio]"), keys = all(".key");
  const at = element => element.dataset.at.split(" ").map(Number);
  const percent = weight =>
    (weight > 0 && weight < .005 ? "< 1" : Math.round(100 * weight)) + "\u00a0%";
  const bytes = data.layers.map(layer =>
    Uint8Array.from(atob(layer.weights), letter => letter.charCodeAt(0)));
  let query = 0;

  // What the chosen query gives to every key, in the chosen layer and head (-1: their mean).
  function row() {
    const layer = data.layers[layers.value], head = Number(heads.value);
    const weights = bytes[layers.value], size = weights.length / layer.heads;
    const chosen = head < 0 ? [...Array(layer.heads).keys()] : [head];
    const result = new Float64Array(keys.length);
    for (const h of chosen) {
      if (data.edges) {
        data.edges[1].forEach((target, e) => {
          if (target === query) result[data.edges[0][e]] += weights[h * size + e];
        });
      } else {
        keys.forEach((_, j) => { result[j] += weights[h * size + query * keys.length + j]; });
      }
    }
    return result.map(weight => weight * layer.scale / (255 * chosen.length));
  }

  function path(d, name, width, opacity) {
    const element = document.createElementNS("http://www.w3.org/2000/svg", "path");
    element.setAttribute("d", d);
    if (name) element.setAttribute("class", name);
    element.style.strokeWidth = width;
    element.style.opacity = opacity;
    links.append(element);
  }

  const draw = {
    words(key, weight, [x, y], [qx, qy]) {
      key.querySelector(".bar").setAttribute("width", 120 * Math.min(weight, 1));
      key.querySelector(".share").textContent = weight > 0 ? percent(weight) : "";
      if (weight >= .01)
        path(`M${qx} ${qy}C${qx + 50} ${qy} ${x - 50} ${y} ${x} ${y}`, "", .5 + 5 * weight,
          .3 + .7 * weight);
    },
    graph(key, weight, [x, y], [qx, qy]) {
      key.querySelector(".shade").style.opacity = weight > 0 ? .15 + .85 * Math.min(weight, 1) : 0;
      const length = Math.hypot(qx - x, qy - y);
      if (weight < .005 || length === 0) return;
      const [ux, uy] = [(qx - x) / length, (qy - y) / length], wide = 4 + 4 * weight;
      const [tx, ty] = [qx - 13 * ux, qy - 13 * uy], [bx, by] = [tx - 8 * ux, ty - 8 * uy];
      path(`M${x + 11 * ux} ${y + 11 * uy}L${bx} ${by}`, "", .8 + 4 * weight, .4 + .6 * weight);
      path(`M${tx} ${ty}L${bx - wide * uy} ${by + wide * ux}L${bx + wide * uy} ${by - wide * ux}Z`,
        "head", 0, .4 + .6 * weight);
    },
    time(key, weight, [x, y], _, largest) {
      const height = largest > 0 ? 56 * weight / largest : 0, bar = key.querySelector(".bar");
      bar.setAttribute("height", height);
      bar.setAttribute("y", y - height);
    },
  }[data.view];

  function show() {
    const weights = row(), largest = Math.max(...weights), from = at(queries[query]);
    links.replaceChildren();
    keys.forEach((key, j) => draw(key, weights[j], at(key), from, largest));
    const scale = root.querySelector(".scale");
    if (scale) scale.textContent = "weight, highest " + percent(largest);
    queries.forEach((element, i) => {
      element.setAttribute("aria-checked", i === query);
      element.setAttribute("tabindex", i === query ? 0 : -1);
    });
    const top = [...weights.keys()].filter(j => weights[j] > 0)
      .sort((a, b) => weights[b] - weights[a]).slice(0, 3)
      .map(j => `${keys[j].dataset.name} (${percent(weights[j])})`);
    const name = queries[query].getAttribute("aria-label");
    said.textContent = `${name} attends ${top.length ? "to " + top.join(", ") : "to nothing"}.`;
  }

  function fillHeads() {
    const before = heads.value, count = data.layers[layers.value].heads;
    const names = count > 1 ? [["-1", `mean of ${count}`]] : [];
    for (let h = 0; h < count; h++) names.push([String(h), String(h)]);
    heads.replaceChildren(...names.map(([value, text]) => new Option(text, value)));
    heads.value = names.some(([value]) => value === before) ? before : names[0][0];
    heads.parentElement.hidden = count < 2;
  }

  const steps = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };
  svg.addEventListener("keydown", event => {
    const last = queries.length - 1;
    if (event.key in steps) query = (query + steps[event.key] + last + 1) % (last + 1);
    else if (event.key === "Home") query = 0;
    else if (event.key === "End") query = last;
    else return;
    event.preventDefault();
    show();
    queries[query].focus();
  });
  queries.forEach((element, i) => ["pointerenter", "click"].forEach(kind =>
    element.addEventListener(kind, () => { if (query !== i) { query = i; show(); } })));
  layers.addEventListener("change", () => { fillHeads(); show(); });
  heads.addEventListener("change", show);
  fillHeads();
  show();
  details.open = false;
})();
"""
