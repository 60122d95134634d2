// Tables. Every value is set as text.

/**
 * A cell: `head`, `number` (to the right), `bad`, `words` (may wrap), `narrow`, `title`; on a
 * narrow screen `main` is a line of its own, and `label` is said before the others. The roles stay
 * when a table is shown as a list.
 */
export function cell(text, { head, number, bad, words, narrow, title, label, main } = {}) {
  const element = document.createElement(head ? "th" : "td");
  element.textContent = String(text ?? "");
  element.setAttribute("role", head ? "columnheader" : "cell");
  if (head) element.scope = "col";
  const classes = { number, bad, narrow, words, main };
  for (const [name, is] of Object.entries(classes)) element.classList.toggle(name, Boolean(is));
  if (title) element.title = title;
  if (label) element.dataset.label = label;
  return element;
}

/** A cell with several lines of words. */
export function several(lines, options) {
  const element = cell("", { ...options, words: true });
  for (const line of lines) {
    const part = document.createElement("div");
    part.textContent = line;
    element.append(part);
  }
  return element;
}

export function row(cells) {
  const element = document.createElement("tr");
  element.setAttribute("role", "row");
  element.append(...cells);
  return element;
}

/** The row of heads, from a list of names, each with whether it is of numbers. */
export function heads(list) {
  return [row(list.map(([text, number]) => cell(text, { head: true, number })))];
}

/** Fills a table, or says why there is nothing in it. */
export function fill(table, heads, rows, empty) {
  const head = document.createElement("thead");
  const body = document.createElement("tbody");
  head.append(...heads);
  if (rows.length === 0) {
    const none = cell(empty, {});
    none.className = "empty";
    none.colSpan = heads[0].children.length;
    body.append(row([none]));
  } else {
    body.append(...rows);
  }
  table.setAttribute("role", "table");
  for (const part of [head, body]) part.setAttribute("role", "rowgroup");
  table.replaceChildren(head, body);
}
