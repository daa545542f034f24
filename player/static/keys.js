/** Keys that press buttons. They rest while somebody types, and in a dialog. */

const TYPING = "textarea, select, [contenteditable], input:not([type=range], [type=radio], [type=checkbox])";

/** What uses the arrows itself, and what the space bar presses. */
const ARROWS = "input, [role=tab], [tabindex='0'], audio, details";
const SPACE = "button, a[href], input:not([type=range]), summary";

/** `actions` by key: `event.key`, letters small. */
export function listen(actions, isOn) {
  addEventListener("keydown", (event) => {
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const action = actions[key];
    if (!action || event.defaultPrevented || event.isComposing) return;
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (!isOn() || document.querySelector("dialog[open]")) return;
    const target = event.target instanceof Element ? event.target : document.body;
    if (target.closest(TYPING)) return;
    if (key.startsWith("Arrow") && (event.shiftKey || target.closest(ARROWS))) return;
    if (key === " " && target.closest(SPACE)) return;
    event.preventDefault();
    // A key held down is one press.
    if (!event.repeat) action();
  });
}
