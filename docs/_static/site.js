// What the theme leaves out for keyboards and screen readers.

for (const box of document.querySelectorAll("pre, .table-wrapper")) {
  if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
}

const labels = { "sidebar-drawer": "Pages", "toc-drawer": "On this page", "content-icon-container": "This page" };
for (const [name, label] of Object.entries(labels)) {
  document.querySelector(`.${name}`)?.setAttribute("aria-label", label);
}
document.querySelector(".content-icon-container")?.setAttribute("role", "navigation");
for (const caption of document.querySelectorAll("[role=heading]")) caption.ariaLevel = 2;
for (const head of document.querySelectorAll("th")) {
  if (!head.textContent.trim()) head.outerHTML = "<td></td>";
}
