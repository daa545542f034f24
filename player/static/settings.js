/** The dialogs: settings, keys, and the question before everything is forgotten. */

import { byId, setText } from "./dom.js";
import { several } from "./words.js";

const KEYS = "musicrec-keys";

const dialog = byId("settings");
const confirm = byId("confirm");
const remote = byId("remote-media");
const spotify = byId("spotify-on");
const keys = byId("keys-on");

/** `change(settings)` sends a switch, `reset()` forgets everything. */
export function setUp({ change, reset }) {
  byId("open-settings").addEventListener("click", open);
  remote.addEventListener("change", () => change({ remote_media: remote.checked }));
  spotify.addEventListener("change", () => change({ spotify: spotify.checked }));
  keys.checked = localStorage.getItem(KEYS) !== "off";
  keys.addEventListener("change", showKeys);
  showKeys();
  byId("reset").addEventListener("click", () => {
    confirm.returnValue = "keep";
    confirm.showModal();
  });
  confirm.addEventListener("close", () => {
    if (confirm.returnValue !== "forget") return;
    dialog.close();
    reset();
  });
}

export function open() {
  if (!dialog.open) dialog.showModal();
}

export function keysAreOn() {
  return keys.checked;
}

/** Show the switches of a state, and by the server's status what they would bring. */
export function show(state, { remote_media: media }) {
  remote.checked = state.settings.remote_media;
  spotify.checked = state.settings.spotify;
  const presses = several(state.presses, "press is", "presses are");
  setText(
    byId("confirm-text"),
    `${presses} forgotten, with the clips that were made for you, your wish and all that was ` +
      "learnt. This cannot be undone.",
  );
  const some = media.artwork + media.preview > 0;
  // Who has it switched on must be able to switch it off.
  remote.disabled = !some && !remote.checked;
  spotify.disabled = !media.spotify && !spotify.checked;
  setText(
    byId("remote-media-text"),
    some
      ? `${several(media.artwork, "picture")} and ${several(media.preview, "preview")} are on ` +
          "other sites, which then learn what you hear."
      : "This catalogue names none: artwork and clips are made here.",
  );
  setText(
    byId("spotify-text"),
    media.spotify
      ? `For ${several(media.spotify, "track")}. Spotify then learns what you hear.`
      : "This catalogue has no Spotify ids.",
  );
}

/** Keys that rest are not named on the buttons. */
function showKeys() {
  localStorage.setItem(KEYS, keys.checked ? "on" : "off");
  document.documentElement.classList.toggle("without-keys", !keys.checked);
}
