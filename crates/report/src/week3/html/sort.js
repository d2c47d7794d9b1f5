// Makes the headings of the trial table sort it. Without this the table reads in the set's order.
"use strict";
const table = document.querySelector(".sortable");
const words = new Intl.Collator("en", { numeric: true });
const order = (column, sign) => (a, b) => {
  const [x, y] = [a.cells[column], b.cells[column]];
  if (x.dataset.value === undefined) return sign * words.compare(x.textContent, y.textContent);
  const [m, n] = [x.dataset.value, y.dataset.value];
  // What was not measured stays at the end in both directions.
  if (m === "" || n === "") return (m === "") - (n === "");
  return sign * (m - n);
};
const headings = [...table.tHead.rows[0].cells];
headings.forEach((heading, column) => {
  const button = document.createElement("button");
  button.type = "button";
  button.append(...heading.childNodes);
  heading.append(button);
  button.addEventListener("click", () => {
    const falls = heading.getAttribute("aria-sort") === "ascending";
    headings.forEach((other) => other.removeAttribute("aria-sort"));
    heading.setAttribute("aria-sort", falls ? "descending" : "ascending");
    const rows = [...table.tBodies[0].rows].sort(order(column, falls ? -1 : 1));
    table.tBodies[0].append(...rows);
  });
});
