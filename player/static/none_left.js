/** What stands on the stage when no track does: why that is, and the nearest wishes that have some. */

import { byId, setText } from "./dom.js";
import { nearestButtons } from "./preference.js";

/** Show it for a state, or hide it. */
export function show(state) {
  byId("none-left").hidden = state.track !== null;
  byId("nearest").replaceChildren(...nearestButtons(state.nearest));
  const [title, reason] = words(state);
  setText(byId("none-left-title"), title);
  setText(
    byId("none-left-why"),
    state.nearest.length ? `${reason} One press takes the nearest wish that still has some:` : reason,
  );
}

/** The same for who does not see it. */
export function spoken(state) {
  return `${words(state)[0]}.`;
}

function words({ total, nearest }) {
  if (!total) return ["Nothing fits this wish", "No track of the catalogue is all that you ask for."];
  if (nearest.length) return ["Nothing is left that fits", "You have judged every track that fits."];
  return ["You have judged every track", "Undo takes the last press back."];
}
