// Tables. Every value is set as text.

/** A cell: `head`, `number` (to the right), `bad`, `words` (may wrap), `narrow`, `title`. */
export function cell(text, { head, number, bad, words, narrow, title }) {
  const element = document.createElement(head ? "th" : "td");
  element.textContent = String(text ?? "");
  if (head) element.scope = "col";
  if (number) element.classList.add("number");
  if (bad) element.classList.add("bad");
  if (narrow) element.classList.add("narrow");
  if (words) element.classList.add("words");
  if (title) element.title = title;
  return element;
}

export function row(cells) {
  const element = document.createElement("tr");
  element.append(...cells);
  return element;
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
  table.replaceChildren(head, body);
}
