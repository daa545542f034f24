/** What the page says: to everybody in a message at its lower edge, or to screen readers alone. */

import { byId, setText } from "./dom.js";

const SHOWN = 7000; // [ms]

const toast = byId("toast");
const text = byId("notice");
const retry = byId("retry");

let timer = 0;
let isWaiting = false;

byId("dismiss").addEventListener("click", hide);

/** Show a message for a while. */
export function tell(message) {
  isWaiting = false;
  show(message, false);
  timer = setTimeout(hide, SHOWN);
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

function show(message, canRetry) {
  clearTimeout(timer);
  // The region is there before its text is: only a change of it is read out.
  toast.hidden = false;
  setText(text, message);
  retry.hidden = !canRetry;
}

function hide() {
  clearTimeout(timer);
  toast.hidden = true;
  text.textContent = "";
}
