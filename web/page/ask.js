// Questions to the program, with the token where there is one.

const TOKEN = "token";

/** The answer to a GET, from JSON. A refusal is an Error with the `status`. */
export async function ask(path) {
  const token = sessionStorage.getItem(TOKEN);
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  const response = await fetch(path, { headers, signal: AbortSignal.timeout(5000) });
  if (!response.ok) {
    const problem = new Error((await response.text()).trim());
    problem.status = response.status;
    throw problem;
  }
  return response.json();
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
