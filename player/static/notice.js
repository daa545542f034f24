/** What the page says: to everybody in a message at its lower edge, or to screen readers alone. */

import { byId, setText } from "./dom.js";

const SHOWN = 7000; // [ms]

const toast = byId("toast");
const text = byId("notice");
const retry = byId("retry");
const dismiss = byId("dismiss");

let timer = 0;
let isWaiting = false;

dismiss.addEventListener("click", hide);

/** Show a message for a while. */
export function tell(message) {
  isWaiting = false;
  show(message, false);
  timer = setTimeout(hideSoon, SHOWN);
}

/** Show a message until `stopWaiting`, with a button that calls `again`. */
export function wait(message, again) {
  isWaiting = true;
  retry.onclick = again;
  show(message, true);
}

/** Say that what was waited for is there. */
export function stopWaiting(message) {
  if (isWaiting) tell(message);
}

/** Say something to screen readers alone. */
export function announce(message) {
  setText(byId("announcement"), message);
}

// The region stays in the page when it is not seen: only a change of its text is read out.

function show(message, canRetry) {
  clearTimeout(timer);
  toast.classList.add("shown");
  setText(text, message);
  retry.hidden = !canRetry;
  dismiss.hidden = false;
}

function hide() {
  clearTimeout(timer);
  toast.classList.remove("shown");
  text.textContent = "";
  retry.hidden = dismiss.hidden = true;
}

/** Not while somebody reads or presses it. */
function hideSoon() {
  if (toast.matches(":hover, :focus-within")) timer = setTimeout(hideSoon, SHOWN);
  else hide();
}
