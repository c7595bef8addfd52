// The pages read well without this file. It runs in the head, before the theme's own scripts.

// Without scripts the page is light. With them it follows the system until the reader chooses.
if (!localStorage.getItem("mode")) {
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  Object.assign(document.documentElement.dataset, {mode: "auto", theme: dark ? "dark" : "light"});
}

// What is wider than its box scrolls inside it, and can then be scrolled by keyboard too.
const boxes = "pre, div.math, span.math, .cell_output, .pst-scrollable-table-container";
function markWide() {
  for (const box of document.querySelectorAll(boxes)) {
    const parent = box.matches("span.math") ? box.parentElement : box;
    const wide = Math.max(box.scrollWidth, box.offsetWidth) > parent.clientWidth + 1;
    box.classList.toggle("wide", wide);
    if (wide) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
  }
}
document.fonts.addEventListener("loadingdone", markWide);
addEventListener("load", markWide);
addEventListener("toggle", markWide, true);

addEventListener("DOMContentLoaded", () => {
  // The window's own "resize" comes too early: the sidebars are still sliding.
  new ResizeObserver(markWide).observe(document.querySelector("article"));
  // In a narrow column of a table a long name may break behind a dot or an underscore.
  for (const name of document.querySelectorAll("td code .pre")) {
    const [first, ...parts] = name.textContent.split(/(?<=\w[._])(?=\w)/);
    name.replaceChildren(first, ...parts.flatMap(part => [document.createElement("wbr"), part]));
  }
  // The theme leaves the title above the contents outside every landmark.
  document.querySelector("#pst-primary-sidebar")?.setAttribute("role", "complementary");
});
