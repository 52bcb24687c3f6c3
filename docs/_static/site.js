// What the theme leaves out for keyboards and screen readers.

for (const box of document.querySelectorAll("pre, .table-wrapper")) {
  if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
}

const asides = { "sidebar-drawer": "Pages", "toc-drawer": "On this page" };
for (const [name, label] of Object.entries(asides)) {
  document.querySelector(`aside.${name}`)?.setAttribute("aria-label", label);
}

document.querySelector(".content-icon-container")?.setAttribute("role", "group");
for (const caption of document.querySelectorAll("[role=heading]")) caption.ariaLevel = 2;
for (const head of document.querySelectorAll("th")) {
  if (!head.textContent.trim()) head.outerHTML = "<td></td>";
}
