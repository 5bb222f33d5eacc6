/** The door: trades the token of the fragment for a cookie, and goes to the pages. */
import { STRINGS } from "./strings.js";

const word = document.querySelector("#word");
const token = location.hash.slice(1);
// The token is not to stay in the address bar, nor in the history.
history.replaceState(null, "", "/");

async function enter() {
  if (token === "") return STRINGS.open.noToken;
  const answer = await fetch("/session", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ token }),
  });
  if (!answer.ok) return STRINGS.open.wrongToken;
  const { path } = await answer.json();
  location.replace(path);
  return STRINGS.open.opening;
}

word.textContent = STRINGS.open.opening;
word.textContent = await enter().catch(() => STRINGS.open.unreachable);
