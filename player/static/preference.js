/** The wish: an artist, a genre, a range of danceability, each of which may be left open. */

import { ask } from "./api.js";
import { Combobox } from "./combobox.js";
import { byId, el, icon, isEnabled, setEnabled, setText } from "./dom.js";
import { count, range, several } from "./words.js";

const PAUSE = 350; // [ms] after the last step of a range before it is sent
const SHOWN_ARTISTS = 12;

const genre = byId("genre");
const low = byId("dance-low");
const high = byId("dance-high");
const anything = byId("anything");

let wish = { artist: null, genre: null, danceability: null };
let send = () => {};
let timer = 0;
let isUnsettled = false; // a wish is being made, or on its way
let artist = null;

/** Call `change(preference)` whenever another one is wanted. */
export function setUp(change) {
  send = change;
  artist = new Combobox("artist", searchArtists, (name) => want({ artist: name }));
  byId("preference").addEventListener("submit", (event) => event.preventDefault());
  genre.addEventListener("change", () => want({ genre: genre.value || null }));
  low.addEventListener("input", () => {
    if (Number(low.value) > Number(high.value)) high.value = low.value;
    moved();
  });
  high.addEventListener("input", () => {
    if (Number(high.value) < Number(low.value)) low.value = high.value;
    moved();
  });
  anything.addEventListener("click", () => {
    if (isEnabled(anything)) want({ artist: null, genre: null, danceability: null });
  });
}

/** Fill in the genres. */
export async function loadGenres(load) {
  const { genres } = await load();
  genre.replaceChildren(
    el("option", { value: "" }, "Any genre"),
    ...genres.map(({ name, tracks }) =>
      el("option", { value: name }, `${name} (${several(tracks, "track")})`),
    ),
  );
  genre.value = wish.genre ?? "";
}

export function focusSearch() {
  byId("artist").focus();
  byId("artist").select();
}

/** Show the wish of a state and how many tracks are left. */
export function show(state) {
  if (!isUnsettled) showForm(state.preference);
  const isOpen = !wish.artist && !wish.genre && !wish.danceability;
  setEnabled(anything, !isOpen);
  const kind = isOpen ? "" : " that fit";
  setText(
    byId("remaining"),
    state.remaining === state.total
      ? `${several(state.total, "track")}${kind}`
      : `${count(state.remaining)} of ${several(state.total, "track")}${kind} are left`,
  );
}

/** The wish that was sent last is answered: from now on the form follows the states again. */
export function settle() {
  isUnsettled = timer !== 0;
}

/** The nearest wishes that still have tracks, as buttons. */
export function nearestButtons(nearest) {
  return nearest.map(({ preference, text, remaining }) => {
    const button = el(
      "button",
      { type: "button", class: "button" },
      icon("spark"),
      el("span", {}, text),
      el("span", {}, several(remaining, "track")),
    );
    button.addEventListener("click", () => want(preference));
    return el("li", {}, button);
  });
}

function showForm(preference) {
  wish = preference;
  artist.show(wish.artist);
  genre.value = wish.genre ?? "";
  const ends = wish.danceability ?? [0, 1];
  low.value = String(ends[0]);
  high.value = String(ends[1]);
  showRange(wish.danceability);
}

function want(part) {
  clearTimeout(timer);
  timer = 0;
  isUnsettled = true;
  wish = { ...wish, ...part };
  send(wish);
}

function moved() {
  const ends = [Number(low.value), Number(high.value)];
  // All of it is what "left open" means to a person; tracks whose danceability is unknown fit too.
  const wanted = ends[0] <= 0 && ends[1] >= 1 ? null : ends;
  showRange(wanted);
  isUnsettled = true;
  clearTimeout(timer);
  timer = setTimeout(() => want({ danceability: wanted }), PAUSE);
}

function showRange(ends) {
  const [from, to] = ends ?? [0, 1];
  setText(byId("dance-text"), ends ? range(ends) : "any");
  const pair = low.parentElement;
  pair.style.setProperty("--low", `${100 * from}%`);
  pair.style.setProperty("--high", `${100 * to}%`);
  low.setAttribute("aria-valuetext", from.toFixed(2));
  high.setAttribute("aria-valuetext", to.toFixed(2));
  // With both at the upper end it is the lower one that can still be moved.
  low.classList.toggle("above", from > 0.5);
}

async function searchArtists(text, signal) {
  const query = new URLSearchParams({ q: text, n: String(SHOWN_ARTISTS) });
  const { artists, more } = await ask("GET", `/api/artists?${query}`, undefined, signal);
  return { names: artists, more };
}
