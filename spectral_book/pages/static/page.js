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

  // Code is folded; one switch opens all of it, and a browser remembers.
  function remembered(value) {
    try {
      if (value !== undefined) localStorage.setItem("show-code", value);
      return localStorage.getItem("show-code") === "yes";
    } catch {
      return value === "yes"; // no storage for pages from the disk
    }
  }

  function addCodeSwitch() {
    const folded = document.querySelectorAll("details.above-input, details.hide");
    const title = document.querySelector(".bd-article h1");
    if (folded.length < 2 || !title) return;
    const button = document.createElement("button");
    button.className = "code-switch";
    button.type = "button";
    function set(open) {
      for (const part of folded) part.open = open;
      button.textContent = open ? "Hide all code" : "Show all code";
      button.setAttribute("aria-pressed", open);
    }
    button.addEventListener("click", () => {
      const open = button.getAttribute("aria-pressed") !== "true";
      remembered(open ? "yes" : "no");
      set(open);
    });
    set(remembered());
    title.after(button);
  }

  window.addEventListener("load", addCodeSwitch);

  // The ledger of the whole book can be narrowed by paper or book, verdict, chapter.
  function addFilters() {
    const ledger = document.querySelector(".ledger");
    const rows = [...document.querySelectorAll(".ledger-claim[data-whose]")];
    if (!ledger?.querySelector("details") || !rows.length) return;
    const names = { whose: "Whose", verdict: "Verdict", chapter: "Chapter" };
    const words = { paper: "papers' claims", book: "findings of this book" };
    const bar = document.createElement("p");
    bar.className = "ledger-filters";
    const told = document.createElement("span");
    told.setAttribute("role", "status");
    const chosen = {};
    function apply() {
      const wanted = Object.entries(chosen).filter(([, select]) => select.value);
      let shown = 0;
      for (const row of rows) {
        row.hidden = wanted.some(([key, select]) => row.dataset[key] !== select.value);
        shown += !row.hidden;
      }
      for (const part of ledger.querySelectorAll("details")) {
        if (wanted.length) part.open = !!part.querySelector(".ledger-claim:not([hidden])");
      }
      told.textContent = wanted.length ? `${shown} of ${rows.length} shown` : "";
    }
    for (const [key, name] of Object.entries(names)) {
      const label = document.createElement("label");
      const select = (chosen[key] = document.createElement("select"));
      const values = new Set(rows.map((row) => row.dataset[key]));
      select.append(new Option("all", ""));
      for (const value of values) {
        select.append(new Option(words[value] ?? value.replaceAll("_", " "), value));
      }
      select.addEventListener("change", apply);
      label.append(`${name} `, select);
      bar.append(label);
    }
    bar.append(told);
    ledger.querySelector(".ledger-count").after(bar);
  }

  window.addEventListener("load", addFilters);

  const TABLES = ".claims-table, .pst-scrollable-table-container";
  const FIGURES = ".recorded-box, .cell_output:has(> img, .player)";
  const BOXES = `pre, .cell_output, ${TABLES}, .recorded-box, details.provenance code`;

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
    document.querySelectorAll(TABLES).forEach((box, n) => hint(box, "table", n + 1));
    document.querySelectorAll(FIGURES).forEach((box, n) => hint(box, "figure", n + 1));
  }

  // A table or figure that is wider than its box says so, to all readers.
  function hint(box, kind, number) {
    if (box.scrollWidth > box.clientWidth + 1) {
      box.dataset.scrolls = kind;
      box.setAttribute("role", "region");
      box.setAttribute("aria-label", `scrolling ${kind}, box ${number}`);
    } else {
      for (const name of ["data-scrolls", "role", "aria-label"]) box.removeAttribute(name);
    }
  }

  window.addEventListener("load", mark);
  window.addEventListener("resize", mark);
  document.addEventListener("toggle", mark, true); // a folded line was opened
  document.addEventListener("load", mark, true); // a picture in it came
})();
