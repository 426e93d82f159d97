/* Small things for all pages: search, sources, folded parts, boxes that scroll. */
(() => {
  "use strict";

  // The search finds pages by its index, which is a script. For an extract of each it
  // would fetch them, which browsers refuse to pages opened from the disk.
  if (location.protocol === "file:" && typeof DOCUMENTATION_OPTIONS === "object") {
    DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;
  }

  // On a server the source is saved; from the disk a browser shows it in a new tab.
  window.addEventListener("load", () => {
    const sources = document.querySelectorAll(".btn-download-source-button");
    sources.forEach((link) => (link.download = ""));
  });

  // On paper nothing can be unfolded.
  window.addEventListener("beforeprint", () => {
    for (const part of document.querySelectorAll("details.folded:not([open])")) {
      part.open = true;
      part.dataset.printed = "";
    }
  });
  window.addEventListener("afterprint", () => {
    for (const part of document.querySelectorAll("details[data-printed]")) {
      part.open = false;
      delete part.dataset.printed;
    }
  });

  // A link into a folded part opens it; not all browsers do so themselves.
  function unfold() {
    const target = document.getElementById(location.hash.slice(1));
    const part = target?.closest("details:not([open])");
    if (part) {
      part.open = true;
      target.scrollIntoView();
    }
  }

  window.addEventListener("load", unfold);
  window.addEventListener("hashchange", unfold);

  const BOXES = "pre, .cell_output, .claims-table, details.provenance code";

  // Boxes that scroll can be reached with the keyboard, and only while they scroll.
  // The theme does so for code, but not when folded code is opened.
  function mark() {
    for (const box of document.querySelectorAll(BOXES)) {
      const wide = box.scrollWidth > box.clientWidth + 1;
      if (wide || box.scrollHeight > box.clientHeight + 1) {
        box.tabIndex = 0;
      } else {
        box.removeAttribute("tabindex");
      }
    }
  }

  window.addEventListener("load", mark);
  window.addEventListener("resize", mark);
  document.addEventListener("toggle", mark, true); // a folded line was opened
})();
