/* At a first visit the pages take the system's colour scheme. */
// The theme has its default, light, in the page itself, for readers without scripts.
// Before anything is painted, "auto" takes its place; a choice of the reader stays.
if (!localStorage.getItem("mode")) {
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  document.documentElement.dataset.mode = "auto";
  document.documentElement.dataset.theme = dark ? "dark" : "light";
}
