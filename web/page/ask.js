// Questions to the program, with the token where there is one.

const TOKEN = "token";

/** The last answers with their entity tags, by path. What has not changed is not sent again. */
const answers = new Map();
const ANSWERS_MAX = 16;

/** The answer to a GET, from JSON. A refusal is an Error with the `status`. */
export async function ask(path) {
  const token = sessionStorage.getItem(TOKEN);
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  const known = answers.get(path);
  if (known) headers["If-None-Match"] = known.tag;
  const options = { headers, cache: "no-store", signal: AbortSignal.timeout(5000) };
  const response = await fetch(path, options);
  if (known && response.status === 304) return known.value;
  if (!response.ok) {
    const problem = new Error((await response.text()).trim());
    problem.status = response.status;
    throw problem;
  }
  const value = await response.json();
  const tag = response.headers.get("ETag");
  if (answers.size >= ANSWERS_MAX) answers.clear();
  if (tag) answers.set(path, { tag, value });
  return value;
}

/** Asks the user for the token, and goes on with `then`. */
export function needToken(then) {
  const dialog = document.getElementById("token-dialog");
  if (dialog.open) return;
  const form = document.getElementById("token-form");
  form.onsubmit = () => {
    sessionStorage.setItem(TOKEN, document.getElementById("token").value);
    setTimeout(then, 0);
  };
  dialog.showModal();
}
